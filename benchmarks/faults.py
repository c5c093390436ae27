"""5,000 rows under 10 % refusals, 5 % overload and 2 % resets: every row must be answered."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import counts, environment, evaluate, migrated, questions, server
from benchmarks.table import Line


def measure(*, quick: bool) -> Iterator[Line]:
    rows = 500 if quick else 5000
    faults = ("--refuse", "0.10", "--overload", "0.05", "--reset", "0.02", "--latency-ms", "50")
    with tempfile.TemporaryDirectory() as folder, server(*faults) as url:
        home = Path(folder)
        env = environment(home, url)
        migrated(home)
        data = questions(home, rows)
        options = ("--model", "openai:bench", "--scorer", "exact_match", "--concurrency", "50")
        lab = evaluate(data, home, env, *options)
        assert lab.code == 0, lab.output[-2000:]
        document = json.loads(lab.output[lab.output.index("{") : lab.output.rindex("}") + 1])
        (candidate,) = document["candidates"]
        seen = counts(url)
    assert candidate["answered"] == rows, candidate["failed"]
    yield Line(
        what=f"requests for {rows:,} rows, all answered where 17 % of requests fail, over the rows",
        reached=seen["requests"] / rows,
        unit="×",
        note=f"{seen['refused']} struck; {lab.wall:.0f} s, {lab.cpu / rows * 1000:.1f} ms of "
        f"processor a row, {lab.memory_mb:.0f} MB",
    )
