"""Whether a version may become champion: decided by an evaluation of both on the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import fmean
from typing import Any, Literal, TypeAlias

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.results import CandidateResult, EvaluationResult
from llmflowlab.evaluation.run.plan import Cell, main_scorer
from llmflowlab.statistics.noninferiority import non_inferior
from llmflowlab.text.money import dollars

__all__ = ["Decision", "Paired", "Terms", "Verdict", "decide", "paired_bound"]

Verdict: TypeAlias = Literal[
    "better", "no_worse", "worse", "not_shown", "no_champion", "not_compared"
]

_NOT_MEANT = frozenset({"no_guidelines", "no_expected_answer", "no_context"})
"""Reasons of rows that a scorer has nothing to say about, which is no gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a version must show."""

    margin: float = 0.02
    """How much worse than the champion it may be, in points of 1."""
    superior: bool = False
    """Whether it must be better, not merely no worse."""
    scorer: str | None = None
    """None: the one that ranks candidates."""
    min_coverage: float = 0.95
    """Share of the rows that must have a score, of the version and of both together."""
    max_latency: float | None = None
    """Seconds that 95 of 100 answers may take at most."""
    max_cost: Decimal | None = None
    """USD that an answer may cost on average."""


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
    """Scored rows / rows that the scorer is meant for; of the version."""
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


def decide(result: EvaluationResult, terms: Terms) -> Decision:
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
    values = [_by_question(result, scorer, index) for index in range(len(result.candidates))]
    meant = _meant(result, scorer, challenger)
    coverage = len(values[challenger]) / meant if meant else 0.0
    if coverage < terms.min_coverage:
        against.append(
            f"only {coverage:.0%} of its rows were scored by {scorer} "
            f"({terms.min_coverage:.0%} are needed)"
        )
    paired: Paired | None = None
    verdict: Verdict = "no_champion"
    words: list[str] = []
    if challenger:
        verdict, paired, words = _compared(values[0], values[challenger], terms, meant)
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
        cost_per_answer=_cost_per_answer(own),
        limits=limits,
    )


def paired_bound(a: Sequence[float], b: Sequence[float]) -> Paired:
    """Return B minus A with one-sided 95 % bounds, as `non_inferior` has them.

    Raises:
        ValueError: There is no pair.
    """
    binary = all(value in {0.0, 1.0} for value in (*a, *b))
    # The bounds do not depend on the margin.
    found = non_inferior(a, b, 0.0, binary=binary)
    if found is None:
        raise ValueError("a paired bound needs pairs")
    return Paired(
        n=found.n,
        difference=found.difference,
        lower=found.lower_bound,
        upper=found.upper_bound,
    )


def _compared(
    champion: Mapping[int, float], own: Mapping[int, float], terms: Terms, meant: int
) -> tuple[Verdict, Paired | None, list[str]]:
    common = sorted(champion.keys() & own.keys())
    if not common:
        return "not_compared", None, ["no row has a score of both, so they cannot be compared"]
    paired = paired_bound([champion[row] for row in common], [own[row] for row in common])
    seen = (
        f"{_points(paired.difference)} against the champion on {paired.n} rows, "
        f"95 % lower bound {_points(paired.lower)}"
    )
    if len(common) < terms.min_coverage * meant:
        return (
            "not_compared",
            paired,
            [f"only {len(common)} of {meant} rows have a score of both ({seen})"],
        )
    margin = _points(-terms.margin)
    if paired.lower > 0:
        return "better", paired, [f"it is better: {seen}"]
    if paired.upper < -terms.margin:
        return "worse", paired, [f"it is worse than the margin of {margin} allows: {seen}"]
    if paired.lower > -terms.margin:
        words = [f"it is no worse than the margin of {margin} allows: {seen}"]
        if terms.superior:
            words = [f"it was not shown to be better: {seen}"]
        return "no_worse", paired, words
    wanted = "to be better" if terms.superior else f"to be within the margin of {margin}"
    needed = _rows_needed(paired, terms)
    more = f"; about {needed:,} rows may be enough" if needed is not None else ""
    return "not_shown", paired, [f"too few rows to show it {wanted}: {seen}{more}"]


def _rows_needed(paired: Paired, terms: Terms) -> int | None:
    """Return how many rows would show it if the differences stay as they are; None where none would."""
    room = paired.difference + (0.0 if terms.superior else terms.margin)
    if room <= 0:
        return None
    reach = paired.difference - paired.lower
    needed = math.ceil(paired.n * (reach / room) ** 2 * 1.1)
    return needed if needed > paired.n else None


def _limits(own: CandidateResult, terms: Terms) -> tuple[dict[str, bool], list[str]]:
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
        cost = _cost_per_answer(own)
        held["max_cost"] = cost is not None and cost <= terms.max_cost
        if not held["max_cost"]:
            broken.append(
                f"an answer may cost {dollars(terms.max_cost)}, and the cost is "
                f"{'unknown' if cost is None else dollars(cost)}"
            )
    return held, broken


def _cost_per_answer(own: CandidateResult) -> Decimal | None:
    if own.cost_usd is None or not own.answered:
        return None
    return own.cost_usd / own.answered


def _by_question(result: EvaluationResult, scorer: str, candidate: int) -> dict[int, float]:
    """Return each question's mean over its repetitions; questions without any score are left out."""
    found: dict[int, list[float]] = {}
    for row in result.plan.dataset.rows:
        for trial in range(result.plan.trials):
            score = result.scores.get(Cell(candidate, row.index, trial), {}).get(scorer)
            if score is not None and score.value is not None:
                found.setdefault(row.index, []).append(score.value)
    return {row: fmean(values) for row, values in found.items()}


def _meant(result: EvaluationResult, scorer: str, candidate: int) -> int:
    """Return how many questions the scorer has something to say about."""
    count = 0
    for row in result.plan.dataset.rows:
        scores = [
            result.scores.get(Cell(candidate, row.index, trial), {}).get(scorer)
            for trial in range(result.plan.trials)
        ]
        count += not all(s is not None and s.not_scored in _NOT_MEANT for s in scores)
    return count


def _points(difference: float) -> str:
    value = difference * 100
    return f"{value:+.1f} points".replace("-", "−")
