"""Which candidate to take: the cheapest that was shown to be no worse than the best."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.costs import cost_interval, latency_interval
from llmflowlab.evaluation.conclude.decide import ALPHA, weigh
from llmflowlab.evaluation.conclude.results import CandidateResult
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.conclude.verdicts import (
    Comparison,
    FrontEntry,
    Recommendation,
    Sequential,
)
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.noninferiority import NonInferiority

__all__ = ["DEFAULT_MARGIN", "recommend"]

DEFAULT_MARGIN = 0.02
"""Two points of a hundred."""
_FEWEST = 20
"""Common rows below which nothing is recommended against the best."""


def recommend(
    candidates: Sequence[CandidateResult],
    table: ScoreTable,
    scorer: str,
    *,
    margin: float,
    order: Sequence[int],
    answers: Mapping[Cell, AnswerRecord],
    comparisons: Sequence[Comparison],
    sequential: Sequential | None = None,
) -> Recommendation | None:
    """Return which candidate to take; None for fewer than two whose coverage allows a verdict.

    Nor is there one where the judge is not believed.

    The best is who has the best mean with its missing answers counted as failures, so that nobody
    leads by not answering. Every challenger is held against it, each at the level 5 % divided by
    their number (Bonferroni), so that the chance of recommending one that is worse than it by more
    than the margin stays below 5 % for all of them together. Of those shown to be no worse the cheapest
    is recommended, or the fastest where none is shown to cost less; where nothing is shown, the best.

    Args:
        candidates: Their figures.
        table: Of the scores.
        scorer: Quality is measured by it.
        margin: How much worse is still accepted, in points of 1.
        order: Of the candidates, best first.
        answers: Of every cell.
        comparisons: What is shown of quality, cost and latency.
        sequential: Of a comparison that may end early, whose interval takes the place of ordinary ones.
    """
    if scorer in table.doubts:
        return None
    means = {
        index: mean
        for index, candidate in enumerate(candidates)
        if (mean := candidate.scores[scorer].mean) is not None
        and (table.covered(index, scorer) or 0.0) >= COVERAGE_FLOOR
    }
    if len(means) < 2:
        return None
    merit = _merit(table, scorer)
    higher = table.traits[scorer].higher_is_better
    best = max(means, key=lambda index: (*merit(index), -index))
    shown: dict[int, NonInferiority] = {}
    for index in means:
        if index == best:
            continue
        if sequential is not None:
            found = _whenever(sequential, index, margin, higher=higher)
            verdict = found.verdict
        else:
            evidence = weigh(
                table.pairs(scorer, best, index), margin=margin, error=ALPHA / (len(means) - 1)
            )
            if evidence is None:
                continue
            found, verdict = evidence.paired, evidence.verdict
        if found.n >= _FEWEST and verdict == "non_inferior":
            shown[index] = found
    better: set[tuple[str, int, int]] = set()
    for comparison in comparisons:
        a, b = comparison.pair
        if comparison.verdict == "a_better":
            better.add((comparison.scorer, a, b))
        elif comparison.verdict == "b_better":
            better.add((comparison.scorer, b, a))
    units = table.units.tolist()
    chosen, advantage = _least(candidates, best, shown, better)
    return Recommendation(
        scorer=scorer,
        candidate=chosen,
        best=best,
        margin=margin,
        evidence=shown.get(chosen),
        reason=_reason(
            candidates,
            chosen,
            best,
            shown,
            margin,
            advantage,
            f"best {scorer}{_of_the_rest(candidates, means, best, scorer, higher=higher)}",
            scorer,
            same=any(
                {*comparison.pair} == {chosen, best} and comparison.scorer == scorer
                for comparison in comparisons
                if comparison.equivalence is not None and comparison.equivalence.shown
            ),
        ),
        front=[
            _entry(candidates[index], index, means[index], scorer, answers, units)
            for index in order
            if index in means
            and not _beaten(candidates, means, index, scorer, better, higher=higher)
        ],
    )


def _merit(table: ScoreTable, scorer: str) -> Callable[[int], tuple[float, float]]:
    """Return what ranks candidates: the mean at worst, then the mean; more is better."""
    traits = table.traits[scorer]
    sign = 1.0 if traits.higher_is_better else -1.0
    bad = None if traits.scale is None else traits.scale[0 if traits.higher_is_better else 1]

    def merit(index: int) -> tuple[float, float]:
        worst = table.mean(index, scorer, fill=bad)
        mean = table.mean(index, scorer)
        # Those without a score are not asked about.
        return sign * (worst or 0.0), sign * (mean or 0.0)

    return merit


def _whenever(
    sequential: Sequential, challenger: int, margin: float, *, higher: bool
) -> NonInferiority:
    """Return the evidence of a comparison that was looked at all the time.

    An ordinary interval would promise too much where the rows ended because of what they showed.
    """
    low, high = sequential.interval.low, sequential.interval.high
    difference = sequential.difference or 0.0
    if (challenger == 0) == higher:
        low, high, difference = -high, -low, -difference
    return NonInferiority(
        n=sequential.looked_at,
        difference=difference,
        lower_bound=low,
        upper_bound=high,
        margin=margin,
    )


def _least(
    candidates: Sequence[CandidateResult],
    best: int,
    shown: Mapping[int, NonInferiority],
    better: Collection[tuple[str, int, int]],
) -> tuple[int, str | None]:
    """Return who is to be taken, and what is better about it than about the best in quality.

    What chance may have made cheaper or faster on these rows is no reason to leave the best.
    """

    def burden(index: int) -> tuple[Decimal, float]:
        seconds = candidates[index].latency.mean
        return candidates[index].cost_per_answer or Decimal(0), float(
            "inf"
        ) if seconds is None else seconds

    priced = candidates[best].cost_per_answer is not None
    known = [index for index in shown if priced and candidates[index].cost_per_answer is not None]
    cheaper = [index for index in known if ("cost_usd", index, best) in better]
    if cheaper:
        return min(cheaper, key=burden), "cost_usd"
    faster = [
        index
        for index in shown
        if ("latency", index, best) in better and ("cost_usd", best, index) not in better
    ]
    if faster:
        return min(faster, key=lambda index: burden(index)[1]), "latency"
    return best, None


def _beaten(
    candidates: Sequence[CandidateResult],
    means: Mapping[int, float],
    index: int,
    scorer: str,
    better: Collection[tuple[str, int, int]],
    *,
    higher: bool,
) -> bool:
    def figures(place: int) -> tuple[float, float, float] | None:
        cost, seconds = candidates[place].cost_per_answer, candidates[place].latency.mean
        # What is unknown cannot be shown to be worse, nor to be better.
        if cost is None or seconds is None:
            return None
        return (-means[place] if higher else means[place]), float(cost), seconds

    own = figures(index)
    for other in means:
        theirs = figures(other)
        if other == index or own is None or theirs is None:
            continue
        nowhere_better = all(t <= o for t, o in zip(theirs, own, strict=True))
        if nowhere_better and any(
            (what, other, index) in better for what in (scorer, "cost_usd", "latency")
        ):
            return True
    return False


def _entry(
    candidate: CandidateResult,
    index: int,
    mean: float,
    scorer: str,
    answers: Mapping[Cell, AnswerRecord],
    units: Sequence[int],
) -> FrontEntry:
    own = {cell: answer for cell, answer in answers.items() if cell.candidate == index}
    return FrontEntry(
        candidate=index,
        mean=mean,
        interval=candidate.scores[scorer].interval,
        cost_usd=candidate.cost_per_answer,
        cost_interval=cost_interval(own, units),
        latency=candidate.latency.mean,
        latency_interval=latency_interval(own, units),
    )


def _of_the_rest(
    candidates: Sequence[CandidateResult],
    means: Mapping[int, float],
    best: int,
    scorer: str,
    *,
    higher: bool,
) -> str:
    """Say among whom the best was looked for, where somebody else has a better mean."""
    others = (c.scores[scorer].mean for n, c in enumerate(candidates) if n not in means)
    beaten = any(o is not None and (o > means[best]) == higher and o != means[best] for o in others)
    return f" of those with {COVERAGE_FLOOR:.0%} of their answers scored" if beaten else ""


def _reason(
    candidates: Sequence[CandidateResult],
    chosen: int,
    best: int,
    shown: Mapping[int, NonInferiority],
    margin: float,
    advantage: str | None,
    lead: str,
    scorer: str,
    *,
    same: bool,
) -> str:
    points = f"{100 * margin:g} point{'' if margin == 0.01 else 's'}"
    name, leader = candidates[chosen].spec.label, candidates[best].spec.label
    unpriced = any(candidates[index].cost_per_answer is None for index in (best, *shown))
    unknown = " (not all prices are known)" if shown and unpriced else ""
    if chosen == best:
        why = (
            f"none of those shown to be no worse by more than {points} was shown to cost less, or as "
            "little and to answer faster"
            if shown
            else f"no other was shown to be within {points} of it"
        )
        return f"{name} is recommended: it has the {lead}, and {why}{unknown}."
    bound = shown[chosen].lower_bound
    better = _advantage(candidates[chosen], candidates[best], advantage)
    if same:
        return (
            f"{name} is recommended: by {scorer} either will do, as {name} and {leader} are the same "
            f"within ±{points}, and it {better}{unknown}."
        )
    return (
        f"{name} is recommended: its {scorer} is no worse than that of {leader} by more than {points} "
        f"(lower bound {100 * bound:+.1f}), and it {better}{unknown}."
    )


def _advantage(chosen: CandidateResult, best: CandidateResult, advantage: str | None) -> str:
    mine, theirs = chosen.cost_per_answer, best.cost_per_answer
    if advantage == "cost_usd" and mine is not None and theirs is not None:
        return "is free" if mine == 0 else f"costs {_less(float(mine), float(theirs))}"
    fast, slow = chosen.latency.mean, best.latency.mean
    if fast is None or slow is None or fast <= 0:
        return "answers faster"
    return f"answers in {_less(fast, slow)} time"


def _less(mine: float, theirs: float) -> str:
    if theirs < 2 * mine:
        return f"{100 * (1 - mine / theirs):.0f} % less"
    times = theirs / mine
    return f"{times:.0f} times less" if times >= 10 else f"{times:.1f} times less"
