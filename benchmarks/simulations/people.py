"""People who judged a sample, and a judge that judged all: worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from llmflowlab.statistics.prediction_powered import combined_difference, combined_mean

__all__ = ["JUDGES", "Judge", "asked", "compared"]

Judge: TypeAlias = Literal["good", "poor", "useless"]

JUDGES: Mapping[Judge, tuple[float, float]] = {
    "good": (0.95, 0.9),
    "poor": (0.75, 0.6),
    "useless": (0.5, 0.5),
}
"""The chance of a yes where people say yes, and of a no where they say no."""
_ROWS = 500
_AGAIN = 0.6
"""Share of questions on which the second candidate answers as the first."""
_STEP = 0.1


def asked(judge: Judge, mean: float, source: np.random.Generator, labelled: int) -> float:
    """Return whether the combined interval holds the mean, people having judged so many of 500 rows."""
    said = (source.random(_ROWS) < mean).astype(float)
    found = combined_mean(_sampled(said, labelled), _judged(judge, said, source), binary=True)
    assert found is not None, "enough is judged"
    return float(found.interval.low <= mean <= found.interval.high)


def compared(judge: Judge, mean: float, source: np.random.Generator, labelled: int) -> float:
    """Return whether the combined interval holds the difference of two candidates."""
    first = (source.random(_ROWS) < mean).astype(float)
    again, other = source.random(_ROWS) < _AGAIN, source.random(_ROWS) < mean + _STEP
    second = np.where(again, first, other).astype(float)
    scores = [_judged(judge, said, source) for said in (first, second)]
    judged = [b - a for a, b in zip(*scores, strict=True)]
    found = combined_difference(_sampled(second - first, labelled), judged, binary=True)
    assert found is not None, "enough is judged"
    return float(found.interval.low <= (1 - _AGAIN) * _STEP <= found.interval.high)


def _sampled(said: np.ndarray, labelled: int) -> list[float | None]:
    return [*said[:labelled].tolist(), *[None] * (said.size - labelled)]


def _judged(judge: Judge, said: np.ndarray, source: np.random.Generator) -> list[float]:
    yes, no = JUDGES[judge]
    chance = np.where(said == 1, yes, 1 - no)
    return [float(score) for score in source.random(said.size) < chance]
