"""A cluster from 1 to 8 workers against a model of fixed latency, and what a driver takes over a million rows.

`python -m benchmarks.scale --driver ROWS` is the second alone: this process drives a cluster whose workers
lease shards and commit rows as if models had answered them, so that what is measured is the driver.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.harness import bench, counts, environment, migrated, questions
from benchmarks.processes import ROOT
from benchmarks.table import Line

WORKERS = (1, 2, 4, 8)
LATENCY, CONCURRENCY = 2.0, 25
ROUNDS = 20
"""Answers of each place in flight."""
ROWS = 1_000_000
HANDS = 2
"""Workers that make rows up."""


def measure(*, quick: bool) -> Iterator[Line]:
    if find_spec("ray") is None:
        yield Line(what="a cluster", reached=None, unit="", note="Ray is not installed")
        return
    for workers in WORKERS[:2] if quick else WORKERS:
        yield _rate(workers)
    yield from _driver(ROWS // 50 if quick else ROWS)


def _rate(workers: int) -> Line:
    rows = workers * CONCURRENCY * ROUNDS
    with bench("--latency-ms", str(LATENCY * 1000)) as own, _Watch(own.url) as seen:
        command = [
            *(sys.executable, "main.py", "evaluate", "--model", "openai:bench", "--json"),
            *("--data", str(questions(own.home, rows)), "--scorer", "exact_match"),
            *("--runner", "ray", "--workers", str(workers), "--concurrency", str(CONCURRENCY)),
            *("--shard-rows", str(CONCURRENCY * ROUNDS), "--traces", "100"),
        ]
        done = subprocess.run(command, cwd=ROOT, env=own.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert counts(own.url)["requests"] == rows
    ideal = workers * CONCURRENCY / LATENCY
    rate = rows / seen.seconds
    return Line(
        what=f"time over the ideal, {workers} workers of {CONCURRENCY} calls of {LATENCY:g} s",
        reached=ideal / rate,
        unit="×",
        must=1 / 0.85 if workers == WORKERS[-1] else None,
        note=f"{rate:.1f} rows a second of {ideal:.1f} ({rate / ideal:.0%}), from the first call on",
    )


class _Watch:
    """Looks at the server: when the first request came, and when the last was answered."""

    def __init__(self, url: str) -> None:
        self._url, self._ended = url, threading.Event()
        self.first: float | None = None
        self.last = 0.0
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        assert self.first is not None
        return self.last - self.first

    def _look(self) -> None:
        before = 0
        while not self._ended.wait(0.1):
            now, seen = time.monotonic(), counts(self._url)["requests"]
            if seen and self.first is None:
                self.first = now
            if seen != before:
                # The last request that was seen to come is answered after its latency.
                before, self.last = seen, now + LATENCY


def _driver(rows: int) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        migrated(home)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", "--driver", str(rows)],
            cwd=ROOT,
            env=environment(home, "http://127.0.0.1:9/v1"),
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    phases = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in found["seconds"].items())
    yield Line(
        what=f"memory of the driver, {rows:,} rows",
        reached=found["memory_mb"],
        unit="MB",
        must=300,
        note=f"{phases}; {found['plan_mb']:.0f} MB once the rows are known",
    )
    yield Line(
        what="processor time of the driver a row",
        reached=found["cpu"] / rows * 1000,
        unit="ms",
        must=2,
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def drive(rows: int) -> dict[str, Any]:
    """Load, stage, follow and conclude an evaluation whose workers are made up; returns what it took."""
    from llmflowlab.asking.budget import Budget
    from llmflowlab.candidate import Candidate
    from llmflowlab.cluster.storage import open_storage
    from llmflowlab.data.streamed import load_streamed
    from llmflowlab.evaluation.run.ledger import Ledger
    from llmflowlab.evaluation.run.plan import EvaluationPlan
    from llmflowlab.lab.cluster_evaluation import OnCluster
    from llmflowlab.lab.evaluation_bench import bench_of
    from llmflowlab.lab.evaluation_request import RayRequest
    from llmflowlab.lab.lab import Lab
    from llmflowlab.settings import load_settings

    settings = load_settings()
    file = settings.home / "rows.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number in range(rows):
            out.write(f'{{"question": "q{number}", "answer": "a{number}"}}\n')
    times = {"began": time.monotonic()}
    dataset = load_streamed(file)
    times["reading"] = time.monotonic()
    candidate = Candidate(model="openai:bench", display_name="OpenAI", supplier="OpenAI")
    plan = EvaluationPlan(
        evaluation_id="scale",
        dataset=dataset,
        candidates=(candidate,),
        scorers=("exact_match",),
        judge=None,
    )
    times["planning"] = time.monotonic()
    known = _peak()
    ledger = Ledger(settings.ledger_file)
    made = bench_of(
        Lab(settings),
        plan,
        ledger,
        budget=Budget(None),
        concurrency=8,
        output=settings.home / "out",
    )
    crew = _timed(times)
    on = OnCluster(RayRequest(traces=1_000), open_storage(settings.home / "shared"), None, None)
    on.run(plan, made, crew, workers=HANDS, on_progress=lambda snapshot: None)
    times["figures and record"] = time.monotonic()
    ledger.close()
    names = list(times)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": {b: times[b] - times[a] for a, b in pairwise(names)},
        "cpu": used.ru_utime + used.ru_stime,
        "memory_mb": _peak(),
        "plan_mb": known,
    }


def _timed(times: dict[str, float]) -> Any:
    """Return a crew on a cluster of this machine that notes when it began and when its last worker ended."""
    from llmflowlab.cluster.crew import Job
    from llmflowlab.cluster.ray_crew import RayCrew

    class Timed(RayCrew):
        def begin(self, job: Job) -> None:
            times["staging"] = time.monotonic()
            super().begin(job)

        def tend(self, seconds: float) -> bool:
            working = super().tend(seconds)
            if not working:
                times["following"] = time.monotonic()
            return working

    make: Any = MadeUp
    return Timed(None, make)


class MadeUp:
    """A worker that commits made-up rows."""

    def __init__(self, job: Any, name: str, storage: Any, head: Any) -> None:
        self._job, self._name, self._storage, self._head = job, name, storage, head

    def work(self) -> None:
        while (lease := self._head.lease(self._name)) != "none":
            if lease == "wait":
                time.sleep(0.2)
            else:
                self._commit(lease)

    def _commit(self, lease: Any) -> None:
        from decimal import Decimal

        from llmflowlab.cluster.row_files import InVain, rows_file
        from llmflowlab.cluster.shards import read_shard, shard_plan
        from llmflowlab.evaluation.answers import AnswerRecord
        from llmflowlab.evaluation.run.outcomes import Outcome
        from llmflowlab.evaluation.run.plan import Cell
        from llmflowlab.evaluation.scores import Score

        stage = self._job.stage
        found = read_shard(self._storage, stage, lease.shard)
        plan = shard_plan(self._job.described, stage, lease.shard, found)
        first = stage.first(lease.shard)
        outcomes = [
            Outcome(
                Cell(0, row),
                AnswerRecord(
                    text=f"a{first + row}",
                    state="complete",
                    latency=1 + row % 10 / 10,
                    prompt_tokens=20,
                    completion_tokens=5,
                    cost_usd="0.00004",
                    finish_reason="stop",
                    tries=1,
                ),
                {"exact_match": Score(scorer="exact_match", value=float(row % 3 > 0))},
            )
            for row in range(len(plan.dataset.rows))
        ]
        key = stage.key("results", lease.shard, ".parquet")
        self._storage.write(key, rows_file(plan, outcomes, first, InVain()))
        self._head.commit(lease.token, key, Decimal(0), whole=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", type=int, required=True, metavar="ROWS")
    print(json.dumps(drive(parser.parse_args().driver)))
