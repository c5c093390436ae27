"""Intervals and paired tests: what a mean is worth, and whether a difference is real.

All scores lie in [0, 1]. Rows that were not scored are never in a sample; their number is reported
as coverage by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

__all__ = [
    "Interval",
    "PairedTest",
    "bootstrap_interval",
    "holm",
    "mcnemar_exact",
    "mean_interval",
    "paired_test",
    "rows_needed",
    "wilson_interval",
]

_SEED = 20_240_607
"""One fixed seed: the same scores give the same interval on every machine."""
_RESAMPLES = 9_999


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
    means = _resampled_means(sample)
    centre = float(sample.mean())
    normal = NormalDist()
    # Half of the ties count: scores repeat, and means of few rows do so often.
    below = float(np.mean(means < centre) + np.mean(means == centre) / 2)
    below = min(max(below, 1 / (2 * _RESAMPLES)), 1 - 1 / (2 * _RESAMPLES))
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


def _resampled_means(sample: np.ndarray) -> np.ndarray:
    generator = np.random.default_rng(_SEED)
    means = np.empty(_RESAMPLES)
    # In slices, so that 10,000 rows do not need a matrix of a gigabyte.
    step = max(1, 2_000_000 // sample.size)
    for start in range(0, _RESAMPLES, step):
        stop = min(start + step, _RESAMPLES)
        picks = generator.integers(0, sample.size, size=(stop - start, sample.size))
        means[start:stop] = sample[picks].mean(axis=1)
    return means


def mean_interval(values: Sequence[float], *, binary: bool) -> Interval | None:
    """Return the 95 % interval of a mean: Wilson for yes/no scores, BCa bootstrap for others.

    None where there is no value at all.
    """
    if not values:
        return None
    if binary:
        return wilson_interval(sum(values), len(values))
    return bootstrap_interval(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Candidate B against candidate A on the rows that both have a score for."""

    n: int
    difference: float
    """Mean of B minus mean of A on these rows."""
    interval: Interval
    p_value: float
    """Two-sided, of "no difference"."""
    deviation: float
    """Standard deviation of the row-wise differences."""


def mcnemar_exact(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided exact p-value of McNemar's test for paired yes/no scores.

    The discordant pairs follow Binomial(n, 1/2) under the null (McNemar 1947; the exact form as in
    statsmodels' `mcnemar(exact=True)`): p = min(1, 2·P(X ≤ min(b, c))).
    """
    only_a = sum(1 for x, y in zip(a, b, strict=True) if x > y)
    only_b = sum(1 for x, y in zip(a, b, strict=True) if y > x)
    n, k = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return 1.0
    # Whole numbers: 2**n overflows a float from about 1,000 discordant pairs on.
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(2 * tail / 2**n))


def paired_test(a: Sequence[float], b: Sequence[float], *, binary: bool) -> PairedTest | None:
    """Compare two candidates row by row; None where no row has both scores.

    p: McNemar's exact test for yes/no scores, else Wilcoxon's signed-rank test with ties kept (Pratt
    1959), as scipy computes it.
    Interval: BCa bootstrap of the mean difference, over rows.
    """
    if not a:
        return None
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    differences = second - first
    n = int(differences.size)
    # Moved into [0, 1], where `bootstrap_interval` has its fallback for samples without spread.
    scaled = bootstrap_interval([float(d) for d in (differences + 1) / 2])
    interval = Interval(2 * scaled.low - 1, 2 * scaled.high - 1)
    return PairedTest(
        n=n,
        difference=float(differences.mean()),
        interval=interval,
        p_value=mcnemar_exact(a, b) if binary else _wilcoxon(differences),
        deviation=float(differences.std(ddof=1)) if n > 1 else 0.0,
    )


def _wilcoxon(differences: np.ndarray) -> float:
    # Imported here: scipy.stats costs half a second, and only graded scorers need it.
    from scipy.stats import wilcoxon

    if not np.any(differences):
        return 1.0
    return float(wilcoxon(differences, zero_method="pratt").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


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
