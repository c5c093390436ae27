"""Strengths from battles: the Bradley-Terry model, its uncertainty, and ranks.

P(i beats j) = 1 / (1 + exp(θ_j − θ_i)) (Bradley & Terry 1952, Biometrika 39:324-345). **A tie is half a
win for each**, as in the public arena (Chiang et al. 2024, arXiv:2403.04132): θ then says what share of
the points is won, with ties as with shares of a judge, and needs no parameter of its own for each
kind of tie, as Davidson's model (1970, JASA 65:317-328) does. What variance ties take away is not
assumed but seen, in the sandwich and the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from llmflowlab.statistics.battle_table import BattleTable, logistic, table_of
from llmflowlab.statistics.battles import Battle
from llmflowlab.statistics.intervals import Interval

__all__ = ["POINTS", "RankedStrength", "Strengths", "fit_strengths"]

POINTS = 400 / math.log(10)
"""Points of one unit of θ: 400 points are odds of 10 to 1, as with Elo."""
_AVERAGE = 1000.0
"""Points of a candidate of average strength."""
_SEED = 20_240_607
_CELLS = 2_000_000
"""Resamples times battles that are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedStrength:
    """A candidate's place."""

    points: float
    """Strength: 1000 is the average of all candidates, 400 more are odds of 10 to 1."""
    interval: Interval
    """95 %, in points."""
    best_rank: int
    """One more than the number of candidates whose interval lies wholly above."""
    worst_rank: int
    """The number of candidates less those whose interval lies wholly below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """A fit: strengths of candidates, and what style was worth."""

    values: np.ndarray
    """θ of each candidate; their mean is 0."""
    style: np.ndarray
    """What one root mean square of each property of style adds to θ."""
    covariance: np.ndarray
    """Of `values`, by the sandwich (Huber 1967; White 1982, Econometrica 50:1-25)."""
    model_covariance: np.ndarray
    """Of `values`, as the model alone has it: the inverse of the information."""
    connected: bool
    """Whether battles lead from everybody to everybody; else some differences rest on the prior."""
    _table: BattleTable
    _raw: np.ndarray

    @property
    def battles(self) -> int:
        """How many there were."""
        return self._table.battles

    def probability(self, left: int, right: int) -> float:
        """Return the share of points that the left one is expected to win, at equal style."""
        return float(logistic(self.values[left] - self.values[right]))

    def standings(self, draws: np.ndarray | None = None) -> list[RankedStrength]:
        """Return everybody's place, with intervals from the sandwich; or from draws of `bootstrap`."""
        if draws is None:
            reach = NormalDist().inv_cdf(0.975) * np.sqrt(np.diag(self.covariance))
            low, high = self.values - reach, self.values + reach
        else:
            low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        return [
            RankedStrength(
                points=_AVERAGE + POINTS * float(value),
                interval=Interval(_AVERAGE + POINTS * float(a), _AVERAGE + POINTS * float(b)),
                best_rank=1 + int((low > b).sum()),
                worst_rank=len(self.values) - int((high < a).sum()),
            )
            for value, a, b in zip(self.values, low, high, strict=True)
        ]

    def bootstrap(self, resamples: int = 1_000) -> np.ndarray:
        """Return draws of `values`, one a line, by the Bayesian bootstrap over battles (Rubin 1981).

        Battles, or clusters of them, get weights from an exponential distribution, and so do the
        unseen ones, half of whose weight is a win and half a loss: between two candidates that is
        Jeffreys' interval of the share that one wins, so that who won all is not certain to.
        """
        table, generator = self._table, np.random.default_rng(_SEED)
        draws = np.empty((resamples, self.values.size))
        step = max(1, _CELLS // table.score.size)
        for start in range(0, resamples, step):
            size = min(step, resamples - start)
            raw = table.fit(table.drawn(size, generator), self._raw)[:, : self.values.size]
            draws[start : start + size] = raw - raw.mean(axis=1, keepdims=True)
        return draws


def fit_strengths(battles: Sequence[Battle], count: int, *, prior: float = 1.0) -> Strengths:
    """Fit strengths to battles; neither the order of battles nor their sides change anything.

    So that who won all battles gets no infinite strength, everybody has `prior` unseen battles more,
    spread over all others, half won and half lost. Resamples and the sandwich let either happen, so
    that no interval vanishes where nothing varied. Each property of style has an unseen battle too,
    at one root mean square's difference.

    Args:
        battles: With or without style.
        count: How many candidates there are, at least two.
        prior: Unseen battles a candidate; 0 is maximum likelihood, which exists only where nobody
            is in a group that won or lost everything against the others (Ford 1957).

    Raises:
        ValueError: A battle names nobody, or its score is not in [0, 1]; or there is no maximum.
    """
    for battle in battles:
        sides = {battle.left, battle.right}
        if len(sides) < 2 or not sides <= set(range(count)) or not 0 <= battle.score <= 1:
            raise ValueError(f"{battle!r} is no battle between two of {count} candidates")
    if not prior and not all(_reached(battles, count, beaten=way) for way in (True, False)):
        raise ValueError("who won or lost all battles has no finite strength without a prior")
    table = table_of(battles, count, prior)
    x, times = table.x, table.times
    weights = table.weight * times
    raw = table.fit(weights[None, :], np.zeros(x.shape[1]))[0]
    p = logistic(x @ raw)
    information = (x.T * (weights * p * (1 - p))) @ x
    slopes = (table.weight * (table.score - p))[:, None] * x
    meat = (slopes * times[:, None]).T @ slopes
    if table.cluster is not None:
        seen = table.cluster.size
        sums = np.zeros((int(table.cluster.max(initial=-1)) + 1, x.shape[1]))
        np.add.at(sums, table.cluster, slopes[:seen] * times[:seen, None])
        meat = sums.T @ sums + (slopes[seen:] * times[seen:, None]).T @ slopes[seen:]
    inverse = np.linalg.pinv(information, hermitian=True)
    return Strengths(
        values=raw[:count] - raw[:count].mean(),
        style=raw[count:],
        covariance=(inverse @ meat @ inverse)[:count, :count],
        model_covariance=inverse[:count, :count],
        connected=_reached(battles, count),
        _table=table,
        _raw=raw,
    )


def _reached(battles: Sequence[Battle], count: int, *, beaten: bool | None = None) -> bool:
    """Tell whether battles lead from the first to everybody: all, or only those won or lost there."""
    met: dict[int, set[int]] = {place: set() for place in range(count)}
    for battle in battles:
        for one, other, score in (
            (battle.left, battle.right, battle.score),
            (battle.right, battle.left, 1 - battle.score),
        ):
            if beaten is None or (score > 0 if beaten else score < 1):
                met[one].add(other)
    seen, waiting = {0}, [0]
    while waiting:
        for other in met[waiting.pop()] - seen:
            seen.add(other)
            waiting.append(other)
    return len(seen) == count
