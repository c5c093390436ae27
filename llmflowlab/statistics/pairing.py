"""Which two to set against each other next, so that a vote teaches most."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from llmflowlab.statistics.bradley_terry import Strengths

__all__ = ["next_pair"]

_POINTS, _SHARES = np.polynomial.hermite_e.hermegauss(9)
_SHARES = _SHARES / _SHARES.sum()
_ALIKE = 1e-9
"""Gains that differ by less, relatively, are equal."""


def next_pair(strengths: Strengths, generator: np.random.Generator) -> tuple[int, int]:
    """Return the two whose battle teaches most; which of them stands left is drawn.

    Every other battle is for the strengths, the one that takes most from the sum of their variances
    (A-optimal: Chaloner & Verdinelli 1995, Statistical Science 10:273-304), and every other one for
    the order, the one after which fewest pairs are expected to stand in the wrong order. Either alone
    leaves the other behind (`docs/statistics.md`). What a battle tells, p(1 − p), is averaged over what
    is not known of p: taken at the estimate, who lost their first battles by chance would not be asked
    again. Equals are drawn from, so that the first pairs are random.

    Args:
        strengths: Fitted to all battles so far, with a prior; to none at first.
        generator: Of the draws.
    """
    count = strengths.values.size
    pairs = np.array(list(combinations(range(count), 2)))
    left, right = pairs.T
    spread = strengths.model_covariance
    rows = spread[left] - spread[right]
    # Covariance of the difference within each pair with that within each other.
    across = rows[:, left] - rows[:, right]
    variance = np.diag(across)
    gap = strengths.values[left] - strengths.values[right]
    chance = 0.5 * (1 + np.tanh((gap[:, None] + np.sqrt(variance)[:, None] * _POINTS) / 2))
    told = (chance * (1 - chance)) @ _SHARES
    # By how much a battle of the column's pair lowers the variance within the row's.
    lowered = told * across**2 / (1 + told * variance)
    ordering = strengths.battles % 2 == 1
    gain = -_misplaced(gap, variance, lowered) if ordering else lowered.sum(axis=0)
    best = np.flatnonzero(gain >= gain.max() - _ALIKE * abs(gain.max()))
    first, second = pairs[generator.choice(best)]
    return (int(first), int(second)) if generator.random() < 0.5 else (int(second), int(first))


def _misplaced(gap: np.ndarray, variance: np.ndarray, lowered: np.ndarray) -> np.ndarray:
    """Return how many pairs are expected in the wrong order after a battle of each column's pair."""
    # Imported here: an arena that only shows its leaderboard need not wait for scipy.
    from scipy.special import ndtr

    left = np.sqrt(variance[:, None] - lowered)
    moved = np.sqrt(lowered)
    wrong = [ndtr(-np.abs(gap[:, None] + moved * point) / left).sum(axis=0) for point in _POINTS]
    return np.asarray(_SHARES @ np.array(wrong))
