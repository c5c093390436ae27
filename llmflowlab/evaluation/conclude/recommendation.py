"""Which candidate to take: the cheapest that was shown to be no worse than the best."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import numpy as np

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.costs import Own, cost_interval, latency_interval
from llmflowlab.evaluation.conclude.decide import ALPHA, weigh
from llmflowlab.evaluation.conclude.recommendation_words import of_the_rest, reason
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
from llmflowlab.statistics.pareto import standings

__all__ = [
    "all_at_bottom",
    "better_pairs",
    "merit",
    "no_worse",
    "recommend",
    "scored_means",
    "why_nobody",
]

_FEWEST = 20
"""Common rows below which nothing is recommended against the best."""
_NOISE = 1e-9
"""Means that differ by less are equal."""


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

    Nor is there one where the judge is not believed, where all are as bad as can be, or of one over
    another of equal mean, unless it is shown to cost less or to answer faster.

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
    means = scored_means(candidates, table, scorer)
    if len(means) < 2:
        return None
    merits = {index: merit(table, scorer, index) for index in means}
    if all_at_bottom(merits, table, scorer):
        return None
    higher = table.traits[scorer].higher_is_better
    better = better_pairs(comparisons)
    top = max(merits, key=lambda index: (*merits[index], -index))
    for best in (top, *(index for index in means if index != top and merits[index] == merits[top])):
        shown = no_worse(table, scorer, means, best, margin, sequential, higher=higher)
        chosen, advantage = _least(candidates, best, shown, better)
        if chosen != best:
            break
    else:
        best = chosen = top
    equals = _equals(merits, chosen)
    if (equals and chosen == best) or not all(_ahead(chosen, o, better) for o in equals):
        return None
    units = table.units
    places, points = list(means), _points(candidates, means, higher=higher)
    beaten = {
        places[n]
        for n, standing in enumerate(
            standings(
                [points[place] for place in places],
                lambda one, other: any(
                    (what, places[one], places[other]) in better
                    for what in (scorer, "cost_usd", "latency")
                ),
            )
        )
        if standing.shown
    }
    return Recommendation(
        scorer=scorer,
        candidate=chosen,
        best=best,
        margin=margin,
        evidence=shown.get(chosen),
        reason=reason(
            candidates,
            chosen,
            best,
            shown,
            margin,
            advantage,
            f"best {scorer}{of_the_rest(candidates, means, best, scorer, higher=higher)}",
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
            if index in means and index not in beaten
        ],
    )


def why_nobody(candidates: Sequence[CandidateResult], table: ScoreTable, scorer: str) -> str:
    """Return why `recommend` names nobody, though the evaluation is whole."""
    if (doubt := table.doubts.get(scorer)) is not None:
        return doubt
    means = scored_means(candidates, table, scorer)
    if len(means) < 2:
        return (
            f"fewer than two candidates have a score by {scorer} for {COVERAGE_FLOOR:.0%} of their "
            "answers"
        )
    merits = {index: merit(table, scorer, index) for index in means}
    if all_at_bottom(merits, table, scorer):
        return f"by {scorer} no candidate is better than the worst there is"
    top = max(merits, key=lambda index: merits[index])
    same = all(abs(means[other] - means[top]) <= _NOISE for other in _equals(merits, top))
    counted = "" if same else ", missing answers counted as failures"
    return (
        f"by {scorer} the best are equal on these questions{counted}, and none of them was shown to "
        "cost less or, costing no more, to answer faster"
    )


def scored_means(
    candidates: Sequence[CandidateResult], table: ScoreTable, scorer: str
) -> dict[int, float]:
    """Return the means of those whose coverage allows a verdict."""
    return {
        index: mean
        for index, candidate in enumerate(candidates)
        if (mean := candidate.scores[scorer].mean) is not None
        and (table.covered(index, scorer) or 0.0) >= COVERAGE_FLOOR
    }


def merit(table: ScoreTable, scorer: str, candidate: int) -> tuple[float, float]:
    """Return what ranks a candidate: the mean at worst, then the mean; more is better."""
    traits = table.traits[scorer]
    sign = 1.0 if traits.higher_is_better else -1.0
    bad = None if traits.scale is None else traits.scale[0 if traits.higher_is_better else 1]
    worst = table.mean(candidate, scorer, fill=bad)
    mean = table.mean(candidate, scorer)
    # Those without a score are not asked about.
    return round(sign * (worst or 0.0), 9), round(sign * (mean or 0.0), 9)


def all_at_bottom(
    merits: Mapping[int, tuple[float, float]], table: ScoreTable, scorer: str
) -> bool:
    traits = table.traits[scorer]
    if traits.scale is None:
        return False
    bad = traits.scale[0] if traits.higher_is_better else -traits.scale[1]
    return max(mean for _, mean in merits.values()) <= bad + _NOISE


def _equals(merits: Mapping[int, tuple[float, float]], one: int) -> list[int]:
    """Return the others whose mean, as it is or at worst, is that of one."""
    return [
        other
        for other in merits
        if other != one
        and any(abs(a - b) <= _NOISE for a, b in zip(merits[other], merits[one], strict=True))
    ]


def _ahead(one: int, other: int, better: Collection[tuple[str, int, int]]) -> bool:
    """Whether one is shown to cost less than another or, not costing more, to answer faster."""
    return ("cost_usd", one, other) in better or (
        ("latency", one, other) in better and ("cost_usd", other, one) not in better
    )


def no_worse(
    table: ScoreTable,
    scorer: str,
    means: Collection[int],
    best: int,
    margin: float,
    sequential: Sequential | None,
    *,
    higher: bool,
) -> dict[int, NonInferiority]:
    """Return who is shown to be no worse than the best, with the evidence."""
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
    return shown


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
    faster = [index for index in shown if _ahead(index, best, better)]
    if faster:
        return min(faster, key=lambda index: burden(index)[1]), "latency"
    return best, None


def _points(
    candidates: Sequence[CandidateResult], means: Mapping[int, float], *, higher: bool
) -> dict[int, tuple[float | None, ...]]:
    """Return quality, cost and mean time of an answer as points for a front, less being better."""
    found: dict[int, tuple[float | None, ...]] = {}
    for place, mean in means.items():
        cost = candidates[place].cost_per_answer
        figures = None if cost is None else float(cost), candidates[place].latency.mean
        found[place] = (-mean if higher else mean, *figures)
    return found


def better_pairs(comparisons: Sequence[Comparison]) -> set[tuple[str, int, int]]:
    """Return (in what, who, than whom) for all that is shown to be better."""
    better: set[tuple[str, int, int]] = set()
    for comparison in comparisons:
        a, b = comparison.pair
        if comparison.verdict == "a_better":
            better.add((comparison.scorer, a, b))
        elif comparison.verdict == "b_better":
            better.add((comparison.scorer, b, a))
    return better


def _entry(
    candidate: CandidateResult,
    index: int,
    mean: float,
    scorer: str,
    answers: Mapping[Cell, AnswerRecord],
    units: np.ndarray,
) -> FrontEntry:
    own = Own(answers, index)
    return FrontEntry(
        candidate=index,
        mean=mean,
        interval=candidate.scores[scorer].interval,
        cost_usd=candidate.cost_per_answer,
        cost_interval=cost_interval(own, units),
        latency=candidate.latency.mean,
        latency_interval=latency_interval(own, units),
    )
