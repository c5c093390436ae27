"""Krippendorff's alpha: how far any number of people or judges agree, some of whom may say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from llmflowlab.statistics.intervals import Interval

__all__ = ["Level", "krippendorff_alpha", "krippendorff_interval"]

Level: TypeAlias = Literal["nominal", "ordinal", "interval", "ratio"]

_SEED = 20_240_607
_RESAMPLES = 1_000
_FEWEST = 10
"""Units below which resampling says nothing of the spread."""


def krippendorff_alpha(units: Sequence[Sequence[float]], level: Level = "interval") -> float | None:
    """Return α = 1 − D_o / D_e over units with at least two values (Krippendorff 2011, sections C-E).

    The difference of two values is 1 (nominal), the number of values between them (ordinal), their
    difference (interval) or that over their sum (ratio), each squared. Of two-valued verdicts all
    but the last are the same. None where there is nothing to agree or disagree on: no such unit, or
    one value only.

    Args:
        units: For each answer the values that those who judged it gave; their number may differ.
        level: Of measurement; a ratio needs values that are not negative.
    """
    values, counts = _counted(units)
    if len(values) < 2:
        return None
    return _alpha(counts, np.ones(len(counts)), values, level)


def krippendorff_interval(
    units: Sequence[Sequence[float]], level: Level = "interval"
) -> Interval | None:
    """Return the 95 % percentile bootstrap interval of alpha, over units.

    None for fewer than ten units with two values, and where all agree, which leaves nothing to draw from.
    """
    values, counts = _counted(units)
    if len(counts) < _FEWEST or len(values) < 2 or not (counts > 0).sum(axis=1).max() > 1:
        return None
    size = len(counts)
    draws = np.random.default_rng(_SEED).multinomial(size, np.full(size, 1 / size), _RESAMPLES)
    found = [_alpha(counts, drawn, values, level) for drawn in draws]
    low, high = np.quantile([alpha for alpha in found if alpha is not None], [0.025, 0.975])
    return Interval(float(low), float(high))


def _counted(units: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the different values, and how often each was given to each unit that has two."""
    paired = [unit for unit in units if len(unit) > 1]
    values, place = np.unique([v for unit in paired for v in unit], return_inverse=True)
    counts = np.zeros((len(paired), len(values)))
    rows = np.repeat(np.arange(len(paired)), [len(unit) for unit in paired])
    np.add.at(counts, (rows, place), 1)
    return values, counts


def _alpha(
    counts: np.ndarray, weights: np.ndarray, values: np.ndarray, level: Level
) -> float | None:
    given = counts.sum(axis=1)
    marginals = weights @ counts
    apart = _apart(values, marginals, level)
    n = float(marginals.sum())
    expected = float(marginals @ apart @ marginals) / (n - 1)
    if expected == 0:
        return None
    observed = (counts.T * (weights / (given - 1))) @ counts
    return 1.0 - float((observed * apart).sum()) / expected


def _apart(values: np.ndarray, marginals: np.ndarray, level: Level) -> np.ndarray:
    """Return the squared difference of each two values."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    # Between the middles of two values' ranks lie the values between them and half of their own.
    scale = np.cumsum(marginals) - marginals / 2 if level == "ordinal" else values
    difference = np.subtract.outer(scale, scale)
    if level == "ratio":
        total = np.add.outer(scale, scale)
        difference = np.divide(difference, total, out=np.zeros_like(total), where=total != 0)
    return np.asarray(difference**2)
