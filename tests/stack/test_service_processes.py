"""The service as several processes, and killed many times; too long for every run of the tests."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmflowlab.service.store.allowances import spent_on
from llmflowlab.settings import Settings
from tests.loopback import Fault, LoopbackServer
from tests.patience import PATIENCE
from tests.service.running import in_database
from tests.service.test_processes import killed, served


def test_twenty_kills_lose_nothing(settings: Settings, mlflow_home: Path) -> None:
    killed(settings, mlflow_home, 20)


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_many_first_requests_on_two_workers_never_pass_the_cap(
    mlflow_home: Path, loopback: LoopbackServer, settings: Settings
) -> None:
    loopback.scenario.fail_every(1, Fault("hang"))
    variables = {**loopback.environment("openai"), "LLMFLOWLAB_MAX_TRIES": "1"}
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
