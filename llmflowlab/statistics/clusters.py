"""Questions that belong together, such as those on one passage: drawn, and given signs, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["design_effect", "totals"]

_DECIMALS = 12
"""Of a total; what lies beyond is the noise of sums, which must not break a tie."""


def totals(
    values: Sequence[float] | np.ndarray, clusters: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return each cluster's total and how many values it holds; the values and None without clusters.

    Args:
        values: One for each question.
        clusters: For each question the number of its cluster; None: each is one of its own.
    """
    sample = np.asarray(values, dtype=float)
    if clusters is None:
        return sample, None
    numbers, place = np.unique(clusters, return_inverse=True)
    # Sorted within clusters, so that the order of questions changes no total.
    order = np.lexsort((sample, place))
    sums = np.bincount(place[order], weights=sample[order], minlength=numbers.size)
    sizes = np.bincount(place, minlength=numbers.size)
    return np.round(sums, _DECIMALS) + 0.0, sizes.astype(float)


def design_effect(values: np.ndarray, clusters: np.ndarray | None) -> float:
    """Return how many times the variance of the mean is that of as many questions one by one.

    The linearised variance of a ratio over clusters, G/(G − 1)·Σ(total − mean·size)² / N², over s²/N
    (Kish 1965, Survey Sampling, section 8.2). 1 without clusters, or where nothing varies.
    """
    single = float(values.var(ddof=1)) / values.size if values.size > 1 else 0.0
    sums, sizes = totals(values, clusters)
    if sizes is None or single == 0 or sums.size < 2:
        return 1.0
    away = sums - float(values.mean()) * sizes
    between = sums.size / (sums.size - 1) * float((away**2).sum()) / values.size**2
    return between / single
