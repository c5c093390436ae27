"""The service as a command: workers, signals, kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from llmflowlab.service.courier import deliver_all
from llmflowlab.settings import SERVING_EXPERIMENT, Settings
from llmflowlab.tracking.store import open_store
from tests.loopback import Fault, LoopbackServer, closed_port
from tests.patience import PATIENCE
from tests.service.running import in_database
from tests.warm import SITE, warm

ROOT = Path(__file__).parents[2]


class Service:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, timeout=PATIENCE, trust_env=False)

    def chat(self, query: str, session: str) -> httpx.Response:
        return self.post("/chat", {"query": query, "session_id": session})


@contextmanager
def served(
    home: Path, *options: str, forked: bool = True, variables: Mapping[str, str] | None = None
) -> Iterator[Service]:
    port = closed_port()
    command = [
        *(sys.executable, "-W", "ignore", str(ROOT / "main.py"), "serve"),
        *("--port", str(port), *options),
    ]
    process = subprocess.Popen(
        warm(command) if forked else command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=home,
        env={
            **os.environ,
            "LLMFLOWLAB_HOME": str(home),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{SITE}",
            **(variables or {}),
        },
    )
    assert process.stdout is not None
    try:
        assert str(port) in process.stdout.readline()
        yield Service(process, port)
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()


def turns(settings: Settings) -> list[Any]:
    found: list[Any] = in_database(
        settings,
        lambda connection: connection.exec_driver_sql("SELECT * FROM turns ORDER BY number").all(),
    )
    return found


def test_kills_lose_no_answer_that_a_client_got(settings: Settings, mlflow_home: Path) -> None:
    killed(settings, mlflow_home, 3)


def killed(settings: Settings, mlflow_home: Path, times: int) -> None:
    """Kill a service so many times at random moments, and look at what is left of it."""
    chance, enough = random.Random(15), [0]
    got: list[dict[str, Any]] = []
    guard = threading.Condition()

    def talk(service: Service, name: str) -> None:
        with suppress(httpx.HTTPError):
            for number in range(1000):
                answered = service.chat(f"What is a run? {number}", name)
                assert answered.status_code == 200, answered.text
                with guard:
                    got.append(answered.json())
                    guard.notify_all()

    for _ in range(times):
        with served(mlflow_home, "--model", "guide") as service:
            talkers = [threading.Thread(target=talk, args=(service, name)) for name in "abc"]
            for talker in talkers:
                talker.start()
            enough.append(len(got) + chance.randint(1, 12))
            with guard:
                assert guard.wait_for(lambda: len(got) >= enough[-1], PATIENCE)
            service.process.kill()
            for talker in talkers:
                talker.join()
    kept = turns(settings)
    by_trace = Counter(turn.trace_id for turn in kept)
    assert set(by_trace.values()) == {1}
    assert [answer["trace_id"] for answer in got if answer["trace_id"] not in by_trace] == []
    texts = {turn.trace_id: turn.answer for turn in kept}
    assert all(texts[answer["trace_id"]] == answer["answer"] for answer in got)
    for name in "abc":
        mine = [json.loads(turn.record)["index"] for turn in kept if turn.session_id == name]
        assert mine == list(range(len(mine)))
        told = [answer["turn"] for answer in got if answer["session_id"] == name]
        assert told == sorted(set(told))
    # Couriers of killed services may still be at it.
    deliver_all(settings)
    store = open_store(settings)
    experiment = store.experiment_id(SERVING_EXPERIMENT)
    there: list[str] = []
    token = None
    while token != "":
        page = store.client.search_traces(
            locations=[experiment], max_results=500, page_token=token, include_spans=False
        )
        there += [trace.info.trace_id for trace in page]
        token = page.token or ""
    assert sorted(there) == sorted(by_trace)
    runs = store.client.search_runs([experiment])
    assert len(runs) == len({run.data.tags["llmflowlab.deployment"] for run in runs}) == times


def test_the_first_signal_lets_answers_end_and_the_second_does_no_harm(
    mlflow_home: Path, loopback: LoopbackServer, settings: Settings
) -> None:
    loopback.fail(Fault("hang", after=1))
    variables = loopback.environment("openai")
    with (
        served(mlflow_home, "--model", "openai:gpt-4.1-mini", variables=variables) as service,
        ThreadPoolExecutor() as pool,
    ):
        body = {"query": "Hi", "session_id": "s"}
        answer = pool.submit(service.post, "/chat", body)
        with loopback.arrived:
            assert loopback.arrived.wait_for(loopback.chats, PATIENCE)
        service.process.send_signal(signal.SIGTERM)
        with suppress(ProcessLookupError):
            service.process.send_signal(signal.SIGTERM)
        loopback.release()
        # The model's line breaks when it is released: what came is told as a part, and kept.
        assert answer.result().json()["state"] == "incomplete"
        assert service.process.wait(PATIENCE) == 0
    (turn,) = turns(settings)
    assert turn.answer.strip() == "You"
