"""Which candidate to take: the cheapest that was shown to be no worse than the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmflowlab.evaluation.comparing import paired_scores
from llmflowlab.evaluation.outcomes import Scores
from llmflowlab.evaluation.plan import EvaluationPlan
from llmflowlab.evaluation.results import CandidateResult
from llmflowlab.evaluation.statistics.intervals import Interval
from llmflowlab.evaluation.statistics.noninferiority import NonInferiority, non_inferior

__all__ = ["DEFAULT_MARGIN", "FrontEntry", "Recommendation", "recommend"]

DEFAULT_MARGIN = 0.02
"""Two points of a hundred."""
_ERROR = 0.05
_FEWEST = 20
"""Common rows below which nothing is recommended against the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEntry:
    """A candidate that no other beats in quality, cost and latency at once."""

    candidate: int
    mean: float
    interval: Interval | None
    cost_usd: Decimal | None
    """Of an answer on average; None where unknown."""
    latency: float | None
    """Seconds of an answer on average."""

    def to_json(self, plan: EvaluationPlan) -> dict[str, Any]:
        return {
            "candidate": plan.candidates[self.candidate].label,
            "mean": self.mean,
            "ci_low": self.interval.low if self.interval else None,
            "ci_high": self.interval.high if self.interval else None,
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "latency": self.latency,
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
) -> Recommendation | None:
    """Return which candidate to take; None for fewer than two with scores.

    Every challenger is held against the candidate with the best mean, each at the level 5 % divided by
    their number (Bonferroni), so that the chance of recommending one that is worse by more than the
    margin stays below 5 % for all of them together. Of those shown to be no worse the cheapest is
    recommended, the faster one where prices are equal or unknown; where nothing is shown, the best.

    Args:
        plan: The evaluation.
        candidates: Their figures.
        scores: Of every cell.
        scorer: Quality is measured by it.
        binary: Which scorers say yes or no.
        margin: How much worse is still accepted, in points of 1.
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
    front = _front(candidates, means, scorer)
    priced = all(_cost(candidates[index]) is not None for index in (best, *shown))
    chosen = min((best, *shown), key=lambda index: _burden(candidates[index], priced))
    return Recommendation(
        scorer=scorer,
        candidate=chosen,
        best=best,
        margin=margin,
        evidence=shown.get(chosen),
        reason=_reason(candidates, chosen, best, shown, margin, priced=priced, scorer=scorer),
        front=front,
    )


def _cost(candidate: CandidateResult) -> Decimal | None:
    """Return USD an answer."""
    if candidate.cost_usd is None or not candidate.answered:
        return None
    return candidate.cost_usd / candidate.answered


def _burden(candidate: CandidateResult, priced: bool) -> tuple[Decimal, float]:
    cost = _cost(candidate) if priced else None
    seconds = candidate.latency.mean
    return cost or Decimal(0), float("inf") if seconds is None else seconds


def _front(
    candidates: Sequence[CandidateResult], means: Mapping[int, float], scorer: str
) -> list[FrontEntry]:
    """Return the candidates that no other is at least as good as in everything and better in one."""

    def figures(index: int) -> tuple[float, float, float]:
        cost, seconds = _cost(candidates[index]), candidates[index].latency.mean
        # What is unknown cannot be shown to be worse, nor to be better.
        return (
            -means[index],
            float("nan") if cost is None else float(cost),
            float("nan") if seconds is None else seconds,
        )

    def beaten(index: int) -> bool:
        own = figures(index)
        for other in means:
            theirs = figures(other)
            if other == index or any(x != x for x in (*own, *theirs)):
                continue
            if all(t <= o for t, o in zip(theirs, own, strict=True)) and theirs != own:
                return True
        return False

    ordered = sorted(means, key=lambda index: -means[index])
    return [
        FrontEntry(
            candidate=index,
            mean=means[index],
            interval=candidates[index].scores[scorer].interval,
            cost_usd=_cost(candidates[index]),
            latency=candidates[index].latency.mean,
        )
        for index in ordered
        if not beaten(index)
    ]


def _reason(
    candidates: Sequence[CandidateResult],
    chosen: int,
    best: int,
    shown: Mapping[int, NonInferiority],
    margin: float,
    *,
    priced: bool,
    scorer: str,
) -> str:
    points = f"{100 * margin:g} point{'' if margin == 0.01 else 's'}"
    name, leader = candidates[chosen].spec.label, candidates[best].spec.label
    if chosen == best:
        if shown:
            return (
                f"{name} is recommended: it has the best {scorer}, and of those no worse than it none "
                "costs less or answers faster."
            )
        return (
            f"{name} is recommended: it has the best {scorer}, and no other was shown to be within "
            f"{points} of it."
        )
    bound = shown[chosen].lower_bound
    return (
        f"{name} is recommended: its {scorer} is no worse than that of {leader} by more than {points} "
        f"(lower bound {100 * bound:+.1f}), and it {_cheaper(candidates, chosen, best, priced)}."
    )


def _cheaper(candidates: Sequence[CandidateResult], chosen: int, best: int, priced: bool) -> str:
    mine, theirs = _cost(candidates[chosen]), _cost(candidates[best])
    if priced and mine is not None and theirs is not None and mine < theirs:
        return "is free" if mine == 0 else f"costs {theirs / mine:.1f} times less"
    fast, slow = candidates[chosen].latency.mean, candidates[best].latency.mean
    faster = (
        "answers faster"
        if fast is None or slow is None or fast <= 0
        else f"answers {slow / fast:.1f} times faster"
    )
    return faster if priced else f"{faster} (not all prices are known)"
