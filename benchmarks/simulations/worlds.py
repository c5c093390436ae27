"""Worlds whose truth is known: scores of candidates of equal merit, in the shapes that mislead.

A world is an array of candidates × rows × trials, NaN where an answer is missing. In every shape all
candidates have the same true mean; `worse` makes one of them worse by a known amount. Of many
candidates no more is asked than of two: differences are made by `worse` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

__all__ = ["SHAPES", "Loss", "Shape", "World", "generator", "silent_on_errors", "worse"]

Loss: TypeAlias = Literal["rare", "even"]
_GRADES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


def generator(*seed: int) -> np.random.Generator:
    """Return random numbers that are the same at every start."""
    return np.random.default_rng([20_240_607, *seed])


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Scores of an evaluation, and what they come from."""

    yes_no: bool
    values: np.ndarray
    """Candidates × rows × trials; NaN: not scored."""
    means: tuple[float, ...]
    """Each candidate's true mean over questions."""
    questions: tuple[int, ...]
    """For each row the number of the question it asks."""
    passage: int = 1
    """Questions that share a passage, which is their cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A kind of world."""

    name: str
    yes_no: bool
    mean: float
    draw: Callable[[np.random.Generator, int, int], np.ndarray]
    """Candidates × questions × trials × times that a question stands in the file."""
    passage: int = 1
    """Questions that share a passage, which is their cluster."""
    once: bool = True
    """Whether each question is asked once."""
    uneven: bool = False
    """Whether the questions stand in the file once to as often as there are times."""

    def world(self, source: np.random.Generator, candidates: int, questions: int) -> World:
        """Draw a world of so many candidates and questions."""
        drawn = self.draw(source, candidates, questions)
        times = drawn.shape[3]
        kept = np.ones((questions, times), dtype=bool)
        if self.uneven:
            kept = np.arange(times) <= np.arange(questions)[:, None] % times
        rows = drawn.transpose(1, 3, 0, 2)[kept].transpose(1, 0, 2)
        return World(
            yes_no=self.yes_no,
            values=np.ascontiguousarray(rows),
            means=(self.mean,) * candidates,
            questions=tuple(int(question) for question in np.nonzero(kept)[0]),
            passage=self.passage,
        )


def worse(
    source: np.random.Generator, world: World, candidates: range, by: float, loss: Loss = "rare"
) -> World:
    """Return the world with some candidates worse by so many points of 1.

    Args:
        source: Of randomness.
        world: With candidates of equal merit.
        candidates: Who is to be worse.
        by: How much, at most their mean.
        loss: `rare`: some answers become the worst there is; `even`: all grades shrink alike.
    """
    values, means = world.values.copy(), list(world.means)
    for index in candidates:
        kept = 1 - by / means[index]
        if loss == "rare" or world.yes_no:
            values[index] *= source.random(values[index].shape) < kept
        else:
            values[index] *= kept
        means[index] -= by
    return replace(world, values=values, means=tuple(means))


def silent_on_errors(
    source: np.random.Generator, world: World, share: float, *, candidates: range = range(1)
) -> World:
    """Return the world with candidates that fail on a share of what they would have got wrong."""
    values = world.values.copy()
    for index in candidates:
        wrong = values[index] < 0.5
        values[index][wrong & (source.random(wrong.shape) < share)] = np.nan
    return replace(world, values=values)


# Shapes: the true mean of each is by computation from its draw


def _once(values: np.ndarray) -> np.ndarray:
    return values[:, :, None, None]


def _skewed_difficulty(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    easy = source.beta(2, 0.5, n)
    return _once((source.random((candidates, n)) < easy).astype(float))


def _ceiling(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    return _once((source.random((candidates, n)) < 0.98).astype(float))


def _correlated(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    common = source.random(n) < 0.7
    own = source.random((candidates, n)) < 0.7
    return _once(np.where(source.random((candidates, n)) < 0.85, common, own).astype(float))


def _mostly_equal(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    chances = [0.1, 0.05, 0.1, 0.25, 0.5]
    common = source.choice(_GRADES, n, p=chances)
    own = source.choice(_GRADES, (candidates, n), p=chances)
    # Where none has a grade of its own, all are equal: of any two on 85 % of the rows.
    changed = source.random((candidates, n)) < 1 - 0.85**0.5
    return _once(np.where(changed, own, common))


def _one_in_fifty(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    return _once(source.choice([0.0, 1.0], (candidates, n), p=[0.02, 0.98]))


def _few_bad(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    return _once(source.choice([0.0, 0.75, 1.0], (candidates, n), p=[0.02, 0.18, 0.8]))


def _overlap(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    full = source.random((candidates, n)) < 0.4
    return _once(np.where(full, 1.0, source.beta(2, 2, (candidates, n))))


def _unlike(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    """Return equal means of unlike shapes: always the same, all or nothing, seldom nothing, spread."""
    made = [
        np.full((1, n), 0.8),
        (source.random((1, n)) < 0.8).astype(float),
        np.where(source.random((1, n)) < 0.05, 0.0, 16 / 19),
        source.beta(4, 1, (1, n)),
    ]
    return _once(np.concatenate([made[index % 4] for index in range(candidates)]))


def _trials_with_failures(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    easy = source.beta(2, 0.5, (n, 1))
    values = (source.random((candidates, n, 3)) < easy).astype(float)
    values[source.random(values.shape) < 0.04] = np.nan
    return values[..., None]


def _passages(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    """Return questions of five a passage, which a candidate often has all right or all wrong."""
    known = np.repeat(source.random((candidates, -(-n // 5))) < 0.7, 5, axis=1)[:, :n]
    own = source.random((candidates, n)) < 0.7
    return _once(np.where(source.random((candidates, n)) < 0.6, known, own).astype(float))


def _repeated(source: np.random.Generator, candidates: int, n: int) -> np.ndarray:
    """Return up to five rows of a question, nearly always with the same outcome."""
    outcome = source.random((candidates, n, 1, 1)) < 0.7
    own = source.random((candidates, n, 1, 5)) < 0.7
    return np.where(source.random((candidates, n, 1, 5)) < 0.9, outcome, own).astype(float)


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(name="skewed difficulty", yes_no=True, mean=0.8, draw=_skewed_difficulty),
        Shape(name="ceiling, 98 % right", yes_no=True, mean=0.98, draw=_ceiling),
        Shape(name="correlated candidates", yes_no=True, mean=0.7, draw=_correlated),
        Shape(name="grades, 85 % equal", yes_no=False, mean=0.75, draw=_mostly_equal),
        Shape(name="grades, 1 in 50 the worst", yes_no=False, mean=0.98, draw=_one_in_fifty),
        Shape(name="grades, few bad", yes_no=False, mean=0.935, draw=_few_bad),
        Shape(name="overlap, 40 % full", yes_no=False, mean=0.7, draw=_overlap),
        Shape(name="grades, unlike shapes", yes_no=False, mean=0.8, draw=_unlike),
        Shape(
            name="3 trials, 4 % failed",
            yes_no=True,
            mean=0.8,
            draw=_trials_with_failures,
            once=False,
        ),
        Shape(
            name="passages of 5 questions",
            yes_no=True,
            mean=0.7,
            draw=_passages,
            passage=5,
            once=False,
        ),
        Shape(
            name="repeated questions",
            yes_no=True,
            mean=0.7,
            draw=_repeated,
            once=False,
            uneven=True,
        ),
    )
}
