"""What is promised, each with the worlds it is tried in and what counts as kept or broken there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

import numpy as np

from benchmarks.simulations.evaluated import Evaluated
from benchmarks.simulations.people import JUDGES, Judge, asked, compared
from benchmarks.simulations.worlds import SHAPES, Loss, Shape, silent_on_errors, worse
from llmflowlab.evaluation.conclude.sizing import Spread, rows_for

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
    "no worse": Promise(
        title="One that is worse by the margin is promoted, passes `--compare-to` or, being cheaper, is "
        "recommended",
        bound=0.05,
        side="at most",
    ),
    "same": Promise(
        title="Two that are the margin apart are called the same within it",
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
    "people": Promise(
        title="The 95 % interval that combines people's words on n of 500 questions with a judge's on all "
        "holds what people would say",
        bound=0.93,
        side="at least",
    ),
    "power": Promise(
        title="The size that `plan` names, from a pilot of n questions, for 80 % power shows the difference",
        bound=0.8,
        side="at least",
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
    found = Evaluated(world, margin=margin)
    advice = found.recommended(margin)
    accepted = (
        found.promotion(margin).promoted
        or found.no_worse_than_first(margin)
        or (advice is not None and advice.candidate == 1 and advice.best == 0)
    )
    test = found.comparisons[0].test
    held = test is not None and test.interval.low <= -margin <= test.interval.high
    same = found.comparisons[0].verdict == "same_within_margin"
    return {"no worse": float(accepted), "difference": float(held), "same": float(same)}


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


def planned(
    shape: Shape,
    candidates: int,
    by: float,
    loss: Loss,
    source: np.random.Generator,
    questions: int,
) -> Found:
    """Plan from a pilot with the truth in it, and make the evaluation that was planned several times."""

    def drawn(size: int) -> Evaluated:
        last = range(candidates - 1, candidates)
        return Evaluated(worse(source, shape.world(source, candidates, size), last, by, loss))

    pilot = drawn(questions).pilot(0, candidates - 1)
    comparisons = candidates * (candidates - 1) // 2
    spread = Spread(binary=shape.yes_no, value=pilot.spread, rows=pilot.rows, pilot=pilot)
    rows = rows_for(spread, by, power=0.8, comparisons=comparisons)
    return {"power": float(np.mean([(0, candidates - 1) in drawn(rows).better for _ in range(8)]))}


def by_people(
    look: Callable[[Judge, float, np.random.Generator, int], float],
    judge: Judge,
    mean: float,
    source: np.random.Generator,
    questions: int,
) -> Found:
    """Look at people's words on a sample beside a judge's scores of all."""
    return {"people": look(judge, mean, source, questions)}


def _experiments() -> Iterator[Experiment]:
    for name, shape in SHAPES.items():
        yield from _at(
            SIZES, name, ("mean", "difference", "better", "floor"), partial(equals, shape)
        )
    for name, candidates, sizes in (
        ("skewed difficulty", 5, SIZES),
        ("grades, 85 % equal", 5, (20, 50, 200)),
        ("grades, unlike shapes", 5, (20, 50, 200)),
        ("3 trials, 4 % failed", 5, (20, 50, 200)),
        ("correlated candidates", 8, SIZES),
        ("grades, 85 % equal", 8, (20, 50)),
    ):
        look = partial(league, SHAPES[name], candidates)
        yield from _at(
            sizes, f"{name}, {candidates} candidates", ("better",), look, weight=candidates - 1
        )
    for name in ("correlated candidates", "grades, 85 % equal"):
        look = partial(mixed, SHAPES[name], 6)
        yield from _at(
            (20, 50, 200), f"{name}, 3 of 6 worse by 10 points", ("rank",), look, weight=5
        )
    losses: tuple[tuple[str, float, Loss], ...] = (
        ("skewed difficulty", MARGIN, "rare"),
        ("ceiling, 98 % right", MARGIN, "rare"),
        ("correlated candidates", MARGIN, "rare"),
        ("grades, 85 % equal", MARGIN, "rare"),
        ("grades, 85 % equal", 0.02, "rare"),
        ("grades, few bad", 0.02, "rare"),
        ("overlap, 40 % full", MARGIN, "even"),
        ("3 trials, 4 % failed", MARGIN, "rare"),
        ("passages of 5 questions", MARGIN, "rare"),
    )
    for name, margin, loss in losses:
        worlds = f"{name}, {100 * margin:g} points in {loss} losses"
        look = partial(margin_apart, SHAPES[name], margin, loss, False)
        yield from _at(SIZES, worlds, ("no worse", "difference", "same"), look, weight=2)
    for name in ("skewed difficulty", "grades, 85 % equal"):
        worlds = f"{name}, 10 points in rare losses, silent on 15 % of its errors"
        look = partial(margin_apart, SHAPES[name], MARGIN, "rare", True)
        yield from _at(SIZES, worlds, ("no worse", "same"), look, weight=2)
    for name, share in (
        ("skewed difficulty", 0.15),
        ("skewed difficulty", 0.8),
        ("grades, 1 in 50 the worst", 0.8),
        ("3 trials, 4 % failed", 0.15),
    ):
        worlds = f"{name}, silent on {100 * share:.0f} % of its errors"
        look = partial(silent, SHAPES[name], share)
        yield from _at(SIZES, worlds, ("silence", "gain"), look)
    for name, shape in SHAPES.items():
        if shape.name in {"grades, few bad", "grades, unlike shapes"} or not shape.once:
            continue
        worlds = f"{name}, silent on 15 % of its errors"
        for apart, promise in ((False, "early"), (True, "alike")):
            look = partial(always, shape, apart, 0.15)
            yield from _at(SIZES[-1:], worlds, (promise,), look, weight=3)

    for judge, mean in product(JUDGES, (0.5, 0.7, 0.9)):
        worlds = f"{judge} judge, {100 * mean:.0f} % right"
        yield from _at((20, 50, 200), worlds, ("people",), partial(by_people, asked, judge, mean))
    for judge in JUDGES:
        worlds = f"{judge} judge, difference of two"
        yield from _at((20, 50, 200), worlds, ("people",), partial(by_people, compared, judge, 0.7))

    power: tuple[tuple[str, int, float, Loss], ...] = (
        ("skewed difficulty", 2, 0.1, "rare"),
        ("skewed difficulty", 4, 0.1, "rare"),
        ("ceiling, 98 % right", 2, 0.05, "rare"),
        ("grades, 85 % equal", 2, 0.1, "rare"),
        ("grades, 85 % equal", 2, 0.1, "even"),
        ("grades, few bad", 2, 0.05, "even"),
        ("grades, 1 in 50 the worst", 2, 0.05, "rare"),
    )
    for name, candidates, by, loss in power:
        worlds = f"{name}, {candidates} candidates, {100 * by:g} points in {loss} losses"
        look = partial(planned, SHAPES[name], candidates, by, loss)
        # Sizes for grades are planned by simulation, which takes a second each.
        sizes, weight = ((20, 50, 200), 3) if SHAPES[name].yes_no else ((20, 50), 10)
        yield from _at(sizes, worlds, ("power",), look, weight=weight)


def _at(
    sizes: Sequence[int],
    name: str,
    promises: tuple[str, ...],
    look: Callable[[np.random.Generator, int], Found],
    *,
    weight: int = 1,
) -> Iterator[Experiment]:
    for n in sizes:
        slower = 1 + (n >= 200) + 2 * (n >= 1000)
        yield Experiment(
            name=name, questions=n, promises=promises, look=look, weight=weight * slower
        )


EXPERIMENTS: tuple[Experiment, ...] = tuple(_experiments())
