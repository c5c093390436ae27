"""What is promised, each with the worlds it is tried in and what counts as kept or broken there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from benchmarks.simulations.evaluated import Evaluated
from benchmarks.simulations.worlds import SHAPES, Loss, Shape, silent_on_errors, worse

__all__ = ["EXPERIMENTS", "PROMISES", "SIZES", "Experiment", "Promise"]

SIZES = (10, 20, 50, 200, 1000)
"""Questions."""
MARGIN = 0.1

Found = Mapping[str, float]
"""By promise: 1 or 0, or a share of several in one evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A share of evaluations, and what it may be at most or must be at least."""

    title: str
    bound: float
    side: Literal["at least", "at most"]

    def broken(self, share: float, error: float) -> bool:
        """Tell whether a share misses its bound by more than chance: by three standard errors."""
        beyond = self.bound - share if self.side == "at least" else share - self.bound
        return beyond > 3 * error + 1e-9


PROMISES = {
    "mean": Promise(
        title="The 95 % interval of a mean holds the true mean", bound=0.93, side="at least"
    ),
    "difference": Promise(
        title="The 95 % interval of a difference holds the true difference",
        bound=0.93,
        side="at least",
    ),
    "better": Promise(
        title="Somebody is called better among equals (all comparisons of the evaluation together)",
        bound=0.05,
        side="at most",
    ),
    "rank": Promise(
        title="Somebody is ranked, in letters of their own, before one who is as good or better",
        bound=0.05,
        side="at most",
    ),
    "floor": Promise(
        title="`--fail-under SCORER.ci_low=X` lets one pass whose true mean is X",
        bound=0.05,
        side="at most",
    ),
    "promoted": Promise(
        title="One that is worse by the margin is promoted", bound=0.05, side="at most"
    ),
    "gate": Promise(
        title="One that is worse by the margin passes `--compare-to`", bound=0.05, side="at most"
    ),
    "recommended": Promise(
        title="A cheaper one that is worse than the best by the margin is recommended",
        bound=0.05,
        side="at most",
    ),
    "silence": Promise(
        title="One that fails on its would-be errors is called better than its equal",
        bound=0.05,
        side="at most",
    ),
    "gain": Promise(
        title="One gains a verdict by failing on its would-be errors", bound=0.0, side="at most"
    ),
    "early": Promise(
        title="`--until-decided`: one of two equals is called better, looking after every row",
        bound=0.05,
        side="at most",
    ),
    "alike": Promise(
        title="`--until-decided`: two that are the margin apart are called alike",
        bound=0.05,
        side="at most",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A world, drawn again and again, and what one evaluation of it shows."""

    name: str
    """Of the row in the tables."""
    questions: int
    promises: tuple[str, ...]
    look: Callable[[np.random.Generator, int], Found]
    """Draws a world of so many questions, and returns what was found by promise."""
    weight: int = 1
    """By how much fewer evaluations are made of it, as each takes so much longer."""


def equals(shape: Shape, source: np.random.Generator, questions: int) -> Found:
    """Look at two of equal merit."""
    world = shape.world(source, 2, questions)
    found = Evaluated(world)
    [comparison] = found.comparisons
    assert comparison.test is not None, "both have scores in common"
    intervals = [found.table.interval(index, found.scorer) for index in (0, 1)]
    return {
        "mean": float(
            np.mean([i is not None and i.low <= shape.mean <= i.high for i in intervals])
        ),
        "difference": float(comparison.test.interval.low <= 0 <= comparison.test.interval.high),
        "better": float(bool(found.better)),
        "floor": float(found.surely_at_least(shape.mean)),
    }


def league(shape: Shape, candidates: int, source: np.random.Generator, questions: int) -> Found:
    """Look at a league of equals."""
    found = Evaluated(shape.world(source, candidates, questions))
    return {"better": float(bool(found.better))}


def mixed(shape: Shape, candidates: int, source: np.random.Generator, questions: int) -> Found:
    """Look at a league whose second half is worse by the margin."""
    half = range(candidates // 2, candidates)
    world = worse(source, shape.world(source, candidates, questions), half, MARGIN)
    board = Evaluated(world).leaderboard
    false = any(
        before.rank < after.rank
        and not set(before.group) & set(after.group)
        and world.means[before.candidate] <= world.means[after.candidate]
        for before in board
        for after in board
    )
    return {"rank": float(false)}


def margin_apart(
    shape: Shape,
    margin: float,
    loss: Loss,
    silent: bool,
    source: np.random.Generator,
    questions: int,
) -> Found:
    """Look at a version that is worse than what is in place by just the margin."""
    world = worse(source, shape.world(source, 2, questions), range(1, 2), margin, loss)
    if silent:
        world = silent_on_errors(source, world, 0.15, candidates=range(1, 2))
    found = Evaluated(world)
    advice = found.recommended(margin)
    shown = {
        "promoted": found.promotion(margin).promoted,
        "gate": found.no_worse_than_first(margin),
        "recommended": advice is not None and advice.candidate == 1 and advice.best == 0,
    }
    if not silent:
        test = found.comparisons[0].test
        shown["difference"] = (
            test is not None and test.interval.low <= -margin <= test.interval.high
        )
    return {name: float(value) for name, value in shown.items()}


def silent(shape: Shape, share: float, source: np.random.Generator, questions: int) -> Found:
    """Look at two of equal merit, one of whom fails on a share of its would-be errors."""
    whole = shape.world(source, 2, questions)
    found = Evaluated(silent_on_errors(source, whole, share))
    said = (0, 1) in found.better
    return {"silence": float(said), "gain": float(said and (0, 1) not in Evaluated(whole).better)}


def always(
    shape: Shape, apart: bool, share: float, source: np.random.Generator, questions: int
) -> Found:
    """Look after every row, at equals or at two the margin apart."""
    world = shape.world(source, 2, questions)
    if apart:
        world = worse(source, world, range(1, 2), MARGIN)
    world = silent_on_errors(source, world, share)
    verdict = Evaluated(world, until_decided=MARGIN).looked_at_always().verdict
    if apart:
        return {"alike": float(verdict == "equivalent")}
    return {"early": float(verdict in {"a_better", "b_better"})}


def _experiments() -> Iterator[Experiment]:
    for shape in SHAPES.values():
        heavy = 1 if shape.yes_no else 2
        for n in SIZES:
            slow = heavy * (2 if n == SIZES[-1] else 1)
            yield Experiment(
                name=shape.name,
                questions=n,
                promises=("mean", "difference", "better", "floor"),
                look=partial(equals, shape),
                weight=slow,
            )
            for loss in ("rare",) if shape.yes_no else ("rare", "even"):
                for margin in (MARGIN,) if shape.yes_no or loss == "even" else (MARGIN, 0.02):
                    how = "" if shape.yes_no else f", {loss} losses"
                    yield Experiment(
                        name=f"{shape.name}{how}, {100 * margin:g} points",
                        questions=n,
                        promises=("promoted", "gate", "recommended", "difference"),
                        look=partial(margin_apart, shape, margin, loss, False),
                        weight=slow,
                    )
    yield from _leagues()
    yield from _missing()
    yield from _early()


def _leagues() -> Iterator[Experiment]:
    for name in (
        "skewed difficulty",
        "correlated candidates",
        "grades, 85 % equal",
        "grades, unlike shapes",
        "3 trials, 4 % failed",
    ):
        shape = SHAPES[name]
        for candidates in (5, 8):
            for n in (10, 20, 50, 200, 1000) if shape.yes_no else (10, 20, 50, 200):
                slow = max(1, candidates * n // 400)
                yield Experiment(
                    name=f"{name}, {candidates} candidates",
                    questions=n,
                    promises=("better",),
                    look=partial(league, shape, candidates),
                    weight=slow,
                )
                if candidates == 8:
                    continue
                yield Experiment(
                    name=f"{name}, 3 of 6 worse by 10 points",
                    questions=n,
                    promises=("rank",),
                    look=partial(mixed, shape, 6),
                    weight=2 * slow,
                )


def _missing() -> Iterator[Experiment]:
    for name in (
        "skewed difficulty",
        "correlated candidates",
        "grades, 1 in 50 the worst",
        "grades, 85 % equal",
        "3 trials, 4 % failed",
    ):
        shape = SHAPES[name]
        for n in SIZES:
            for share in (0.15, 0.8):
                yield Experiment(
                    name=f"{name}, silent on {share:.0%} of its errors",
                    questions=n,
                    promises=("silence", "gain"),
                    look=partial(silent, shape, share),
                    weight=1 if n < SIZES[-1] else 2,
                )
            yield Experiment(
                name=f"{name}, silent on 15 % of its errors, 10 points",
                questions=n,
                promises=("promoted", "gate", "recommended"),
                look=partial(margin_apart, shape, MARGIN, "rare", True),
                weight=2,
            )


def _early() -> Iterator[Experiment]:
    for name in (
        "skewed difficulty",
        "correlated candidates",
        "ceiling, 98 % right",
        "grades, 85 % equal",
        "grades, 1 in 50 the worst",
        "overlap, 40 % full",
    ):
        for share in (0.0, 0.15):
            quiet = f", silent on {share:.0%} of its errors" if share else ""
            for n in (200, 1000):
                for apart, promise in ((False, "early"), (True, "alike")):
                    yield Experiment(
                        name=f"{name}{quiet}",
                        questions=n,
                        promises=(promise,),
                        look=partial(always, SHAPES[name], apart, share),
                        weight=1 if n == 200 else 3,
                    )


EXPERIMENTS: tuple[Experiment, ...] = tuple(_experiments())
