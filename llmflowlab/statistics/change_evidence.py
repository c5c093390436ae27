"""Evidence that a mean has left the band in which it lay: e-values, as natural logarithms.

What is assumed of values in [0, 1], and nothing else: as long as nothing has changed, each value's
expectation, given all that came before it, lies within a band. It may move there as it likes: with the
hour, with the load, with what was before. A bet on x with a mean beyond the bound m is
(q/m)^x ((1−q)/(1−m))^(1−x) for some q > m; that is 1 at most on average by the inequality of arithmetic
and geometric means, so that the product of bets on many values never grows on average, and a mixture
of such products over q neither (Waudby-Smith & Ramdas 2024, JRSS B 86:1–27; mixtures are Robbins's,
1970, Ann. Math. Stat. 41:1397–1409). It depends on the sum of the values and their number alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

__all__ = ["Band", "EstimatedBand", "Stream", "evidence_table", "log_evidence"]

_JEFFREYS = 0.5
_CELLS = 100
_EDGES = np.linspace(0.0, 1.0, _CELLS + 1)
_MIDDLES = (_EDGES[:-1] + _EDGES[1:]) / 2
_BETS = 8
_FAR = np.sin(np.pi * (np.arange(_BETS) + 0.5) / (2 * _BETS)) ** 2
"""How far from the bound to 1 bets lie: as Jeffreys' prior does, near and far ones closer together."""
_NO_BET = 0.2
"""Weight of not betting on the baseline, so that a plausible mean costs little."""
_NEAR_ONE, _NEAR_ZERO = 1 - 1e-9, 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Bounds that are known, of a limit that somebody set: no evidence is ever had against 0 or 1."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError("a band lies in [0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedBand:
    """A band of known width around a mean that is not known, only seen in values from before."""

    total: float
    """Sum of the baseline's values."""
    n: int
    tolerance: float
    """Half the width of the band."""
    learnt_total: float = 0.0
    """Sum of values from before the baseline's, by which bets on it are placed; with them it is worth more."""
    learnt_n: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.total <= self.n and 0 <= self.learnt_total <= self.learnt_n):
            raise ValueError("values of a baseline lie in [0, 1]")
        if not 0 <= self.tolerance < 1:
            raise ValueError("a tolerance lies in [0, 1)")


Stream: TypeAlias = Band | EstimatedBand


def log_evidence(stream: Stream, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the evidence against "still within its band" of values that add up to these totals.

    Against a baseline the mean is unknown: evidence against a mean is what the baseline says against it,
    times what the values say, and what stands against all means (in cells of a hundredth, whose edges
    count for the whole) stands against the band wherever it lies. So the baseline's chance is part of it.

    Args:
        stream: The band.
        totals: Sums, each of some values.
        counts: How many they are.

    Returns:
        For each total the logarithm of an e-value: either direction is worth a half.
    """
    if isinstance(stream, Band):
        return _either_side(totals, counts, np.array(stream.low), np.array(stream.high))
    low, high = _EDGES[:-1] - stream.tolerance, _EDGES[1:] + stream.tolerance
    since = _either_side(totals[..., None], counts[..., None], low, high)
    return np.asarray((_against_means(stream) + since).min(axis=-1))


def evidence_table(baseline: EstimatedBand, most: int) -> np.ndarray:
    """Return the evidence of every outcome of up to `most` values that are 0 or 1, by their number and sum.

    For simulations, which look at one baseline again and again.
    """
    found = np.full((most + 1, most + 1), -np.inf)
    possible = np.tril_indices(most + 1)
    said = _against_means(baseline) + _outcomes(baseline.tolerance, most)
    found[possible] = said.min(axis=-1)
    return found


@lru_cache(maxsize=8)
def _outcomes(tolerance: float, most: int) -> np.ndarray:
    counts, totals = (place[:, None].astype(float) for place in np.tril_indices(most + 1))
    return _either_side(totals, counts, _EDGES[:-1] - tolerance, _EDGES[1:] + tolerance)


def _either_side(
    totals: np.ndarray, counts: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    above = _above(totals, counts, high)
    below = _above(counts - totals, counts, 1 - low)
    return np.asarray(np.logaddexp(above, below) - np.log(2))


def _above(totals: np.ndarray, counts: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Return the log of the bets' mean."""
    m = np.clip(bound, _NEAR_ZERO, _NEAR_ONE)[..., None]
    beyond = m + _FAR * (1 - m)
    ones, zeros = totals[..., None], (counts - totals)[..., None]
    logs = ones * np.log(beyond / m) + zeros * np.log((1 - beyond) / (1 - m))
    most = logs.max(axis=-1)
    mean = most + np.log(np.exp(logs - most[..., None]).mean(axis=-1))
    return np.asarray(np.where(bound >= _NEAR_ONE, 0.0, mean))


@lru_cache(maxsize=1_000)
def _against_means(baseline: EstimatedBand) -> np.ndarray:
    """Return what a baseline says against each cell, betted by what was learnt before it."""
    ones = baseline.learnt_total + _JEFFREYS
    zeros = baseline.learnt_n - baseline.learnt_total + _JEFFREYS
    low, high = _EDGES[:-1] - baseline.tolerance, _EDGES[1:] + baseline.tolerance
    above = _learnt_above(baseline.total, baseline.n, high, ones, zeros)
    below = _learnt_above(baseline.n - baseline.total, baseline.n, 1 - low, zeros, ones)
    sides = np.logaddexp(above, below) + np.log((1 - _NO_BET) / 2)
    return np.asarray(np.logaddexp(np.log(_NO_BET), sides))


def _learnt_above(total: float, n: int, bound: np.ndarray, ones: float, zeros: float) -> np.ndarray:
    """Return the log of the mean of bets over the cells' middles beyond each bound, weighed as by a Beta."""
    logs, others = np.log(_MIDDLES), np.log1p(-_MIDDLES)
    weights = (ones - 1) * logs + (zeros - 1) * others
    # Sums from the top; the last of them, of none, is where nothing lies beyond.
    known = np.logaddexp.accumulate(weights[::-1])[::-1]
    seen = np.logaddexp.accumulate((weights + total * logs + (n - total) * others)[::-1])[::-1]
    first = np.searchsorted(_MIDDLES, bound, side="left")
    there = np.minimum(first, _CELLS - 1)
    m = np.clip(bound, _NEAR_ZERO, _NEAR_ONE)
    mean = seen[there] - known[there] - total * np.log(m) - (n - total) * np.log1p(-m)
    return np.where(first < _CELLS, mean, 0.0)
