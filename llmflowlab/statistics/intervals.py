"""Confidence intervals of one mean.

All scores lie in [0, 1]. Rows that were not scored are never in a sample; their number is reported
as coverage by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

__all__ = ["Interval", "bootstrap_interval", "mean_interval", "wilson_interval"]

_SEED = 20_240_607
"""One fixed seed: the same scores give the same interval on every machine."""
_RESAMPLES = 9_999
_DEARER = 6
"""How many times as long it takes to draw how often a value comes up as to draw a row."""
_MANY_ROWS = 2_000
"""Rows from which the expansion of the bootstrap distribution says as much as resampling."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval."""

    low: float
    high: float


def wilson_interval(successes: float, n: int, *, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion.

    (p̂ + z²/2n ± z·√(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n): Wilson 1927, JASA 22:209–212.

    Args:
        successes: Number of ones; may be a sum of values in [0, 1].
        n: Number of observations, at least 1.
        confidence: Nominal coverage.
    """
    if n < 1:
        raise ValueError("an interval needs at least one observation")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / n
    centre = p + z * z / (2 * n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def bootstrap_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Return the BCa bootstrap interval of a mean (Efron 1987, JASA 82:171–185).

    Where all values are equal, resampling knows no spread and would claim certainty; the Wilson
    interval of that mean is returned instead, which is wider than that of any score in [0, 1]. So it
    is for fewer than ten values, whose resamples cannot reach beyond what little was seen.
    """
    sample = np.asarray(values, dtype=float)
    if sample.size < 10 or np.ptp(sample) == 0:
        return wilson_interval(float(sample.sum()), int(sample.size), confidence=confidence)
    if sample.size >= _MANY_ROWS:
        return _expanded_interval(sample, confidence=confidence)
    means = _resampled_means(sample)
    centre = float(sample.mean())
    normal = NormalDist()
    # Half of the ties count: scores repeat, and means of few rows do so often.
    ties = np.isclose(means, centre, rtol=0, atol=1e-12)
    below = float(np.mean((means < centre) & ~ties) + np.mean(ties) / 2)
    edge = 1 / (2 * means.size)
    below = min(max(below, edge), 1 - edge)
    bias = normal.inv_cdf(below)
    jackknife = (sample.sum() - sample) / (sample.size - 1)
    deviation = jackknife.mean() - jackknife
    acceleration = float((deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5))

    def quantile(probability: float) -> float:
        z = bias + normal.inv_cdf(probability)
        adjusted = normal.cdf(bias + z / (1 - acceleration * z))
        return float(np.quantile(means, adjusted))

    tail = (1 - confidence) / 2
    return Interval(quantile(tail), quantile(1 - tail))


def _expanded_interval(sample: np.ndarray, *, confidence: float) -> Interval:
    """Return what BCa tends to with many rows, without resampling.

    The quantiles of the bootstrap distribution by its Cornish-Fisher expansion, with bias and
    acceleration both skewness / (6 * sqrt(n)) (Hall 1992, The
    Bootstrap and Edgeworth Expansion, chapter 3).
    """
    centre, spread = float(sample.mean()), float(sample.std())
    root = math.sqrt(sample.size)
    skew = float((((sample - centre) / spread) ** 3).mean()) / (6 * root)

    def quantile(z: float) -> float:
        moved = skew + (skew + z) / (1 - skew * (skew + z))
        return centre + spread / root * (moved + skew * (moved * moved - 1))

    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    # The expansion knows nothing of the scale's ends, which no bound may leave.
    return Interval(max(0.0, quantile(-z)), min(1.0, quantile(z)))


def _resampled_means(sample: np.ndarray) -> np.ndarray:
    """Return means of resamples; the order of the sample does not matter.

    Where few values repeat, a resample is told by how often each came up, which is multinomial: that
    takes little time however many rows there are.
    """
    values, counts = np.unique(sample, return_counts=True)
    n = int(sample.size)
    few = values.size * _DEARER <= n
    resamples = _RESAMPLES
    generator = np.random.default_rng(_SEED)
    means = np.empty(resamples)
    ordered = np.repeat(values, counts)
    # In slices, so that 10,000 rows do not need a matrix of a gigabyte.
    step = max(1, 2_000_000 // (int(values.size) if few else n))
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        if few:
            drawn = generator.multinomial(n, counts / n, size=stop - start)
            means[start:stop] = drawn @ values / n
        else:
            picks = generator.integers(0, n, size=(stop - start, n))
            means[start:stop] = ordered[picks].mean(axis=1)
    return means


def mean_interval(values: Sequence[float], *, binary: bool) -> Interval | None:
    """Return the 95 % interval of a mean: Wilson for yes/no scores, BCa bootstrap for others.

    None where there is no value at all.
    """
    if not values:
        return None
    if binary:
        return wilson_interval(math.fsum(values), len(values))
    return bootstrap_interval(values)
