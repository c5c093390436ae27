"""Two candidates on the rows that both have a value for: is the difference real?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from llmflowlab.statistics.clusters import design_effect, totals
from llmflowlab.statistics.intervals import Interval, bootstrap_interval, grade_interval

__all__ = [
    "PairedTest",
    "difference_interval",
    "differences_of",
    "mcnemar_exact",
    "mean_p_value",
    "p_value_of",
    "paired_test",
    "tango_interval",
    "tango_statistic",
]


_SEED = 20_240_607
_FLIPS = 9_999
_ALL_FLIPS_UP_TO = 16
"""Differences of which every choice of signs is looked at; of more, a random draw."""
_MANY_ROWS = 2_000
"""Differences from which the sum under random signs is as good as normal."""
_TOLERANCE = 12
"""Decimals of a difference; what lies beyond is the noise of sums, which must not break a tie."""


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
    discordance: float | None = None
    """Share of rows on which the two disagree; None for degrees."""
    design_effect: float = 1.0
    """How many times the difference's variance is that of as many questions without clusters."""
    clusters: int | None = None
    """How many clusters the rows make up; None: each is one of its own."""


_WHOLE_NUMBERS = 20_000
"""Discordant pairs up to which a tail is counted in whole numbers, which takes time by their square; the incomplete
beta function is as good to nine digits (held by a test)."""


def mcnemar_exact(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Return the two-sided exact p-value of McNemar's test for paired yes/no scores.

    The discordant pairs follow Binomial(n, 1/2) under the null (McNemar 1947; the exact form as in
    statsmodels' `mcnemar(exact=True)`): p = min(1, 2·P(X ≤ min(b, c))).
    """
    differences = differences_of(a, b)
    only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
    n, k = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return 1.0
    if n > _WHOLE_NUMBERS:
        # Imported here: few comparisons have as many.
        from scipy.special import bdtr

        return min(1.0, float(2 * bdtr(k, n, 0.5)))
    # Whole numbers: 2**n overflows a float from about 1,000 discordant pairs on.
    tail = term = 1
    for i in range(1, k + 1):
        term = term * (n - i + 1) // i
        tail += term
    return min(1.0, float(Fraction(2 * tail, 2**n)))


def tango_interval(
    only_a: int, only_b: int, n: int, *, confidence: float = 0.95, correction: float = 0.0
) -> Interval:
    """Return the score interval of the difference of two paired proportions, B minus A.

    All differences δ that the score test of "the difference is δ" does not reject:
    |c − b − nδ| ≤ z·√(n(2q̂ + δ(1 − δ))), where q̂ is the restricted maximum likelihood estimate of the
    probability that only A is right (Tango 1998, Statistics in Medicine 17:891–908, equations 3 and 5).
    At δ = 0 this is McNemar's test, so that interval and test agree.

    Args:
        only_a: b, rows that only A has right.
        only_b: c, rows that only B has right.
        n: All rows, at least 1.
        confidence: Nominal coverage.
        correction: For continuity, see `tango_statistic`.
    """
    if n < 1:
        raise ValueError("an interval needs at least one observation")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    observed = (only_b - only_a) / n

    def rejected(difference: float) -> bool:
        return abs(tango_statistic(only_a, only_b, n, difference, correction=correction)) > z

    return Interval(_edge(rejected, -1.0, observed), _edge(rejected, 1.0, observed))


def tango_statistic(
    only_a: int, only_b: int, n: int, difference: float, *, correction: float = 0.0
) -> float:
    """Return the score statistic, standard normal where the true difference B − A is `difference`.

    Args:
        only_a: Rows that only A has right.
        only_b: Rows that only B has right.
        n: All rows.
        difference: B − A.
        correction: Rows by which what was seen is brought nearer to what is tested.
    """
    b, c = only_a, only_b
    # The restricted estimate of P(only A right), from 2n·q² + B·q + C = 0.
    big_b = -b - c + (2 * n - c + b) * difference
    big_c = -b * difference * (1 - difference)
    q = (math.sqrt(max(big_b * big_b - 8 * n * big_c, 0.0)) - big_b) / (4 * n)
    variance = n * (2 * q + difference * (1 - difference))
    away = c - b - n * difference
    away = math.copysign(max(abs(away) - correction, 0.0), away)
    if variance <= 0:
        return 0.0 if away == 0 else math.copysign(math.inf, away)
    return away / math.sqrt(variance)


def _edge(rejected: Callable[[float], bool], outer: float, inner: float) -> float:
    """Return the farthest difference towards `outer` that is not rejected, by bisection."""
    if not rejected(outer):
        return outer
    for _ in range(60):
        middle = (outer + inner) / 2
        if rejected(middle):
            outer = middle
        else:
            inner = middle
    return inner


def differences_of(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return b − a row by row; what is equal but for the noise of sums is equal."""
    raw = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    return np.asarray(np.round(raw, _TOLERANCE) + 0.0)


def p_value_of(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    binary: bool,
    clusters: np.ndarray | None = None,
) -> float | None:
    """Return the p-value of `paired_test` alone; None where no row has both values."""
    if not len(a):
        return None
    if binary:
        return mcnemar_exact(a, b)
    return mean_p_value(totals(differences_of(a, b), clusters)[0])


def paired_test(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    binary: bool,
    bounded: bool = True,
    confidence: float = 0.95,
    clusters: np.ndarray | None = None,
) -> PairedTest | None:
    """Compare two candidates row by row; None where no row has both values.

    Yes/no scores: McNemar's exact test and Tango's interval. Others, in any unit: the randomisation
    test of the mean difference and its `difference_interval`, so that both speak of the mean.

    Args:
        a: One candidate's values.
        b: The other's, of the same rows.
        binary: Whether all are 0 or 1.
        bounded: Whether all lie in [0, 1]; seconds, tokens and USD do not.
        confidence: Of the interval; more where several comparisons share the level.
        clusters: For each row the number of its cluster, which is given a sign, and drawn, as one;
            None: each is one of its own. Not with yes/no scores.
    """
    p_value = p_value_of(a, b, binary=binary, clusters=clusters)
    if p_value is None:
        return None
    differences = differences_of(a, b)
    n = int(differences.size)
    if binary:
        only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
        interval = tango_interval(only_a, only_b, n, confidence=confidence)
    else:
        interval = difference_interval(
            *totals(differences, clusters), bounded=bounded, confidence=confidence
        )
    return PairedTest(
        n=n,
        difference=math.fsum(differences) / n,
        interval=interval,
        p_value=p_value,
        deviation=float(differences.std(ddof=1)) if n > 1 else 0.0,
        discordance=float(np.count_nonzero(differences)) / n if binary else None,
        design_effect=design_effect(differences, clusters),
        clusters=None if clusters is None else int(np.unique(clusters).size),
    )


def difference_interval(
    differences: np.ndarray,
    sizes: np.ndarray | None = None,
    *,
    bounded: bool = True,
    confidence: float = 0.95,
) -> Interval:
    """Return the interval of a mean difference: `grade_interval`, and BCa for amounts without a scale.

    The differences are brought into [0, 1] first, where both know what to do with few values or
    without spread.

    Args:
        differences: Row by row; or the total of each cluster of them.
        sizes: How many rows each cluster holds; None: one.
        bounded: Whether they are differences of scores, 1 at most; the widest one seen stands for
            that in other units.
        confidence: Nominal coverage.
    """
    weights = 1.0 if sizes is None else sizes
    scale = 1.0 if bounded else float(np.abs(differences / weights).max()) or 1.0
    made = grade_interval if bounded else bootstrap_interval
    scaled = made((differences / scale + weights) / 2, sizes, confidence=confidence)
    return Interval(scale * (2 * scaled.low - 1), scale * (2 * scaled.high - 1))


def mean_p_value(differences: np.ndarray) -> float:
    """Return the two-sided p-value of "the mean difference is 0", by randomisation.

    Without a difference each row's could as well have had the other sign: p is the share of choices of
    signs whose sum is as far from 0 as the one seen (Fisher 1935, The Design of Experiments, section
    21). The sum of squares does not depend on the signs, so that this is the test of Student's
    statistic as well, which keeps its level for large samples whatever the distributions (Janssen 1997,
    Statistics & Probability Letters 36:9-21). The order of rows, and which candidate is called A,
    change nothing. Of clusters the totals are given signs.
    """
    size = np.sort(np.abs(differences[differences != 0]))
    seen = abs(math.fsum(differences)) - 10.0**-_TOLERANCE * max(1, size.size)
    if size.size == 0 or seen <= 0:
        return 1.0
    if size.size <= _ALL_FLIPS_UP_TO:
        sums = np.zeros(1)
        for value in size:
            sums = np.concatenate((sums + value, sums - value))
        return float(np.mean(np.abs(sums) >= seen))
    if size.size >= _MANY_ROWS:
        return math.erfc(seen / math.sqrt(2 * math.fsum(size * size)))
    beyond = int((np.abs(_flipped_sums(size)) >= seen).sum())
    return (1 + beyond) / (1 + _FLIPS)


def _flipped_sums(size: np.ndarray) -> np.ndarray:
    generator = np.random.default_rng(_SEED)
    values, counts = np.unique(size, return_counts=True)
    if values.size * 6 <= size.size:
        # Few values that repeat: how many of each are positive is binomial.
        positive = generator.binomial(counts, 0.5, size=(_FLIPS, values.size))
        return np.asarray((2.0 * positive - counts) @ values)
    width = -(-size.size // 8)
    bits = np.frombuffer(generator.bytes(_FLIPS * width), dtype=np.uint8).reshape(_FLIPS, width)
    signs = np.unpackbits(bits, axis=1, count=int(size.size)).astype(np.float32)
    return np.asarray(2.0 * (signs @ size) - size.sum())
