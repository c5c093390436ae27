"""A comparison that may be looked at after every row, and stopped as soon as it is decided.

An ordinary interval holds for one look at a size fixed beforehand; who looks again and again and stops
when it excludes 0 is wrong far more often than in 5 of 100 cases. A confidence sequence holds at all
times together.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

from llmflowlab.statistics.intervals import Interval

__all__ = ["ConfidenceSequence", "Decision", "decide"]

Decision: TypeAlias = Literal["a_better", "b_better", "equivalent"]


class ConfidenceSequence:
    """The mean of row-wise differences in [−1, 1], at every time at once.

    The hedged capital process (Waudby-Smith & Ramdas 2024, JRSS B 86:1–27, theorem 3): for every mean
    m that might be the true one, bets are placed that the values lie above m, and others that they lie
    below; under the true mean capital grows beyond 1/α with a chance of α at most, whenever one looks.
    The means whose capital stayed below make the interval. The bets are the paper's predictable
    plug-ins, cut at half of what could be lost.

    Args:
        alpha: Chance that the truth is ever outside.
    """

    GRID = 2_001
    """Means that are tried; a step is a thousandth of the difference."""
    CUT = 0.5

    def __init__(self, *, alpha: float = 0.05) -> None:
        self._alpha = alpha
        self._means = np.linspace(0.0, 1.0, self.GRID)
        self._up = np.zeros(self.GRID)
        self._down = np.zeros(self.GRID)
        self._alive = np.ones(self.GRID, dtype=bool)
        self._sum = 0.5
        self._sizes = 1.0
        self._squares = 0.25
        self.n = 0

    def add(self, difference: float, size: float = 1.0) -> None:
        """Take in the next difference, B minus A, in [−1, 1].

        Rows, or clusters of them, must come in an order that has nothing to do with their values.

        Args:
            difference: Of a row; or the sum of a cluster's, over the number of rows of the largest.
            size: Rows of the cluster over those of the largest. What is bet on is then the sum less the
                mean times the size, which is 0 on average under the true mean over rows.
        """
        if not 0.0 < size <= 1.0 or not abs(difference) <= size:
            raise ValueError("a difference of two scores lies in [-1, 1]")
        x = (difference + size) / 2
        # Bets may only know what came before.
        t = self.n + 1
        variance = self._squares / t
        bet = math.sqrt(2 * math.log(2 / self._alpha) / (variance * t * math.log(t + 1)))
        with np.errstate(divide="ignore"):
            above = np.minimum(bet, self.CUT / self._means)
            below = np.minimum(bet, self.CUT / (1 - self._means))
        away = x - size * self._means
        self._up += np.log1p(above * away)
        self._down += np.log1p(-below * away)
        capital = np.maximum(self._up, self._down) - math.log(2)
        self._alive &= capital < math.log(1 / self._alpha)
        self.n = t
        self._sum += x
        self._sizes += size
        self._squares += (x - size * self._sum / self._sizes) ** 2

    @property
    def interval(self) -> Interval:
        """Where the mean difference lies, at all times so far and at this one."""
        places = np.flatnonzero(self._alive)
        if places.size == 0:
            # Every mean was rejected: the values keep changing. Nothing is claimed.
            return Interval(-1.0, 1.0)
        # A step further out on either side: the truth may lie between two means that were tried.
        low = self._means[max(int(places[0]) - 1, 0)]
        high = self._means[min(int(places[-1]) + 1, self.GRID - 1)]
        return Interval(float(2 * low - 1), float(2 * high - 1))


def decide(interval: Interval, margin: float) -> Decision | None:
    """Return what an interval for B minus A decides; None while it is open.

    Args:
        interval: Of a confidence sequence.
        margin: Differences below it do not matter, in points of 1.
    """
    if interval.low > 0:
        return "b_better"
    if interval.high < 0:
        return "a_better"
    if -margin < interval.low and interval.high < margin:
        return "equivalent"
    return None
