"""Evaluations on a real Ray cluster: workers, a node and the coordinator are killed, and nothing is lost."""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.scenario import Scenario
from tests.loopback.server import LoopbackServer
from tests.stack.bucket import bucket
from tests.stack.ray_cluster import actors, begin, document, kill, nodes

pytest.importorskip("ray", reason="Ray is not installed; run: make test-stack")
pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 240
CONCURRENCY = 4
LEASE = 20.0
"""Seconds after which a worker that gives no sign of life loses its shard."""
END = 300.0
"""Seconds in which an evaluation that takes one ends on a busy machine too."""


@pytest.fixture
def model() -> Iterator[LoopbackServer]:
    with LoopbackServer(Scenario(latency=0.1)) as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "questions.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["question", "answer"])
        lines.writerows([f"Question {n} of many?", f"Question {n}"] for n in range(ROWS))
    return file


@pytest.fixture
def cluster(model: LoopbackServer) -> Iterator[Any]:
    with nodes(3, model.environment()) as running:
        yield running


@pytest.fixture
def options(cluster, data, tmp_path) -> list[str]:
    return options_of(cluster.address, data, str(tmp_path / "shared"))


def options_of(address: str, data: Path, storage: str) -> list[str]:
    return [
        *("--ray-address", address, "--model", "openai:gpt-4.1-mini"),
        *("--data", str(data), "--max-tokens", "40", "--budget", "5"),
        *("--workers", "3", "--shard-rows", "20", "--concurrency", str(CONCURRENCY)),
        *("--storage", storage),
    ]


def asked(model: LoopbackServer) -> Counter[str]:
    """Return how often each question was asked."""
    return Counter(str(request.body["messages"][-1]["content"]) for request in model.chats())


def await_requests(model: LoopbackServer, process: subprocess.Popen[str], count: int) -> None:
    """Wait until the model was asked so often; an evaluation that ends before says why."""
    until = time.monotonic() + END
    while not model.wait_for_requests(count, timeout=1.0):
        assert time.monotonic() < until
        if process.poll() is not None:
            document(process, END)


def rows_of(found: dict[str, Any]) -> list[str]:
    """Return the questions of the answered rows, as the spreadsheet has them."""
    with Path(found["files"]["answers_csv"]).open(encoding="utf-8-sig", newline="") as file:
        return [
            line["question"] for line in csv.DictReader(file) if line["openai:gpt-4.1-mini answer"]
        ]


def whole(found: dict[str, Any]) -> bool:
    (candidate,) = found["candidates"]
    return bool(
        candidate["answered"] == ROWS
        and sorted(rows_of(found)) == sorted(f"Question {n} of many?" for n in range(ROWS))
    )


def test_workers_and_a_node_are_killed_at_random_and_each_row_is_there_once(
    cluster, model, options, tmp_path
):
    process = begin(tmp_path / "home", *options)
    draw, kills = random.Random(1), 0
    for answers in range(30, ROWS - 30, 30):
        await_requests(model, process, answers)
        if answers == 90:
            cluster.remove_node(cluster.worker_nodes.copy().pop())
        elif pids := actors("_WorkerActor"):
            kill(draw.choice(pids))
            kills += 1
    found = document(process, END)
    assert kills > 1
    assert whole(found)
    # Asked twice was no more than what was in flight when a worker or the node went.
    assert asked(model).total() - ROWS <= (kills + 3) * CONCURRENCY
    assert found["candidates"][0]["cost_usd"] <= 5


def test_a_worker_that_sleeps_past_its_lease_cannot_commit_and_its_shard_is_done_by_another(
    model, options, tmp_path
):
    process = begin(tmp_path / "home", *options)
    await_requests(model, process, 40)
    pid = actors("_WorkerActor")[0]
    kill(pid, signal.SIGSTOP)
    wake = threading.Timer(2 * LEASE, kill, (pid, signal.SIGCONT))
    wake.start()
    try:
        found = document(process, END)
    finally:
        wake.cancel()
        kill(pid, signal.SIGCONT)
    assert whole(found)
    assert asked(model).total() - ROWS <= 2 * CONCURRENCY


def test_a_coordinator_that_is_killed_is_started_anew_and_nothing_is_asked_twice(
    model, options, tmp_path
):
    process = begin(tmp_path / "home", *options)
    await_requests(model, process, 40)
    kill(actors("_HeadActor")[0])
    found = document(process, END)
    assert whole(found)
    assert asked(model).total() == ROWS


def test_the_driver_is_interrupted_and_another_home_goes_on_from_the_storage(
    model, options, tmp_path
):
    process = begin(tmp_path / "home", *options)
    await_requests(model, process, 40)
    kill(process.pid, signal.SIGINT)
    said, words = process.communicate(timeout=END)
    assert process.returncode == 130, words
    found = json.loads(said)
    assert found["candidates"][0]["answered"] < ROWS
    before = asked(model).total()
    named = options.index("--model")
    going_on = [*options[:named], *options[named + 6 :], "--resume", found["evaluation_id"]]
    going_on = [word for word in going_on if word not in {"--budget", "5"}]
    announced = document(begin(tmp_path / "elsewhere", *going_on, "--dry-run"), END)
    assert announced["calls"]["candidates"] == ROWS - before
    assert announced["calls"]["reused"] == before
    again = document(begin(tmp_path / "elsewhere", *going_on), END)
    assert whole(again)
    assert before < ROWS
    assert asked(model).total() == ROWS


def test_the_storage_may_be_a_bucket(model, data, tmp_path):
    with (
        bucket(tmp_path / "objects") as (url, variables),
        # The workers' machines reach it by their own settings, as the driver does.
        nodes(2, {**model.environment(), **variables}) as running,
    ):
        options = options_of(running.address, data, url)
        process = begin(tmp_path / "home", *options, **model.environment(), **variables)
        await_requests(model, process, 60)
        kill(actors("_WorkerActor")[0])
        found = document(process, END)
    assert whole(found)
    assert asked(model).total() - ROWS <= CONCURRENCY
