"""How time and memory grow from 500 to 10,000 rows, whole processes, all recorded in SQLite."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import bench, counts
from benchmarks.table import Line

SMALL, LARGE = 500, 10_000


def measure(*, quick: bool) -> Iterator[Line]:
    found = {}
    for rows in (SMALL, LARGE):
        with bench("--latency-ms", "50") as own:
            found[rows] = own.evaluate(rows)
            assert counts(own.url)["requests"] == rows
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
