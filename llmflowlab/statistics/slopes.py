"""How far one thing goes with another, over questions whose answers are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmflowlab.statistics.intervals import Interval

__all__ = ["clustered_slope"]

_SEED = 20_240_607
_RESAMPLES = 2_000
_FEWEST = 10
"""Clusters below which resampling says nothing of the spread."""
_NOTHING = 1e-12


def clustered_slope(
    x: Sequence[float], y: Sequence[float], clusters: Sequence[int]
) -> tuple[float, Interval | None] | None:
    """Return the least squares slope of y on x, and its 95 % percentile bootstrap interval over clusters.

    Of an x that is 0 or 1 that is the difference of two means. None where x does not vary; no interval
    below ten clusters.
    """
    one, other = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if one.size < 2 or float(one.std()) < _NOTHING:
        return None
    one = one - one.mean()
    place = np.unique(clusters, return_inverse=True)[1].reshape(-1)
    count = int(place.max()) + 1
    columns = (np.ones_like(one), one, other, one * one, one * other)
    sums = np.column_stack([np.bincount(place, column, count) for column in columns])

    def slopes(totals: np.ndarray) -> np.ndarray:
        n, sx, sy, sxx, sxy = totals.T
        spread = sxx - sx * sx / n
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(spread > _NOTHING, (sxy - sx * sy / n) / spread, np.nan)

    value = float(slopes(sums.sum(axis=0, keepdims=True))[0])
    if count < _FEWEST:
        return value, None
    drawn = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    low, high = np.nanquantile(slopes(drawn @ sums), [0.025, 0.975])
    return value, Interval(float(low), float(high))
