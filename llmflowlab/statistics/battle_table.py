"""Battles in columns, and the fit of a Bradley-Terry model to any weights of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmflowlab.statistics.battles import Battle

__all__ = ["BattleTable", "logistic", "table_of"]

_ITERATIONS = 200
_LONGEST_STEP = 1.0
_NEAR = 1e-9
_DIGITS = 4 * float(np.finfo(float).eps)
_LEAST_WEIGHT = 1e-6
"""Of a battle in a resample: below it nothing is left of a double's digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BattleTable:
    """Battles in columns, equal ones together, and after them the unseen ones."""

    x: np.ndarray
    score: np.ndarray
    weight: np.ndarray
    times: np.ndarray
    """How many battles a line stands for; of the unseen a fraction."""
    cluster: np.ndarray | None
    """Of each line that was seen, from 0; None where every battle stands alone."""
    battles: int

    def fit(self, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the parameters for each line of weights, by Newton's method from `start`."""
        found = np.tile(start, (len(weights), 1))
        squares = (self.x[:, :, None] * self.x[:, None, :]).reshape(len(self.x), start.size**2)
        for _ in range(_ITERATIONS):
            p = logistic(found @ self.x.T)
            slope = (weights * (self.score - p)) @ self.x
            bend = ((weights * p * (1 - p)) @ squares).reshape(-1, start.size, start.size)
            # Strengths have no level of their own, so that there is no inverse in full.
            step = (np.linalg.pinv(bend, hermitian=True) @ slope[:, :, None])[:, :, 0]
            longest = np.abs(step).max(axis=1, keepdims=True)
            found += step * np.minimum(1, _LONGEST_STEP / np.maximum(longest, _NEAR))
            # Where hardly anything holds a strength back, its step never gets below the digits of the slope.
            settled = np.abs(slope).max(axis=1, keepdims=True) < _DIGITS * weights.sum(
                axis=1, keepdims=True
            )
            if (settled | (longest < _NEAR)).all():
                return found
        raise ArithmeticError("the strengths of these battles do not settle")

    def drawn(self, size: int, generator: np.random.Generator) -> np.ndarray:
        """Return random weights, one resample a line, whose mean is that of the battles."""
        if self.cluster is None:
            weights = generator.standard_gamma(self.times, (size, self.times.size))
        else:
            seen = self.cluster.size
            groups = generator.standard_exponential((size, int(self.cluster.max(initial=-1)) + 1))
            unseen = generator.standard_gamma(self.times[seen:], (size, self.times.size - seen))
            weights = np.hstack((groups[:, self.cluster] * self.times[:seen], unseen))
        return np.asarray(np.maximum(weights, _LEAST_WEIGHT) * self.weight)


def table_of(battles: Sequence[Battle], count: int, prior: float) -> BattleTable:
    """Bring battles into columns, in an order of their own and with the lesser number left."""
    styles = {len(battle.style) for battle in battles} or {0}
    if len(styles) > 1:
        raise ValueError("some battles have more properties of style than others")
    clustered = any(battle.cluster is not None for battle in battles)
    alone = 1 + max((b.cluster for b in battles if b.cluster is not None), default=-1)
    style = styles.pop()
    table = np.zeros((len(battles), 5 + style))
    for place, battle in enumerate(battles):
        turned = battle.left > battle.right
        cluster = alone + place if battle.cluster is None else battle.cluster
        table[place, :5] = (
            *sorted((battle.left, battle.right)),
            1 - battle.score if turned else battle.score,
            battle.weight,
            cluster if clustered else 0,
        )
        table[place, 5:] = [-s for s in battle.style] if turned else battle.style
    table, times = np.unique(table, axis=0, return_counts=True)
    x = _sides(table[:, 0], table[:, 1], count + style)
    if len(table):
        spread = np.sqrt(np.average(table[:, 5:] ** 2, axis=0, weights=times))
        x[:, count:] = table[:, 5:] / np.where(spread > 0, spread, 1)
    left, right = np.triu_indices(count, 1)
    unseen = np.vstack((_sides(left, right, count + style), np.eye(count + style)[count:]))
    shares = np.concatenate((np.full(left.size, prior / (count - 1)), np.full(style, prior)))
    if not prior:
        unseen, shares = unseen[:0], shares[:0]
    size = shares.size
    return BattleTable(
        x=np.vstack((x, unseen, unseen)),
        score=np.concatenate((table[:, 2], np.ones(size), np.zeros(size))),
        weight=np.concatenate((table[:, 3], np.ones(2 * size))),
        times=np.concatenate((times, shares / 2, shares / 2)),
        cluster=np.unique(table[:, 4], return_inverse=True)[1].reshape(-1) if clustered else None,
        battles=len(battles),
    )


def _sides(left: np.ndarray, right: np.ndarray, width: int) -> np.ndarray:
    """Return 1 for the left one and -1 for the right one of each battle."""
    x = np.zeros((len(left), width))
    rows = np.arange(len(left))
    x[rows, np.asarray(left, dtype=int)] = 1
    x[rows, np.asarray(right, dtype=int)] = -1
    return x


def logistic(x: np.ndarray | float) -> np.ndarray:
    """Return 1 / (1 + exp(−x)), for any x."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(x) / 2)))
