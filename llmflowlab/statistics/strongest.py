"""What of a watch's evidence speaks loudest: since when, on which stream, and what was seen there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmflowlab.statistics.change_evidence import log_evidence
from llmflowlab.statistics.watch import Watch, ages, together

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
    looks = watch.to_json()["looks"]
    if not looks:
        raise ValueError("a watch that has seen nothing has no evidence")
    back = np.array(looks, dtype=float)[::-1].cumsum(axis=0)
    some = ages(len(back))
    back = back[some - 1]
    logs = np.stack(
        [log_evidence(s, back[:, i, 0], back[:, i, 1]) for i, s in enumerate(watch.streams)],
        axis=-1,
    )
    age = int(np.argmax(together(logs)))
    stream = int(np.argmax(logs[age]))
    total, n = back[age, stream]
    return Strongest(looks=int(some[age]), stream=stream, total=float(total), n=int(n))
