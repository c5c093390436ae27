"""How many questions an evaluation needs, from the differences that an earlier one saw.

Few rows tell little of how far two candidates differ, least of all whether they seldom differ by much.
So a pilot is read as if it had one more row, on which the two are as far apart as scores can be, and
all its rows weigh by chance (the Bayesian bootstrap, Rubin 1981, Ann. Statist. 9:130-134; with the
extra row its sums are beyond the true ones as often as they say whatever the distribution, Gaffke 2005,
Math. Methods Statist. 14:451-467; for shares it is the bound of Clopper and Pearson). The size is the
one whose power, averaged over those weights, is the one asked for: the larger the pilot, the smaller.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from llmflowlab.statistics.paired import paired_test
from llmflowlab.statistics.planning import MOST_ROWS, fewest_rows, yes_no_power

__all__ = ["Pilot"]

_SEED = 20_240_607
_SURE = 0.98
_WEIGHINGS = 200
_QUANTILES = 15
_TRIED = 50
"""Evaluations that are simulated to see what the test loses to the normal approximation."""
_NORMAL_FROM = 2_000
"""Rows from which the test and its interval are the normal ones: nothing is lost to them."""
_STEPS = 4
"""To the spread, in which differences are told apart: finer ones cost time and change nothing."""


class Pilot:
    """The row-wise differences of two candidates, whoever was ahead.

    Args:
        differences: Of scores in [0, 1]; one for each question.
        yes_no: Whether McNemar's test will be made.
    """

    def __init__(self, differences: ArrayLike, *, yes_no: bool) -> None:
        apart = np.abs(np.asarray(differences, dtype=float))
        self.rows = int(apart.size)
        self.yes_no = yes_no
        self.differing = int(np.count_nonzero(apart))
        """Rows on which the two were not equal."""
        self.mean_square = math.fsum(apart * apart) / self.rows
        """Of the differences that were seen."""
        squares = (self.rows * self.mean_square + 1) / (self.rows + 1)
        self.spread = squares if yes_no else math.sqrt(squares)
        """With the extra row: the share of rows on which they disagree, or the root of the mean square."""
        step = math.sqrt(squares) / _STEPS
        stepped = np.minimum(np.round(apart / step) * step, 1.0)
        self._apart, counts = np.unique(np.append(stepped, 1.0), return_counts=True)
        self._counts = counts.astype(float)

    def rows_for(self, difference: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
        """Return how many questions show a difference with the power asked for.

        Args:
            difference: What is to be seen, in points of 1, above 0 and below 1.
            power: Chance of seeing it, over what the pilot leaves open.
            alpha: Two-sided level of the test.
        """
        if self.yes_no:
            return _smallest(lambda n: self._share_power(n, difference, alpha) >= power)
        tilted = _tilted(self._apart, self._weights, difference)

        def reckoned(wanted: float) -> int:
            return _smallest(lambda n: self._mean_power(n, tilted, alpha) >= wanted)

        def short(n: int) -> float:
            return power - self._mean_power(n, tilted, alpha) + self._lost(n, tilted, alpha)

        # Of few rows the test may show nothing, whatever the normal approximation says.
        rows = max(fewest_rows(alpha), reckoned(power))
        enough_from = rows
        while rows < MOST_ROWS and (lacking := short(rows)) > 0:
            enough_from = rows + 1
            rows = max(math.ceil(1.25 * rows), reckoned(min(power + lacking, _SURE)))
        while rows - enough_from > rows // 10:
            middle = (enough_from + rows) // 2
            enough_from, rows = (enough_from, middle) if short(middle) <= 0 else (middle + 1, rows)
        return min(rows, MOST_ROWS)

    def visible(self, n: int, *, power: float = 0.8, alpha: float = 0.05) -> float | None:
        """Return the smallest difference that n questions show; None if none."""
        if n < (1 if self.yes_no else fewest_rows(alpha)):
            return None

        def shown(difference: float) -> bool:
            if self.yes_no:
                return self._share_power(n, difference, alpha) >= power
            tilted = _tilted(self._apart, self._weights, difference)
            return self._mean_power(n, tilted, alpha) >= power

        low, high = 0.0, 0.999
        if not shown(high):
            return None
        for _ in range(14):
            middle = (low + high) / 2
            low, high = (low, middle) if shown(middle) else (middle, high)
        return high

    # Yes and no: the share of rows that differ is all there is to know

    @cached_property
    def _shares(self) -> np.ndarray:
        """Of rows that differ: quantiles of what the pilot leaves open."""
        from scipy.special import betaincinv

        if self.differing == self.rows:
            return np.ones(1)
        middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        return np.asarray(betaincinv(self.differing + 1, self.rows - self.differing, middles))

    def _share_power(self, n: int, difference: float, alpha: float) -> float:
        return math.fsum(
            yes_no_power(n, max(float(share), difference), difference, alpha=alpha)
            for share in self._shares
        ) / len(self._shares)

    # Degrees: populations on the differences that were seen

    @cached_property
    def _weights(self) -> np.ndarray:
        """Shares of rows by difference, one line for each weighing."""
        drawn = np.random.default_rng(_SEED).gamma(
            self._counts, size=(_WEIGHINGS, self._counts.size)
        )
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))

    def _mean_power(self, n: int, tilted: np.ndarray, alpha: float) -> float:
        """Return the power of Student's test by the normal approximation, two rows for its spread."""
        from scipy.special import ndtr

        values = np.concatenate((-self._apart, self._apart))
        means = tilted @ values
        deviations = np.sqrt(np.maximum(tilted @ (values * values) - means * means, 1e-12))
        z = NormalDist().inv_cdf(1 - alpha / 2)
        return float(ndtr(means * math.sqrt(max(n - 2, 0)) / deviations - z).mean())

    def _lost(self, n: int, tilted: np.ndarray, alpha: float) -> float:
        """Return by how much the test that will be made has less power, by simulation.

        The same samples are held against both tests, so that little of it is chance.
        """
        if n >= _NORMAL_FROM:
            return 0.0
        source = np.random.default_rng(_SEED + 1)
        values = np.concatenate((-self._apart, self._apart))
        z = NormalDist().inv_cdf(1 - alpha / 2)
        lost = 0
        for place in range(_TRIED):
            counts = source.multinomial(n, tilted[place % len(tilted)])
            sample = np.repeat(values, counts)
            mean, deviation = float(sample.mean()), float(sample.std(ddof=1))
            test = paired_test([0.0] * n, sample.tolist(), binary=False, confidence=1 - alpha)
            assert test is not None, "there are rows"
            lost += mean * math.sqrt(n) > z * deviation
            lost -= test.p_value < alpha and test.interval.low > 0
        return max(0.0, lost / _TRIED)


def _tilted(apart: np.ndarray, weights: np.ndarray, difference: float) -> np.ndarray:
    """Return populations on −apart and +apart whose mean is the difference.

    Both signs are equally likely before; exponential tilting then changes the shares as little as can be
    (Efron 1981, Canad. J. Statist. 9:139-158), so that ties stay ties and no value leaves the scale.
    """
    # Bounds of the tilt: what is 0.01 apart on one row in ten thousand can be moved anywhere by it.
    low = np.zeros((len(weights), 1))
    high = np.full((len(weights), 1), 600.0)
    values = np.concatenate((-apart, apart))
    both = np.concatenate((weights, weights), axis=1) / 2
    tilted = both
    for _ in range(40):
        middle = (low + high) / 2
        tilted = both * np.exp(middle * (values - 1))
        tilted /= tilted.sum(axis=1, keepdims=True)
        enough = (tilted @ values)[:, None] >= difference
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(tilted)


def _smallest(enough: Callable[[int], bool]) -> int:
    """Return the smallest number of rows that is enough, to half a per cent."""
    low, high = 1, 8
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_ROWS:
            return MOST_ROWS
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
