"""Is a challenger at most a margin worse? Not showing a difference does not show that there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from llmflowlab.statistics.clusters import totals
from llmflowlab.statistics.paired import difference_interval, differences_of, tango_interval

__all__ = ["CORRECTION", "NonInferiority", "non_inferior"]


CORRECTION = 0.25
"""Of a row: for continuity, in one-sided tests of yes/no scores at a margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """A challenger against a baseline on the rows that both have a score for."""

    n: int
    difference: float
    """Mean of the challenger minus mean of the baseline."""
    lower_bound: float
    """One-sided: the true difference lies above it, in 95 of 100 cases."""
    upper_bound: float
    """One-sided, likewise."""
    margin: float
    """How much worse is still accepted, in points of 1."""

    @property
    def verdict(self) -> Literal["non_inferior", "inferior", "not_shown"]:
        """Shown to be no worse than the margin, shown to be worse, or neither."""
        if self.lower_bound > -self.margin:
            return "non_inferior"
        return "inferior" if self.upper_bound < -self.margin else "not_shown"

    @property
    def superior(self) -> bool:
        """Whether it was shown to be better outright."""
        return self.lower_bound > 0

    @property
    def within(self) -> bool:
        """Whether the difference was shown to be smaller than the margin, whoever is better."""
        return -self.margin < self.lower_bound and self.upper_bound < self.margin

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "difference": self.difference,
            "lower_bound": self.lower_bound,
            "upper_bound": self.upper_bound,
            "margin": self.margin,
            "verdict": self.verdict,
        }


def non_inferior(
    baseline: Sequence[float] | np.ndarray,
    challenger: Sequence[float] | np.ndarray,
    margin: float,
    *,
    binary: bool,
    error: float = 0.05,
    clusters: np.ndarray | None = None,
) -> NonInferiority | None:
    """Hold a challenger against a baseline, row by row; None where no row has both scores.

    The bounds are those of two-sided intervals with confidence 1 − 2·error. Yes/no scores: Tango's
    score interval (Liu et al. 2002, Statistics in Medicine 21:231–245), corrected for continuity by a
    quarter of a row: without it the error is up to 6 % where 5 % are promised, with it below 5 % at all
    sizes, margins and shares of discordant rows that were computed. Others: of `difference_interval`
    and Student's t the wider, as the bootstrap is too narrow at one end, and a quarter of a row more, as
    grades that are nearly all equal jump like yes and no: it is 5.8 % without (1,000 rows, one in 25 the
    worst).

    Args:
        baseline: Scores of what is in place, 0 to 1.
        challenger: Scores of the same rows.
        margin: How much worse is still accepted, in points of 1; 0 asks for "not worse at all".
        binary: Whether all scores are 0 or 1.
        error: Chance of calling a challenger non-inferior that is worse by the margin.
        clusters: For each row the number of its cluster; None: each is one of its own. Not with yes/no
            scores.
    """
    if not 0 <= margin < 1:
        raise ValueError("a margin lies between 0 and 1")
    if not len(baseline):
        return None
    differences = differences_of(baseline, challenger)
    n = int(differences.size)
    confidence = 1 - 2 * error
    if binary:
        interval = tango_interval(
            int((differences < 0).sum()),
            int((differences > 0).sum()),
            n,
            confidence=confidence,
            correction=CORRECTION,
        )
        low, high = interval.low, interval.high
    else:
        interval = difference_interval(*totals(differences, clusters), confidence=confidence)
        mean, half = float(differences.mean()), _student(differences, clusters, error)
        step = CORRECTION / n
        # A difference of two scores lies between −1 and 1, and so do its bounds.
        low = max(-1.0, min(interval.low, mean - half) - step)
        high = min(1.0, max(interval.high, mean + half) + step)
    return NonInferiority(
        n=n,
        difference=math.fsum(differences) / n,
        lower_bound=low,
        upper_bound=high,
        margin=margin,
    )


def _student(differences: np.ndarray, clusters: np.ndarray | None, error: float) -> float:
    """Return t·s/√n, half the width of Student's interval; 0 for a single row or cluster."""
    sums, sizes = totals(differences, clusters)
    n = int(sums.size)
    if n < 2:
        return 0.0
    away = sums - differences.mean() * (1.0 if sizes is None else sizes)
    error_of_mean = math.sqrt(n / (n - 1) * float((away**2).sum())) / differences.size
    return float(_t_quantile(1 - error, n - 1) * error_of_mean)


def _t_quantile(probability: float, freedom: int) -> float:
    if freedom > 200:
        return NormalDist().inv_cdf(probability)
    # Imported here: scipy.stats costs half a second, and only graded scorers need it.
    from scipy.stats import t

    return float(t.ppf(probability, freedom))
