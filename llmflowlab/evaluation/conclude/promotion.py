"""Whether a version may become champion: decided by an evaluation of both on the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.decide import Evidence, points, weigh
from llmflowlab.evaluation.conclude.results import CandidateResult, EvaluationResult
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.noninferiority import NonInferiority
from llmflowlab.text.money import dollars

__all__ = ["Decision", "Paired", "PromotionTerms", "Verdict", "decide"]

Verdict: TypeAlias = Literal[
    "better", "no_worse", "worse", "not_shown", "no_champion", "not_compared"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionTerms:
    """What a version must show."""

    margin: float = 0.02
    """How much worse than the champion it may be, in points of 1."""
    superior: bool = False
    """Whether it must be better, not merely no worse."""
    scorer: str | None = None
    """None: the one that ranks candidates."""
    min_coverage: float = COVERAGE_FLOOR
    """Share of the rows that must have a score, of the version and of both together."""
    max_latency: float | None = None
    """Seconds that 95 of 100 answers may take at most."""
    max_cost: Decimal | None = None
    """USD that a whole answer may cost on average, what failed on the way to it included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The version minus the champion, over the questions that both have a score for."""

    n: int
    difference: float
    lower: float
    """One-sided 95 % bound: the true difference is hardly below it."""
    upper: float
    """The same from above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether the version is promoted, and why."""

    promoted: bool
    verdict: Verdict
    scorer: str
    reasons: Sequence[str]
    """Sentences; what stands against a promotion first."""
    paired: Paired | None
    coverage: float
    """Scored answers / answers that could be scored; of the version."""
    latency_p95: float | None
    cost_per_answer: Decimal | None
    limits: Mapping[str, bool] = field(default_factory=dict)
    """Whether each limit that was set holds."""

    def to_json(self) -> dict[str, Any]:
        paired = self.paired
        return {
            "promoted": self.promoted,
            "verdict": self.verdict,
            "scorer": self.scorer,
            "reasons": list(self.reasons),
            "n": paired.n if paired else None,
            "difference": paired.difference if paired else None,
            "lower_bound": paired.lower if paired else None,
            "upper_bound": paired.upper if paired else None,
            "coverage": self.coverage,
            "latency_p95": self.latency_p95,
            "cost_per_answer_usd": (
                None if self.cost_per_answer is None else float(self.cost_per_answer)
            ),
            "limits": dict(self.limits),
        }


def decide(result: EvaluationResult, terms: PromotionTerms) -> Decision:
    """Decide on the last candidate of a result; one before it is the champion.

    Raises:
        InputError: The evaluation has no such scorer.
    """
    scorer = terms.scorer or main_scorer(result.plan.scorers)
    if scorer not in result.plan.scorers:
        raise InputError(f"The evaluation has no scorer {scorer!r}.")
    challenger = len(result.candidates) - 1
    own = result.candidates[challenger]
    against: list[str] = []
    coverage = result.table.covered(challenger, scorer) or 0.0
    if coverage < terms.min_coverage:
        against.append(
            f"only {coverage:.0%} of its rows were scored by {scorer} "
            f"({terms.min_coverage:.0%} are needed)"
        )
    if result.unfinished is not None:
        against.append(result.unfinished)
    if not challenger and scorer in result.table.doubts:
        against.append(result.table.doubts[scorer])
    paired: Paired | None = None
    verdict: Verdict = "no_champion"
    words: list[str] = []
    if challenger:
        evidence = weigh(
            result.table.pairs(scorer, 0, challenger),
            margin=terms.margin,
            floor=terms.min_coverage,
            interrupted=result.unfinished is not None,
            names=("the champion", "the version"),
        )
        paired = None if evidence is None else _paired(evidence)
        verdict, words = _compared(evidence, terms)
        if verdict not in ({"better"} if terms.superior else {"better", "no_worse"}):
            against, words = [*words, *against], []
    else:
        words = [f"there was no champion to compare it with; {scorer} covers {coverage:.0%}"]
    limits, broken = _limits(own, terms)
    against += broken
    return Decision(
        promoted=not against,
        verdict=verdict,
        scorer=scorer,
        reasons=[*against, *words],
        paired=paired,
        coverage=coverage,
        latency_p95=own.latency.p95,
        cost_per_answer=own.cost_per_answer,
        limits=limits,
    )


def _paired(evidence: Evidence) -> Paired:
    found = evidence.paired
    return Paired(
        n=found.n, difference=found.difference, lower=found.lower_bound, upper=found.upper_bound
    )


def _compared(evidence: Evidence | None, terms: PromotionTerms) -> tuple[Verdict, list[str]]:
    if evidence is None:
        return "not_compared", ["no row has a score of both, so they cannot be compared"]
    found = evidence.paired
    seen = (
        f"{points(found.difference)} against the champion on {found.n} rows, "
        f"95 % lower bound {points(found.lower_bound)}"
    )
    if evidence.withheld is not None:
        return "not_compared", [f"{evidence.withheld} ({seen})"]
    margin = points(-terms.margin)
    if evidence.superior:
        return "better", [f"it is better: {seen}"]
    caveat = f"; {evidence.caveat}" if evidence.caveat is not None else ""
    if evidence.verdict == "inferior":
        return "worse", [f"it is worse than the margin of {margin} allows: {seen}"]
    if evidence.verdict == "non_inferior":
        words = [f"it is no worse than the margin of {margin} allows: {seen}"]
        if terms.superior:
            words = [f"it was not shown to be better: {seen}{caveat}"]
        return "no_worse", words
    wanted = "to be better" if terms.superior else f"to be within the margin of {margin}"
    if caveat:
        return "not_shown", [f"it was not shown {wanted}: {seen}{caveat}"]
    needed = _rows_needed(found, terms)
    more = f"; about {needed:,} rows may be enough" if needed is not None else ""
    return "not_shown", [f"too few rows to show it {wanted}: {seen}{more}"]


def _rows_needed(found: NonInferiority, terms: PromotionTerms) -> int | None:
    """Return how many rows would show it if the differences stay as they are; None where none would."""
    room = found.difference + (0.0 if terms.superior else terms.margin)
    if room <= 0:
        return None
    reach = found.difference - found.lower_bound
    needed = math.ceil(found.n * (reach / room) ** 2 * 1.1)
    return needed if needed > found.n else None


def _limits(own: CandidateResult, terms: PromotionTerms) -> tuple[dict[str, bool], list[str]]:
    held: dict[str, bool] = {}
    broken: list[str] = []
    if terms.max_latency is not None:
        p95 = own.latency.p95
        held["max_latency"] = p95 is not None and p95 <= terms.max_latency
        if not held["max_latency"]:
            took = "unknown" if p95 is None else f"{p95:.3g} s"
            broken.append(
                f"95 of 100 answers must come within {terms.max_latency:g} s, and it is {took}"
            )
    if terms.max_cost is not None:
        cost = own.cost_per_answer
        held["max_cost"] = cost is not None and cost <= terms.max_cost
        if not held["max_cost"]:
            broken.append(
                f"an answer may cost {dollars(terms.max_cost)}, and the cost is "
                f"{'unknown' if cost is None else dollars(cost)}"
            )
    return held, broken
