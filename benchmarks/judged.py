"""200 rows answered in 200 ms and judged in 300 ms each, against a bare loop that sends the same, and others."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.evaluation import compete
from benchmarks.table import Line


def measure(*, quick: bool) -> Iterator[Line]:
    yield from compete(200, judged=True, must=2, beyond=1.5)
