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

from llmflowlab.statistics.betting import betting_bounds
from llmflowlab.statistics.clusters import totals

__all__ = [
    "Interval",
    "bootstrap_interval",
    "grade_interval",
    "mean_interval",
    "wilson_interval",
]

_SEED = 20_240_607
"""One fixed seed: the same scores give the same interval on every machine."""
_RESAMPLES = 9_999
_DEARER = 6
"""How many times as long it takes to draw how often a value comes up as to draw a row."""
_MANY_ROWS = 2_000
"""Rows from which the expansion of the bootstrap distribution says as much as resampling."""
_BORNE_OUT = 4.0
"""Values at the far end of the scale whose squares those seen must add up to, for the bootstrap to be
believed; found by simulation (`docs/statistics.md`)."""
_NOISE = 1e-12


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


def grade_interval(
    sums: np.ndarray, sizes: np.ndarray | None = None, *, confidence: float = 0.95
) -> Interval:
    """Return the interval of a mean of grades in [0, 1]: BCa where what was seen bears it, else betting.

    The bootstrap knows nothing of values that did not come up: of twenty equal grades and a rare 0 it
    claims what it cannot know. It is believed where the squares of the deviations add up to those of
    `_BORNE_OUT` values at the far end of the scale, so that one rare value more could hardly move it.

    Args:
        sums: The values; or the total of each cluster of them.
        sizes: How many values each cluster holds; None: one.
        confidence: Nominal coverage.
    """
    weights = np.ones(len(sums)) if sizes is None else sizes
    mean = float(sums.sum() / weights.sum())
    farthest = max(mean, 1 - mean) * float(weights.max())
    if float(((sums - mean * weights) ** 2).sum()) >= _BORNE_OUT * farthest**2:
        return bootstrap_interval(sums, sizes, confidence=confidence)
    return Interval(*betting_bounds(sums, sizes, confidence=confidence))


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    sizes: np.ndarray | None = None,
    *,
    confidence: float = 0.95,
) -> Interval:
    """Return the BCa bootstrap interval of a mean (Efron 1987, JASA 82:171–185).

    Where all values are equal, resampling knows no spread and would claim certainty; the Wilson
    interval of that mean is returned instead, which is wider than that of any score in [0, 1]. So it
    is for fewer than ten values, whose resamples cannot reach beyond what little was seen.

    Args:
        values: The values; or the total of each cluster of them, which is then what is drawn.
        sizes: How many values each cluster holds, the mean being Σ totals / Σ sizes; None: one.
        confidence: Nominal coverage.
    """
    sample = np.asarray(values, dtype=float)
    weights = np.ones(sample.size) if sizes is None else sizes
    centre = float(sample.mean()) if sizes is None else float(sample.sum() / weights.sum())
    if sample.size < 10 or np.ptp(sample - centre * weights) <= _NOISE:
        return wilson_interval(centre * sample.size, int(sample.size), confidence=confidence)
    if sample.size >= _MANY_ROWS:
        linear = sample if sizes is None else centre + (sample - centre * weights) / weights.mean()
        return _expanded_interval(linear, confidence=confidence)
    means = _resampled_means(sample) if sizes is None else _resampled_ratios(sample, weights)
    normal = NormalDist()
    # Half of the ties count: scores repeat, and means of few rows do so often.
    ties = np.isclose(means, centre, rtol=0, atol=1e-12)
    below = float(np.mean((means < centre) & ~ties) + np.mean(ties) / 2)
    edge = 1 / (2 * means.size)
    below = min(max(below, edge), 1 - edge)
    bias = normal.inv_cdf(below)
    jackknife = (sample.sum() - sample) / (weights.sum() - weights)
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


def _resampled_ratios(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the ratios of sums of resampled clusters; their order does not matter."""
    order = np.lexsort((sizes, sums))
    sums, sizes = sums[order], sizes[order]
    generator = np.random.default_rng(_SEED)
    ratios = np.empty(_RESAMPLES)
    step = max(1, 2_000_000 // sums.size)
    for start in range(0, _RESAMPLES, step):
        stop = min(start + step, _RESAMPLES)
        picks = generator.integers(0, sums.size, size=(stop - start, sums.size))
        ratios[start:stop] = sums[picks].sum(axis=1) / sizes[picks].sum(axis=1)
    return ratios


def mean_interval(
    values: Sequence[float] | np.ndarray, *, binary: bool, clusters: np.ndarray | None = None
) -> Interval | None:
    """Return the 95 % interval of a mean: Wilson for yes/no scores, `grade_interval` for others.

    None where there is no value at all.

    Args:
        values: One for each question.
        binary: Whether all are 0 or 1, and each question is a cluster of its own.
        clusters: For each question the number of its cluster; None: each is one of its own.
    """
    if not len(values):
        return None
    if binary:
        return wilson_interval(math.fsum(values), len(values))
    return grade_interval(*totals(values, clusters))
