"""How many rows a paired comparison needs."""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = ["rows_needed"]


def rows_needed(deviation: float, difference: float, *, power: float = 0.8) -> int | None:
    """Return how many rows a paired comparison needs to see a difference at the 5 % level.

    n = ((z₀.₉₇₅ + z_power)·σ / δ)² (normal approximation of the paired test). None where the rows
    seen so far show no spread to plan with.

    Args:
        deviation: σ, standard deviation of the row-wise differences.
        difference: δ, the mean difference to be seen, in points of 1.
        power: Chance of seeing it.
    """
    if deviation <= 0 or difference <= 0:
        return None
    normal = NormalDist()
    z = normal.inv_cdf(0.975) + normal.inv_cdf(power)
    return math.ceil((z * deviation / difference) ** 2)
