"""Which candidate to take: the cheapest that was shown to be no worse than the best."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.comparing import MEASURES, paired_scores
from llmflowlab.evaluation.conclude.deciding import Sequential
from llmflowlab.evaluation.conclude.results import CandidateResult, Comparison
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.statistics.intervals import Interval, bootstrap_interval
from llmflowlab.statistics.noninferiority import NonInferiority, non_inferior

__all__ = ["DEFAULT_MARGIN", "FrontEntry", "Recommendation", "recommend"]

DEFAULT_MARGIN = 0.02
"""Two points of a hundred."""
_ERROR = 0.05
_FEWEST = 20
"""Common rows below which nothing is recommended against the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEntry:
    """A candidate that no other beats in quality, cost and latency at once.

    Beaten is who is nowhere better than the other, and shown to be worse somewhere.
    """

    candidate: int
    mean: float
    interval: Interval | None
    cost_usd: Decimal | None
    """Of an answer on average; None where unknown."""
    cost_interval: Interval | None
    latency: float | None
    """Seconds of an answer on average."""
    latency_interval: Interval | None

    def to_json(self, plan: EvaluationPlan) -> dict[str, Any]:
        return {
            "candidate": plan.candidates[self.candidate].label,
            "mean": self.mean,
            **_bounds("", self.interval),
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            **_bounds("cost_", self.cost_interval),
            "latency": self.latency,
            **_bounds("latency_", self.latency_interval),
        }


def _bounds(prefix: str, interval: Interval | None) -> dict[str, float | None]:
    return {
        f"{prefix}ci_low": None if interval is None else interval.low,
        f"{prefix}ci_high": None if interval is None else interval.high,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One candidate and why."""

    scorer: str
    candidate: int
    best: int
    """The candidate with the best mean."""
    margin: float
    evidence: NonInferiority | None
    """Against the best; None where it is the best itself."""
    reason: str
    front: Sequence[FrontEntry]

    def to_json(self, plan: EvaluationPlan) -> dict[str, Any]:
        return {
            "candidate": plan.candidates[self.candidate].label,
            "reason": self.reason,
            "scorer": self.scorer,
            "margin": self.margin,
            "evidence": None if self.evidence is None else self.evidence.to_json(),
            "front": [entry.to_json(plan) for entry in self.front],
        }


def recommend(
    plan: EvaluationPlan,
    candidates: Sequence[CandidateResult],
    scores: Scores,
    scorer: str,
    *,
    binary: Mapping[str, bool],
    margin: float,
    answers: Mapping[Cell, AnswerRecord],
    comparisons: Sequence[Comparison],
    sequential: Sequential | None = None,
) -> Recommendation | None:
    """Return which candidate to take; None for fewer than two with scores.

    Every challenger is held against the candidate with the best mean, each at the level 5 % divided by
    their number (Bonferroni), so that the chance of recommending one that is worse than it by more
    than the margin stays below 5 % for all of them together. Of those shown to be no worse the cheapest
    is recommended, or the fastest where none is shown to cost less; where nothing is shown, the best.

    Args:
        plan: The evaluation.
        candidates: Their figures.
        scores: Of every cell.
        scorer: Quality is measured by it.
        binary: Which scorers say yes or no.
        margin: How much worse is still accepted, in points of 1.
        answers: Of every cell.
        comparisons: What is shown of quality, cost and latency.
        sequential: Of a comparison that may end early, whose interval takes the place of ordinary ones.
    """
    means = {
        index: mean
        for index, candidate in enumerate(candidates)
        if (mean := candidate.scores[scorer].mean) is not None
    }
    if len(means) < 2:
        return None
    best = max(means, key=lambda index: (means[index], -index))
    shown: dict[int, NonInferiority] = {}
    for index in means:
        if index == best:
            continue
        if sequential is not None:
            found: NonInferiority | None = _whenever(sequential, index, margin)
        else:
            pairs = paired_scores(plan, scores, scorer, best, index)
            found = non_inferior(
                [a for a, _ in pairs],
                [b for _, b in pairs],
                margin,
                binary=binary[scorer] and all(v in (0.0, 1.0) for pair in pairs for v in pair),
                error=_ERROR / (len(means) - 1),
            )
        if found is not None and found.n >= _FEWEST and found.verdict == "non_inferior":
            shown[index] = found
    better: set[tuple[str, int, int]] = set()
    for comparison in comparisons:
        a, b = comparison.pair
        if comparison.verdict == "a_better":
            better.add((comparison.scorer, a, b))
        elif comparison.verdict == "b_better":
            better.add((comparison.scorer, b, a))
    chosen, advantage = _least(candidates, best, shown, better)
    return Recommendation(
        scorer=scorer,
        candidate=chosen,
        best=best,
        margin=margin,
        evidence=shown.get(chosen),
        reason=_reason(candidates, chosen, best, shown, margin, advantage, scorer),
        front=[
            _entry(candidates[index], index, means[index], scorer, answers)
            for index in sorted(means, key=lambda index: -means[index])
            if not _beaten(candidates, means, index, scorer, better)
        ],
    )


def _whenever(sequential: Sequential, challenger: int, margin: float) -> NonInferiority:
    """Return the evidence of a comparison that was looked at all the time.

    An ordinary interval would promise too much where the rows ended because of what they showed.
    """
    low, high = sequential.interval.low, sequential.interval.high
    difference = sequential.difference or 0.0
    if challenger == 0:
        low, high, difference = -high, -low, -difference
    return NonInferiority(
        n=sequential.looked_at,
        difference=difference,
        lower_bound=low,
        upper_bound=high,
        margin=margin,
    )


def _cost(candidate: CandidateResult) -> Decimal | None:
    """Return USD an answer."""
    if candidate.cost_usd is None or not candidate.answered:
        return None
    return candidate.cost_usd / candidate.answered


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
        return _cost(candidates[index]) or Decimal(0), float("inf") if seconds is None else seconds

    priced = _cost(candidates[best]) is not None
    known = [index for index in shown if priced and _cost(candidates[index]) is not None]
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
) -> bool:
    def figures(place: int) -> tuple[float, float, float] | None:
        cost, seconds = _cost(candidates[place]), candidates[place].latency.mean
        # What is unknown cannot be shown to be worse, nor to be better.
        if cost is None or seconds is None:
            return None
        return -means[place], float(cost), seconds

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
) -> FrontEntry:
    cost = _cost(candidate)
    return FrontEntry(
        candidate=index,
        mean=mean,
        interval=candidate.scores[scorer].interval,
        cost_usd=cost,
        cost_interval=None if cost is None else _interval(answers, index, "cost_usd"),
        latency=candidate.latency.mean,
        latency_interval=_interval(answers, index, "latency"),
    )


def _interval(
    answers: Mapping[Cell, AnswerRecord], candidate: int, measure: str
) -> Interval | None:
    """Return the interval of what a candidate's answers take on average; None for a single one."""
    by_row: dict[int, list[float]] = {}
    for cell, answer in answers.items():
        if cell.candidate == candidate and answer.answered:
            value = MEASURES[measure](answer)
            if value is not None:
                by_row.setdefault(cell.row, []).append(value)
    values = [sum(row) / len(row) for row in by_row.values()]
    if len(values) < 2:
        return None
    most = max(values)
    if min(values) == most:
        return Interval(most, most)
    scaled = bootstrap_interval([value / most for value in values])
    return Interval(most * scaled.low, most * scaled.high)


def _reason(
    candidates: Sequence[CandidateResult],
    chosen: int,
    best: int,
    shown: Mapping[int, NonInferiority],
    margin: float,
    advantage: str | None,
    scorer: str,
) -> str:
    points = f"{100 * margin:g} point{'' if margin == 0.01 else 's'}"
    name, leader = candidates[chosen].spec.label, candidates[best].spec.label
    unpriced = any(_cost(candidates[index]) is None for index in (best, *shown))
    unknown = " (not all prices are known)" if shown and unpriced else ""
    if chosen == best:
        why = (
            f"none of those shown to be no worse by more than {points} was shown to cost less, or as "
            "little and to answer faster"
            if shown
            else f"no other was shown to be within {points} of it"
        )
        return f"{name} is recommended: it has the best {scorer}, and {why}{unknown}."
    bound = shown[chosen].lower_bound
    better = _advantage(candidates[chosen], candidates[best], advantage)
    return (
        f"{name} is recommended: its {scorer} is no worse than that of {leader} by more than {points} "
        f"(lower bound {100 * bound:+.1f}), and it {better}{unknown}."
    )


def _advantage(chosen: CandidateResult, best: CandidateResult, advantage: str | None) -> str:
    mine, theirs = _cost(chosen), _cost(best)
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
