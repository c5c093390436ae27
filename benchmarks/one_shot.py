"""One question by `chat --message`: how long the process lives on after the answer, and when MLflow has it.

The store exists; what is left when the process ends is delivered by a process of its own.
"""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.harness import bench, counts
from benchmarks.processes import ROOT, adopt_orphans, await_orphans
from benchmarks.table import Line

PATIENCE = 60.0
"""Seconds after which a session counts as lost."""


def measure(*, quick: bool) -> Iterator[Line]:
    rounds = 3 if quick else 5
    ended, delivered = [], []
    with bench("--latency-ms", "0") as own:
        command = [sys.executable, "main.py", "chat", "--model", "openai:bench", "--message", "q1"]
        others = adopt_orphans()
        for number in range(1, rounds + 1):
            done = subprocess.run(
                command, cwd=ROOT, env=own.env, capture_output=True, text=True, check=True
            )
            end = time.monotonic()
            assert done.stdout.strip() == "a1", done.stdout
            ended.append(end - counts(own.url)["answered_ms"] / 1000)
            while _closed_runs(own.home) < number:
                assert time.monotonic() < end + PATIENCE, "the session did not reach MLflow"
                time.sleep(0.02)
            delivered.append(time.monotonic() - end)
            await_orphans(others)
    yield Line(
        what="`chat --message` ends after the answer's last token",
        reached=statistics.median(ended),
        unit="s",
        must=0.5,
        beyond=0.2,
        note=f"{min(ended):.2f} to {max(ended):.2f} s of {rounds}",
    )
    yield Line(
        what="a session is in MLflow after its end",
        reached=statistics.median(delivered),
        unit="s",
        must=5,
        beyond=2,
        note=f"{min(delivered):.1f} to {max(delivered):.1f} s of {rounds}",
    )


def _closed_runs(home: Path) -> int:
    with closing(sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True)) as database:
        query = "SELECT count(*) FROM runs WHERE status = 'FINISHED' AND name LIKE 'Chat%'"
        return int(database.execute(query).fetchone()[0])
