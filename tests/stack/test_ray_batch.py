"""`registry batch` on a real Ray cluster: a worker is killed in the middle, and the file is that of one process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.scenario import Scenario
from tests.loopback.server import LoopbackServer
from tests.stack.ray_cluster import ROOT, actors, begin, document, kill, nodes
from tests.stack.test_ray import END, await_requests

pytest.importorskip("ray", reason="Ray is not installed; run: make test-stack")
pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 160
CONCURRENCY = 4


@pytest.fixture
def model() -> Iterator[LoopbackServer]:
    with LoopbackServer(Scenario(latency=0.1)) as server:
        yield server


@pytest.fixture(params=["jsonl", "parquet"])
def requests(request: Any, tmp_path: Path) -> Path:
    file = tmp_path / f"requests.{request.param}"
    asked = [f"Question {n} of many?" for n in range(ROWS)]
    if request.param == "jsonl":
        file.write_text("".join(json.dumps({"prompt": one}) + "\n" for one in asked), "utf-8")
    else:
        from pyarrow import parquet, table

        parquet.write_table(table({"prompt": asked}), file)
    return file


def run(home: Path, model: LoopbackServer, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *words, "--json"],
        cwd=ROOT,
        env={**model.environment(), "LLMFLOWLAB_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def home(model: LoopbackServer, migrated_db: Path, tmp_path: Path) -> Path:
    """A home whose registry has version 1 of `llm_openai_chat`."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(migrated_db, folder / "mlflow.db")
    run(folder, model, "registry", "register", "--model", "openai:gpt-4.1-mini")
    return folder


def test_a_batch_whose_worker_is_killed_is_that_of_one_process_and_nothing_is_paid_twice(
    home, model, requests, tmp_path
):
    batch = [
        *("registry", "batch", "llm_openai_chat/1", "--input", str(requests), "--budget", "5"),
        *("--concurrency", str(CONCURRENCY), "--output"),
    ]
    alone = run(home, model, *batch, str(tmp_path / "alone.jsonl"))
    before = len(model.chats())
    output = tmp_path / "together.jsonl"
    with nodes(2, model.environment()) as cluster:
        where = ("--ray-address", cluster.address, "--storage", str(tmp_path / "shared"))
        process = begin(
            *(home, *where, "--workers", "3", "--shard-rows", "20"), command=[*batch, str(output)]
        )
        await_requests(model, process, before + 50)
        kill(actors("_WorkerActor")[0])
        found = document(process, END)
    assert found["answered"] == ROWS
    assert {**alone, "output": str(output), "cost_usd": found["cost_usd"]} == found
    assert output.read_bytes() == (tmp_path / "alone.jsonl").read_bytes()
    asked = Counter(str(one.body["messages"][-1]["content"]) for one in model.chats()[before:])
    assert len(asked) == ROWS
    # Asked twice was no more than what was in flight when the worker went.
    assert asked.total() - ROWS <= CONCURRENCY
    assert alone["cost_usd"] <= found["cost_usd"] <= 5
