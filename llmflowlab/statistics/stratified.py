"""The mean of a sample that was drawn unequally from strata."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from llmflowlab.statistics.intervals import Interval, wilson_interval

__all__ = ["next_stratum", "stratified_mean"]


def stratified_mean(
    values: Sequence[Sequence[float]], sizes: Sequence[int]
) -> tuple[float, Interval] | None:
    """Return the mean of all from samples of their strata, and its 95 % interval.

    The mean is Σ W_h ȳ_h with W_h the stratum's share: each value is weighted by one over the probability
    with which it was drawn. Its variance is that of two-phase sampling for stratification (Cochran 1977,
    Sampling Techniques, section 12.2): Σ W_h² s_h² / n_h + Σ W_h (ȳ_h − ȳ)² / N. The interval is Wilson's at
    the sample size of equal variance, as in Korn and Graubard 1998 (Survey Methodology 24:193–201), which
    stays within 0 and 1.

    Args:
        values: Of each stratum, those drawn, from 0 to 1.
        sizes: How many each stratum has in all.

    Returns:
        None where a stratum has members and none was drawn.
    """
    met = [(np.asarray(v, dtype=float), n) for v, n in zip(values, sizes, strict=True) if n]
    if not met or any(not drawn.size for drawn, _ in met):
        return None
    total = sum(n for _, n in met)
    mean = sum(n * float(drawn.mean()) for drawn, n in met) / total
    pooled = np.concatenate([drawn - drawn.mean() for drawn, _ in met])
    left = pooled.size - len(met)
    # Of a stratum of which one was drawn nothing is known; it varies like the others.
    usual = float((pooled**2).sum() / left) if left else 0.25
    within = [float(drawn.var(ddof=1)) if drawn.size > 1 else usual for drawn, _ in met]
    variance = sum(
        (n / total) ** 2 * s / drawn.size + n / total * (float(drawn.mean()) - mean) ** 2 / total
        for (drawn, n), s in zip(met, within, strict=True)
    )
    drawn_in_all = pooled.size
    flat = variance <= 1e-12 or not 0 < mean < 1
    effective = drawn_in_all if flat else min(mean * (1 - mean) / variance, total)
    return mean, _wilson(mean, effective)


def _wilson(mean: float, n: float) -> Interval:
    if n >= 1:
        whole = int(n)
        return wilson_interval(mean * whole, whole)
    # Less than one value's worth.
    z = NormalDist().inv_cdf(0.975)
    spread = z * math.sqrt(0.25 / max(n, 0.25))
    return Interval(max(0.0, mean - spread), min(1.0, mean + spread))


def next_stratum(
    sizes: Sequence[int], drawn: Sequence[int], spreads: Sequence[float]
) -> int | None:
    """Return from which stratum the next one narrows the interval most; None where all are drawn.

    Neyman's allocation (1934, JRSS 97:558–606), one draw after another by Wright's priorities
    N_h s_h / √(n_h (n_h + 1)) (2012, The American Statistician 66:217–224), two of each first.

    Args:
        sizes: How many each stratum has.
        drawn: How many of them were drawn.
        spreads: Standard deviation within each.
    """
    left = [h for h, (n, seen) in enumerate(zip(sizes, drawn, strict=True)) if seen < n]
    if not left:
        return None
    first = [h for h in left if drawn[h] < 2]
    if first:
        return min(first, key=lambda h: (drawn[h], -sizes[h], h))
    return max(
        left, key=lambda h: (sizes[h] * spreads[h] / math.sqrt(drawn[h] * (drawn[h] + 1)), -h)
    )
