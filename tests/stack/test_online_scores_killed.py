"""What scores answers in the background is killed: nothing is scored twice, and few calls are paid twice."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmflowlab.settings import Settings
from tests.loopback import Fault, LoopbackServer
from tests.patience import PATIENCE
from tests.service.running import in_database
from tests.service.test_processes import Service, served

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")

OPTIONS = ("--model", "guide", "--score", "safety@openai:gpt-4.1-mini", "--score", "length:max=9")


def scorers_of(home: Path) -> list[int]:
    """Return the processes that score answers of a home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = f"LLMFLOWLAB_HOME={home}\0".encode() in (folder / "environ").read_bytes()
            if ours and b"answer_scorer" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def rows(settings: Settings) -> list[Any]:
    found: list[Any] = in_database(
        settings,
        lambda c: c.exec_driver_sql("SELECT * FROM scores ORDER BY number").all(),
    )
    return found


def settled(service: Service) -> None:
    """Wait until every score is there."""
    while httpx.get(f"{service.url}/ready", timeout=PATIENCE, trust_env=False).json()["unscored"]:
        threading.Event().wait(0.1)


def test_a_killed_scorer_is_started_again_and_scores_nothing_twice(
    mlflow_home: Path, loopback: LoopbackServer, settings: Settings
) -> None:
    loopback.fail(Fault("hang"))
    variables = loopback.environment("openai")
    with served(mlflow_home, *OPTIONS, variables=variables) as service:
        for number in range(3):
            assert service.chat(f"What is a run? {number}", "s").status_code == 200
        with loopback.arrived:
            assert loopback.arrived.wait_for(lambda: len(loopback.chats()) >= 1, PATIENCE)
        (pid,) = scorers_of(mlflow_home)
        os.kill(pid, signal.SIGKILL)
        with loopback.arrived:
            # Those that were begun are begun again by the next one.
            assert loopback.arrived.wait_for(lambda: len(loopback.chats()) >= 4, PATIENCE)
        loopback.release()
        settled(service)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0
    kept = rows(settings)
    assert len(kept) == len({(row.trace_id, row.scorer) for row in kept}) == 6
    assert all(row.settled_ms is not None for row in kept)
    assert {row.value for row in kept if row.scorer == "safety"} == {1.0}
    tries = Counter(row.tries for row in kept if row.scorer == "safety")
    assert max(tries) == 2
    assert len(loopback.chats()) <= sum(number * count for number, count in tries.items())
    totals = in_database(
        settings, lambda c: c.exec_driver_sql("SELECT scorer, number FROM score_totals").all()
    )
    assert dict(map(tuple, totals)) == {"safety": 3, "length": 3}
    assert scorers_of(mlflow_home) == []


def test_a_killed_service_takes_its_scorer_along_and_the_next_goes_on(
    mlflow_home: Path, loopback: LoopbackServer, settings: Settings
) -> None:
    loopback.fail(Fault("hang"))
    variables = loopback.environment("openai")
    with served(mlflow_home, *OPTIONS, forked=False, variables=variables) as service:
        assert service.chat("What is a run?", "s").status_code == 200
        with loopback.arrived:
            assert loopback.arrived.wait_for(lambda: len(loopback.chats()) == 1, PATIENCE)
        service.process.kill()
    loopback.release()
    with served(mlflow_home, *OPTIONS, variables=variables) as service:
        assert service.chat("What is a run?", "s").status_code == 200
        settled(service)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0
    kept = rows(settings)
    assert len(kept) == 4
    assert [row.value for row in kept if row.settled_ms is None] == []
    assert len(loopback.chats()) <= 4
