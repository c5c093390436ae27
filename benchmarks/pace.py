"""100 rows at an endpoint that refuses above five requests a second, against the ideal 20 seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import counts, environment, evaluate, migrated, questions, server
from benchmarks.table import Line

PER_SECOND = 5


def measure(*, quick: bool) -> Iterator[Line]:
    rows = 100
    with tempfile.TemporaryDirectory() as folder, server("--per-second", str(PER_SECOND)) as url:
        home = Path(folder)
        env = environment(home, url)
        migrated(home)
        data = questions(home, rows)
        options = ("--model", "openai:bench", "--scorer", "exact_match", "--concurrency", "50")
        lab = evaluate(data, home, env, *options)
        assert lab.code == 0, lab.output
        refused = counts(url)["refused"]
    ideal = rows / PER_SECOND
    yield Line(
        what=f"{rows} rows where {PER_SECOND} a second are accepted, over the ideal",
        reached=lab.wall / ideal,
        unit="×",
        note=f"{lab.wall:.1f} s and {ideal:.0f} s, imports included; {refused} refusals",
    )
