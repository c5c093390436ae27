"""Many comparisons at once: what is left of a small p-value."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["holm", "holm_levels"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def holm_levels(p_values: Sequence[float], *, alpha: float = 0.05) -> list[float]:
    """Return the level at which Holm's procedure tests each hypothesis, in the order given.

    The i-th smallest p-value is held against α / (m − i + 1), until the first that is above it: there
    the procedure stops, and the rest stand at that level. Equal ones stand at the level of the first of
    them, as their adjusted values are equal: which of them is called first is nobody's evidence. An
    interval of confidence 1 − level beside a p-value says the same as the corrected test.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    levels = [alpha] * len(p_values)
    level, stopped, before = alpha, False, -1.0
    for rank, i in enumerate(order):
        if not stopped and not math.isclose(p_values[i], before, rel_tol=1e-9):
            level = alpha / (len(p_values) - rank)
            stopped = p_values[i] > level
        before = p_values[i]
        levels[i] = level
    return levels
