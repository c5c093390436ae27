"""The service as several processes, and killed many times; too long for every run of the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmflowlab.service.store.allowances import spent_on
from llmflowlab.settings import Settings, load_settings
from tests.loopback import Fault, LoopbackServer
from tests.patience import PATIENCE
from tests.service.running import in_database
from tests.service.test_processes import killed, served, turns
from tests.stack.stores import needs


def test_twenty_kills_lose_nothing(settings: Settings, mlflow_home: Path) -> None:
    killed(settings, mlflow_home, 20)


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
@pytest.mark.parametrize("on_postgresql", [False, True], ids=["sqlite", "postgresql"])
def test_many_first_requests_on_two_workers_never_pass_the_cap(
    mlflow_home: Path, loopback: LoopbackServer, request: Any, on_postgresql: bool
) -> None:
    database = {}
    if on_postgresql:
        needs("psycopg", "a driver of PostgreSQL")
        address = "postgresql+psycopg" + request.getfixturevalue("postgres").database()
        database = {"LLMFLOWLAB_SERVICE_DATABASE": address}
    settings = load_settings(database, cwd=mlflow_home, stdin_is_terminal=False)
    loopback.scenario.fail_every(1, Fault("hang"))
    variables = {**database, **loopback.environment("openai"), "LLMFLOWLAB_MAX_TRIES": "1"}
    cap = Decimal("0.02")
    options = ("--model", "openai:gpt-4.1-mini", "--daily-budget", str(cap), "--workers", "2")
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1000}
    refused: list[httpx.Response] = []
    guard = threading.Condition()
    with (
        served(mlflow_home, *options, forked=False, variables=variables) as service,
        ThreadPoolExecutor(64) as pool,
    ):

        def ask() -> None:
            with suppress(httpx.HTTPError):
                answered = service.post("/v1/chat/completions", body)
                with guard:
                    refused.append(answered)
                    guard.notify_all()

        for _ in range(64):
            pool.submit(ask)
        worst = Decimal("0.0016")
        fit = int(cap / worst)
        with guard:
            assert guard.wait_for(lambda: len(refused) >= 64 - fit, PATIENCE)
        codes = Counter(each.json()["error"]["code"] for each in refused)
        with loopback.arrived:
            assert loopback.arrived.wait_for(lambda: len(loopback.chats()) >= fit, PATIENCE)
        assert codes == {"budget_exhausted": 64 - fit}
        spent, held = _money(settings)
        assert spent == 0
        assert cap - worst < held <= cap
        seen = httpx.get(f"{service.url}/metrics", trust_env=False).text
        assert "llmflowlab_answers_under_way" in seen
        # Nobody settles what a killed worker had set aside: it may have been paid.
        for worker in workers_of(service.process.pid):
            os.kill(worker, signal.SIGKILL)
        service.process.kill()
    assert _money(settings)[1] > 0
    with served(mlflow_home, *options[:4], variables=variables) as service:
        again = service.post("/v1/chat/completions", body)
        assert again.json()["error"]["code"] == "budget_exhausted"
        assert int(again.headers["retry-after"]) <= 86_400


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    with suppress(OSError):
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            yield place
            subprocess.run(["umount", "-l", str(place)], check=True)
            return
    pytest.skip("no file system can be mounted here; run it as root")


def test_a_disk_that_is_full_for_a_while_loses_no_answer(
    mlflow_home: Path, small_disk: Path
) -> None:
    database = {"LLMFLOWLAB_SERVICE_DATABASE": f"sqlite:///{small_disk / 'service.db'}"}
    there = load_settings(database, cwd=mlflow_home, stdin_is_terminal=False)
    ballast = small_disk / "ballast"
    answered, codes = [], []
    with served(mlflow_home, "--model", "guide", variables=database) as service:
        answered.append(service.chat("What is a run?", "s").json()["trace_id"])
        with suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(b"x" * 1000)
                file.flush()
        for number in range(60):
            said = service.chat("What is a run? " + "Tell me all. " * 300, f"full{number}")
            if said.is_success:
                answered.append(said.json()["trace_id"])
            else:
                codes.append(said.json()["error"]["code"])
        assert set(codes) == {"storage_failed"}
        assert not httpx.get(f"{service.url}/health", trust_env=False).is_error
        ballast.unlink()
        for _ in range(1000):
            after = service.chat("And a trace?", "s")
            if after.is_success:
                break
        assert after.json()["turn"] == 1
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0
    kept = [turn.trace_id for turn in turns(there)]
    assert set(answered) <= set(kept)
    assert len(kept) == len(set(kept))
    (whole,) = in_database(there, lambda c: c.exec_driver_sql("PRAGMA integrity_check").all())
    assert whole == ("ok",)


def workers_of(pid: int) -> list[int]:
    """Return the processes whose parent that one is, the courier excepted."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and "spawn_main" in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found


def _money(settings: Settings) -> tuple[Decimal, Decimal]:
    def look(connection: Any) -> tuple[Decimal, Decimal]:
        (day,) = connection.exec_driver_sql("SELECT DISTINCT day FROM reservations").one()
        return spent_on(connection, day)

    found: tuple[Decimal, Decimal] = in_database(settings, look)
    return found
