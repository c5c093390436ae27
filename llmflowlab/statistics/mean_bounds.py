"""Bounds of a mean of values in [0, 1] that need not be independent."""

from __future__ import annotations

import math

from llmflowlab.statistics.intervals import Interval

__all__ = ["chernoff_interval"]

_STEPS = 60


def chernoff_interval(mean: float, n: int, *, alpha: float) -> Interval:
    """Return the means that n values of this mean do not speak against, a chance of `alpha` on each side.

    n·kl(mean, m) ≤ log(1/alpha), with the divergence of two yes/no values: Hoeffding 1963, JASA 58:13–30,
    theorem 1. It holds for any values in [0, 1], and where each depends on those before, about the average
    of what was to be expected of them.

    Args:
        mean: Of the values.
        n: How many, at least 1.
        alpha: Chance that the truth lies below; and that it lies above.
    """
    room = math.log(1 / alpha) / n
    return Interval(1 - _upper(1 - mean, room), _upper(mean, room))


def _upper(mean: float, room: float) -> float:
    low, high = mean, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _divergence(mean, middle) > room:
            high = middle
        else:
            low = middle
    return high


def _divergence(p: float, q: float) -> float:
    if q >= 1:
        return 0.0 if p >= 1 else math.inf
    ones = p * math.log(p / q) if p > 0 else 0.0
    zeros = (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0
    return ones + zeros
