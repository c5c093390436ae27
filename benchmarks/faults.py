"""5,000 rows under 10 % refusals, 5 % overload and 2 % resets: every row must be answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

from benchmarks.harness import bench, counts
from benchmarks.table import Line


def measure(*, quick: bool) -> Iterator[Line]:
    rows = 500 if quick else 5000
    faults = ("--refuse", "0.10", "--overload", "0.05", "--reset", "0.02", "--latency-ms", "50")
    with bench(*faults) as own:
        lab = own.evaluate(rows)
        document = json.loads(lab.output[lab.output.index("{") : lab.output.rindex("}") + 1])
        (candidate,) = document["candidates"]
        seen = counts(own.url)
    assert candidate["answered"] == rows, candidate["failed"]
    yield Line(
        what=f"requests for {rows:,} rows, all answered where 17 % of requests fail, over the rows",
        reached=seen["requests"] / rows,
        unit="×",
        note=f"{seen['refused']} struck; {lab.wall:.0f} s, {lab.cpu / rows * 1000:.1f} ms of "
        f"processor a row, {lab.memory_mb:.0f} MB",
    )
