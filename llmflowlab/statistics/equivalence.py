"""Are two candidates the same within a margin? Two one-sided tests."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from llmflowlab.statistics.noninferiority import CORRECTION
from llmflowlab.statistics.paired import differences_of, tango_statistic

__all__ = ["equivalence_p_value"]

_NORMAL_FROM = 200
"""Degrees of freedom beyond which Student's distribution is taken for normal, as for the bounds."""


def equivalence_p_value(
    a: ArrayLike,
    b: ArrayLike,
    margin: float,
    *,
    binary: bool,
    clusters: ArrayLike | None = None,
) -> float | None:
    """Return the p-value of "they differ by the margin or more"; None where no row has both values.

    The larger of the p-values of two one-sided tests (Schuirmann 1987, J. Pharmacokinet. Biopharm.
    15:657-680), at −margin and at +margin. Yes/no: Tango's score statistic, corrected as the bounds
    of `non_inferior` are. Others: Student's t; without any spread, where that would be certain after
    a single row, the score test of a mean in [−1, 1].

    Args:
        a: One candidate's scores, 0 to 1.
        b: The other's, of the same rows.
        margin: Differences below it do not matter, in points of 1.
        binary: Whether all scores are 0 or 1.
        clusters: For each row the cluster it belongs to, where rows are not independent; for degrees.
    """
    differences = differences_of(a, b)
    n = int(differences.size)
    if n == 0:
        return None
    if binary:
        only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
        low, high = (
            tango_statistic(only_a, only_b, n, at, correction=CORRECTION)
            for at in (-margin, margin)
        )
        return NormalDist().cdf(-min(low, -high))
    mean = math.fsum(differences) / n
    inside = margin - abs(mean)
    residuals = differences - mean
    if clusters is not None:
        place = np.unique(np.asarray(clusters), return_inverse=True)[1]
        residuals = np.bincount(place, weights=residuals).astype(float)
    count = int(residuals.size)
    spread = math.sqrt(math.fsum(residuals**2) * count / max(count - 1, 1))
    if count < 2 or spread < 1e-9:
        # The score test of (mean + 1) / 2, whose standard deviation is known at the margin.
        return NormalDist().cdf(-inside * math.sqrt(count / (1 - margin**2)))
    return _student_tail(n * inside / spread, count - 1)


def _student_tail(t: float, freedom: int) -> float:
    if freedom > _NORMAL_FROM:
        return NormalDist().cdf(-t)
    # Imported here: scipy.stats costs half a second, and only graded scorers need it.
    from scipy.stats import t as student

    return float(student.sf(t, freedom))
