"""100 rows at an endpoint that refuses above five requests a second, against the ideal 20 seconds."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import bench, counts
from benchmarks.table import Line

PER_SECOND = 5


def measure(*, quick: bool) -> Iterator[Line]:
    rows = 100
    with bench("--per-second", str(PER_SECOND)) as own:
        lab = own.evaluate(rows)
        refused = counts(own.url)["refused"]
    ideal = rows / PER_SECOND
    yield Line(
        what=f"{rows} rows where {PER_SECOND} a second are accepted, over the ideal",
        reached=lab.wall / ideal,
        unit="×",
        note=f"{lab.wall:.1f} s and {ideal:.0f} s, imports included; {refused} refusals",
    )
