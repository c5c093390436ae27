"""How time and memory grow from 500 to 10,000 rows, whole processes, all recorded in SQLite."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import counts, environment, evaluate, migrated, questions, server
from benchmarks.table import Line

SMALL, LARGE = 500, 10_000


def measure(*, quick: bool) -> Iterator[Line]:
    found = {}
    for rows in (SMALL, LARGE):
        with tempfile.TemporaryDirectory() as folder, server("--latency-ms", "50") as url:
            home = Path(folder)
            env = environment(home, url)
            migrated(home)
            data = questions(home, rows)
            options = ("--model", "openai:bench", "--scorer", "exact_match", "--concurrency", "50")
            found[rows] = evaluate(data, home, env, *options)
            assert found[rows].code == 0, found[rows].output[-2000:]
            assert counts(url)["requests"] == rows
    few, many = found[SMALL], found[LARGE]
    yield Line(
        what=f"memory, evaluation of {LARGE:,} rows",
        reached=many.memory_mb,
        unit="MB",
        must=300,
        note=f"{LARGE / SMALL:.0f} × the rows take {many.wall / few.wall:.1f} × the time "
        f"({many.wall:.0f} s) and {many.memory_mb / few.memory_mb:.1f} × the memory, "
        f"{many.cpu / LARGE * 1000:.1f} ms of processor a row",
    )
