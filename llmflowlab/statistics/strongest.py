"""What of a watch's evidence speaks loudest: since when, on which stream, and what was seen there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmflowlab.statistics.watch import Watch, together

__all__ = ["Strongest", "strongest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strongest:
    """The gambler who holds most, and the stream that brought most of it."""

    looks: int
    """How many looks ago the gambler sat down, the last one counted."""
    stream: int
    total: float
    """Sum of the stream's values since."""
    n: int


def strongest(watch: Watch) -> Strongest:
    """Return it, of a watch that has seen anything.

    Raises:
        ValueError: It has seen nothing.
    """
    some, seen, logs = watch.gamblers()
    if not some.size:
        raise ValueError("a watch that has seen nothing has no evidence")
    age = int(np.argmax(together(logs)))
    stream = int(np.argmax(logs[age]))
    total, n = seen[age, stream]
    return Strongest(looks=int(some[age]), stream=stream, total=round(float(total), 9), n=int(n))
