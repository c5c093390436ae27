"""The service on PostgreSQL: what its workers share when several machines may use one database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmflowlab.service.store.served_turns import keep_rating, undelivered_count
from llmflowlab.settings import SERVING_EXPERIMENT, Settings, load_settings
from llmflowlab.tracking.records import RatingRecord
from llmflowlab.tracking.store import open_store
from tests.loopback import Fault, LoopbackServer
from tests.patience import PATIENCE
from tests.service.running import in_database, key_of
from tests.service.test_processes import ROOT, Service, served, turns
from tests.stack.postgres import Cluster
from tests.stack.stores import needs
from tests.stack.test_service_processes import workers_of
from tests.warm import SITE

TWO = ("--workers", "2")


@pytest.fixture
def variables(postgres: Cluster) -> Mapping[str, str]:
    needs("psycopg", "a driver of PostgreSQL")
    return {"LLMFLOWLAB_SERVICE_DATABASE": "postgresql+psycopg" + postgres.database()}


@pytest.fixture
def shared(mlflow_home: Path, variables: Mapping[str, str]) -> Settings:
    return load_settings(dict(variables), cwd=mlflow_home, stdin_is_terminal=False)


def at_once(times: int, ask: Any) -> list[httpx.Response]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(ask, range(times)))


def code(answered: httpx.Response) -> str:
    return "answered" if answered.is_success else str(answered.json()["error"]["code"])


def kill_workers(service: Service) -> None:
    for worker in workers_of(service.process.pid):
        os.kill(worker, signal.SIGKILL)


def test_a_worker_that_is_killed_loses_no_turn_and_holds_its_session_no_longer_than_it_may(
    mlflow_home: Path, loopback: LoopbackServer, shared: Settings, variables: Mapping[str, str]
) -> None:
    everything = {**variables, **loopback.environment("openai"), "LLMFLOWLAB_MAX_TRIES": "1"}
    options = ("--model", "openai:gpt-4.1-mini", "--deadline", "60", *TWO)
    with (
        served(mlflow_home, *options, forked=False, variables=everything) as service,
        ThreadPoolExecutor() as pool,
    ):
        got = [service.chat("What is a run?", "s").json() for _ in range(3)]
        loopback.fail(Fault("hang", after=1))
        cut = pool.submit(service.chat, "And a trace?", "s")
        with loopback.arrived:
            assert loopback.arrived.wait_for(lambda: len(loopback.chats()) == 4, PATIENCE)
        assert code(service.chat("Me too", "s")) == "session_busy"
        kill_workers(service)
        assert isinstance(cut.exception(PATIENCE), httpx.HTTPError)
        # Those that take their place answer other sessions, and let nobody into this one before its time.
        assert code(_patiently(service, "Hello", "t")) == "answered"
        busy = service.chat("Me too", "s")
        assert code(busy) == "session_busy"
        (row,) = in_database(
            shared,
            lambda c: c.exec_driver_sql(
                "SELECT * FROM sessions WHERE held_by IS NOT NULL AND id = 's'"
            ).all(),
        )
        assert 0 < row.held_until_ms - row.used_ms <= (60 + 30) * 1000
        _pass_time(shared, row.held_until_ms)
        after = service.chat("And a trace?", "s").json()
        assert after["turn"] == 3
        got.append(after)
    # A start lets go of nothing here: others may be answering on the same database.
    with served(mlflow_home, *options[:2], variables=everything) as service:
        said = httpx.get(f"{service.url}/sessions/s", trust_env=False).json()["turns"]
        assert [each["trace_id"] for each in said] == [each["trace_id"] for each in got]
        assert service.chat("Still there?", "s").json()["turn"] == 4
    assert set(Counter(turn.trace_id for turn in turns(shared)).values()) == {1}


def _patiently(service: Service, query: str, session: str) -> httpx.Response:
    """Ask until a worker is there to answer: killed ones take a moment to be replaced."""
    for _ in range(1000):
        with suppress(httpx.HTTPError):
            return service.chat(query, session)
    raise AssertionError("no worker came")


def _pass_time(settings: Settings, until_ms: int) -> None:
    def work(connection: Any) -> None:
        connection.exec_driver_sql(
            f"UPDATE sessions SET held_until_ms = 1 WHERE held_until_ms = {until_ms}"
        )

    in_database(settings, work)


def test_what_workers_share_is_counted_once(
    mlflow_home: Path, shared: Settings, variables: Mapping[str, str]
) -> None:
    shop, till = key_of(shared, "shop", per_minute=2), key_of(shared, "till", per_minute=100_000)
    with served(
        mlflow_home, "--model", "guide", *TWO, forked=False, variables=variables
    ) as service:

        def asked(key: dict[str, str], session: str) -> httpx.Response:
            body = {"query": "What is a run?", "session_id": session}
            return httpx.post(
                f"{service.url}/chat", json=body, headers=key, timeout=PATIENCE, trust_env=False
            )

        # Nobody makes a session twice, and nobody's database fails at it.
        first = at_once(32, lambda _: asked(till, "new"))
        codes = Counter(map(code, first))
        assert set(codes) <= {"answered", "session_busy"}
        indices = sorted(each.json()["turn"] for each in first if each.is_success)
        assert indices == list(range(codes["answered"]))
        paced = Counter(code(each) for each in at_once(32, lambda n: asked(shop, f"p{n}")))
        assert paced == {"answered": 2, "rate_limited": 30}
        crossed = {code(each) for each in at_once(64, lambda n: asked(till, f"c{n % 40}"))}
        assert crossed <= {"answered", "session_busy"}
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0
    kept = turns(shared)
    assert set(Counter(turn.trace_id for turn in kept).values()) == {1}
    assert in_database(shared, undelivered_count) == 0
    assert _delivered(shared) == Counter(turn.trace_id for turn in kept)


def test_couriers_of_two_machines_deliver_each_answer_once(
    tmp_path: Path, mlflow_home: Path, shared: Settings, variables: Mapping[str, str]
) -> None:
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{(mlflow_home / 'mlflow.db').as_posix()}"}
    with served(mlflow_home, "--model", "guide", variables=_away(variables)) as service:
        asked = at_once(48, lambda n: service.chat("What is a run?", f"s{n}"))
        assert {code(each) for each in asked} == {"answered"}
    traces = [each.json()["trace_id"] for each in asked]
    for trace in traces[::3]:
        rating = RatingRecord(trace_id=trace, value=4, comment=None, rated_ms=1)
        assert in_database(shared, partial(keep_rating, owner="", rating=rating))
    homes = [tmp_path / name for name in ("one", "two", "three")]
    for home in homes:
        home.mkdir()
    couriers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ROOT / "main.py"), "serve", "deliver", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **variables,
                **store,
                "LLMFLOWLAB_HOME": str(home),
                "PYTHONPATH": f"{ROOT}{os.pathsep}{SITE}",
            },
        )
        for home in homes
    ]
    told = [courier.communicate(timeout=PATIENCE)[0] for courier in couriers]
    assert [courier.returncode for courier in couriers] == [0, 0, 0]
    assert sum(json.loads(said)["delivered"] for said in told) == len(traces)
    assert in_database(shared, undelivered_count) == 0
    assert _delivered(shared) == Counter(traces)
    found = open_store(shared)
    experiment = found.experiment_id(SERVING_EXPERIMENT)
    (run,) = found.client.search_runs([experiment])
    assert (run.info.status, run.data.metrics["turns"]) == ("FINISHED", len(traces))
    rated = [t for t in found.client.search_traces([experiment]) if t.info.assessments]
    assert {len(trace.info.assessments) for trace in rated} == {1}
    assert {trace.info.trace_id for trace in rated} == set(traces[::3])


def _away(variables: Mapping[str, str]) -> dict[str, str]:
    """A service whose MLflow is not there: what it answers waits."""
    gone = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    return {**variables, **gone}


def _delivered(settings: Settings) -> Counter[str]:
    store = open_store(settings)
    experiment = store.experiment_id(SERVING_EXPERIMENT)
    found: Counter[str] = Counter()
    token: str | None = None
    while token != "":
        page = store.client.search_traces(
            locations=[experiment], max_results=500, page_token=token, include_spans=False
        )
        found.update(trace.info.trace_id for trace in page)
        token = page.token or ""
    return found


def test_a_database_that_comes_back_gets_what_was_answered(
    mlflow_home: Path, loopback: LoopbackServer, shared: Settings, variables: Mapping[str, str]
) -> None:
    loopback.fail(Fault("hang", after=1))
    everything = {**variables, **loopback.environment("openai"), "LLMFLOWLAB_MAX_TRIES": "1"}
    guard = threading.Event()
    with (
        served(mlflow_home, "--model", "openai:gpt-4.1-mini", variables=everything) as service,
        ThreadPoolExecutor() as pool,
    ):
        answer = pool.submit(service.chat, "Hi", "s")
        with loopback.arrived:
            assert loopback.arrived.wait_for(loopback.chats, PATIENCE)

        def cut(connection: Any) -> None:
            """Break every line that others have to this database; theirs is made anew."""
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            guard.set()

        in_database(shared, cut)
        assert guard.is_set()
        loopback.release()
        assert answer.result(PATIENCE).json()["state"] == "incomplete"
        assert service.chat("And now?", "s").json()["turn"] == 1
    assert len(turns(shared)) == 2
