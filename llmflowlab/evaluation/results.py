"""What an evaluation found: values per candidate, comparisons between them, and their JSON form."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging import PREFERENCE
from llmflowlab.evaluation.judging.agreement import JudgingQuality, judging_quality
from llmflowlab.evaluation.plan import CandidateSpec, Cell, EvaluationPlan
from llmflowlab.evaluation.scores import Score
from llmflowlab.evaluation.statistics import (
    Interval,
    PairedTest,
    holm,
    mean_interval,
    paired_test,
)

__all__ = [
    "CandidateResult",
    "Comparison",
    "EvaluationResult",
    "Latency",
    "ScoreSummary",
    "Scores",
    "Verdict",
    "build_result",
    "compare",
    "interval_over_questions",
    "quantile",
    "summarise",
]

Verdict: TypeAlias = Literal["a_better", "b_better", "no_difference_shown", "not_comparable"]
Scores: TypeAlias = Mapping[Cell, Mapping[str, Score]]
"""Every cell's score by scorer."""

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """One scorer over one candidate's answers."""

    scorer: str
    mean: float | None
    """Over the scored answers; None where none was."""
    scored: int
    coverage: float
    """Scored answers / all answers asked for."""
    interval: Interval | None
    not_scored: Mapping[str, int]
    """How many for which reason."""

    def to_json(self) -> dict[str, Any]:
        return {
            "mean": self.mean,
            "scored": self.scored,
            "coverage": self.coverage,
            "ci_low": self.interval.low if self.interval else None,
            "ci_high": self.interval.high if self.interval else None,
            "not_scored": dict(self.not_scored),
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds over the complete answers; None where there is none."""

    mean: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateResult:
    """Everything about one candidate."""

    spec: CandidateSpec
    run_id: str | None
    rows: int
    """Answers asked for: rows × trials."""
    answered: int
    failed: Mapping[str, int]
    """Answers that failed or broke off, by reason."""
    scores: Mapping[str, ScoreSummary]
    latency: Latency
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_estimated: bool
    cost_usd: Decimal | None
    """Of all its answers, reused ones included; None as soon as one has no known price."""
    sent: int
    reused: int

    def to_json(self) -> dict[str, Any]:
        known = self.prompt_tokens is not None and self.completion_tokens is not None
        total = (self.prompt_tokens or 0) + (self.completion_tokens or 0)
        return {
            "model": self.spec.model,
            "prompt": self.spec.prompt,
            "run_id": self.run_id,
            "rows": self.rows,
            "answered": self.answered,
            "failed": dict(self.failed),
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "latency": {
                "mean": self.latency.mean,
                "p50": self.latency.p50,
                "p95": self.latency.p95,
            },
            "tokens": {
                "prompt": self.prompt_tokens,
                "completion": self.completion_tokens,
                "total": total if known else None,
            },
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "calls": {"sent": self.sent, "reused": self.reused},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two candidates on one scorer, over the rows both have a score for."""

    a: str
    b: str
    scorer: str
    test: PairedTest | None
    """None where no row has both scores."""
    p_adjusted: float | None
    """After Holm, over all comparisons of the evaluation."""

    @property
    def verdict(self) -> Verdict:
        if self.test is None or self.p_adjusted is None:
            return "not_comparable"
        if self.p_adjusted >= ALPHA:
            return "no_difference_shown"
        return "b_better" if self.test.difference > 0 else "a_better"

    def to_json(self) -> dict[str, Any]:
        test = self.test
        return {
            "a": self.a,
            "b": self.b,
            "scorer": self.scorer,
            "n": test.n if test else 0,
            "difference": test.difference if test else None,
            "ci_low": test.interval.low if test else None,
            "ci_high": test.interval.high if test else None,
            "p_value": test.p_value if test else None,
            "p_adjusted": self.p_adjusted,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """The whole evaluation, ready for screens, files and scripts."""

    plan: EvaluationPlan
    parent_run_id: str | None
    candidates: Sequence[CandidateResult]
    comparisons: Sequence[Comparison]
    judge_usage: Mapping[str, Any]
    answers: Mapping[Cell, AnswerRecord]
    scores: Scores
    files: Mapping[str, str | None] = field(default_factory=dict)
    interrupted: bool = False
    problems: Sequence[str] = ()
    """What was not recorded in MLflow, in words; empty when the books balance."""
    gates: Sequence[Mapping[str, Any]] = ()
    judging: Mapping[str, JudgingQuality] = field(default_factory=dict)
    """How far the judges can be believed, by scorer; only where there were several verdicts."""

    def to_json(self) -> dict[str, Any]:
        """Return the document `evaluate --json` prints."""
        dataset = self.plan.dataset
        return {
            "evaluation_id": self.plan.evaluation_id,
            "parent_run_id": self.parent_run_id,
            "dataset": {
                "name": dataset.name,
                "rows": len(dataset.rows),
                "digest": dataset.digest,
            },
            "judge": self.plan.judge_label,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "judge_usage": dict(self.judge_usage),
            "judging": {name: quality.to_json() for name, quality in self.judging.items()},
            "gates": [dict(gate) for gate in self.gates],
            "files": {
                "answers_csv": self.files.get("answers_csv"),
                "report_html": self.files.get("report_html"),
            },
        }


def quantile(values: Sequence[float], q: float) -> float | None:
    """Return the q-quantile by linear interpolation (Hyndman & Fan 1996, type 7), None if empty."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def summarise(
    plan: EvaluationPlan,
    candidate: int,
    answers: Mapping[Cell, AnswerRecord],
    scores: Scores,
    *,
    run_id: str | None,
    reused: int,
    binary: Mapping[str, bool],
) -> CandidateResult:
    """Count up one candidate.

    Cells without an answer (not reached, out of budget) stay in the denominators.
    """
    cells = [cell for cell in plan.cells() if cell.candidate == candidate]
    records = [answers[cell] for cell in cells if cell in answers]
    complete = [record for record in records if record.answered]
    failed = Counter(record.reason or record.state for record in records if not record.answered)
    if missing := len(cells) - len(records):
        failed["not_reached"] = missing
    seconds = [record.latency for record in complete if record.latency is not None]
    costs = [record.cost for record in complete]
    priced = [cost for cost in costs if cost is not None]
    prompts = [r.prompt_tokens for r in complete if r.prompt_tokens is not None]
    completions = [r.completion_tokens for r in complete if r.completion_tokens is not None]
    return CandidateResult(
        spec=plan.candidates[candidate],
        run_id=run_id,
        rows=len(cells),
        answered=len(complete),
        failed=dict(sorted(failed.items())),
        scores={
            scorer: _summary(scorer, cells, scores, binary=binary[scorer])
            for scorer in plan.scorers
        },
        latency=Latency(
            sum(seconds) / len(seconds) if seconds else None,
            quantile(seconds, 0.5),
            quantile(seconds, 0.95),
        ),
        prompt_tokens=sum(prompts) if complete and len(prompts) == len(complete) else None,
        completion_tokens=(
            sum(completions) if complete and len(completions) == len(complete) else None
        ),
        tokens_estimated=any(record.tokens_estimated for record in complete),
        cost_usd=sum(priced, Decimal(0)) if complete and len(priced) == len(costs) else None,
        sent=sum(1 for record in records if record.tries) - reused,
        reused=reused,
    )


def _summary(scorer: str, cells: Sequence[Cell], scores: Scores, *, binary: bool) -> ScoreSummary:
    values: list[float] = []
    by_row: dict[int, list[float]] = {}
    reasons: Counter[str] = Counter()
    for cell in cells:
        score = scores.get(cell, {}).get(scorer)
        if score is None:
            reasons["not_reached"] += 1
        elif score.value is None:
            reasons[score.not_scored or "scorer_failed"] += 1
        else:
            values.append(score.value)
            by_row.setdefault(cell.row, []).append(score.value)
    return ScoreSummary(
        scorer=scorer,
        mean=sum(values) / len(values) if values else None,
        scored=len(values),
        coverage=len(values) / len(cells) if cells else 0.0,
        interval=interval_over_questions(by_row, binary=binary),
        not_scored=dict(sorted(reasons.items())),
    )


def build_result(
    plan: EvaluationPlan,
    answers: Mapping[Cell, AnswerRecord],
    scores: Scores,
    *,
    reused: Sequence[int],
    binary: Mapping[str, bool],
    interrupted: bool = False,
) -> EvaluationResult:
    """Count everything up.

    Args:
        plan: The evaluation.
        answers: By cell; cells without one were not reached.
        scores: Of those answers.
        reused: How many answers of each candidate came from earlier runs.
        binary: Which scorers say yes or no.
        interrupted: Whether it was stopped before its end.
    """
    return EvaluationResult(
        plan=plan,
        parent_run_id=None,
        candidates=[
            summarise(
                plan, index, answers, scores, run_id=None, reused=reused[index], binary=binary
            )
            for index in range(len(plan.candidates))
        ],
        comparisons=compare(plan, scores, binary=binary),
        judge_usage=judge_usage(scores),
        answers=answers,
        scores=scores,
        interrupted=interrupted,
        judging=_judging(plan, scores),
    )


def _judging(plan: EvaluationPlan, scores: Scores) -> dict[str, JudgingQuality]:
    found = {}
    for scorer in plan.scorers:
        given = [by_name[scorer] for by_name in scores.values() if scorer in by_name]
        comparing = plan.spec(scorer).kind == PREFERENCE
        quality = judging_quality(scorer, given, comparing=comparing)
        if quality is not None:
            found[scorer] = quality
    return found


def judge_usage(scores: Scores) -> dict[str, Any]:
    """Return what judging took: calls sent and reused, tokens, USD (None where unknown)."""
    asked = [
        verdict
        for by_name in scores.values()
        for score in by_name.values()
        for verdict in score.members or (score,)
        if verdict.judge is not None
    ]
    sent = [score for score in asked if not score.reused and not score.shared]
    counted = [score for score in sent if score.prompt_tokens is not None]
    costs = [Decimal(score.cost_usd) for score in counted if score.cost_usd is not None]
    return {
        "calls": {"sent": len(sent), "reused": len(asked) - len(sent)},
        "tokens": {
            "prompt": sum(score.prompt_tokens or 0 for score in counted),
            "completion": sum(score.completion_tokens or 0 for score in counted),
        },
        "cost_usd": float(sum(costs, Decimal(0))) if len(costs) == len(counted) else None,
    }


def interval_over_questions(
    by_row: Mapping[Any, Sequence[float]], *, binary: bool
) -> Interval | None:
    """Return the interval over questions.

    Repetitions of one question are not new questions, so each counts once, with its mean.
    """
    repeated = any(len(values) > 1 for values in by_row.values())
    means = [sum(values) / len(values) for values in by_row.values()]
    return mean_interval(means, binary=binary and not repeated)


def compare(
    plan: EvaluationPlan, scores: Scores, *, binary: Mapping[str, bool]
) -> list[Comparison]:
    """Compare every two candidates on every scorer, with Holm's correction over all of it."""
    found: list[tuple[int, int, str, PairedTest | None]] = []
    for first, second in itertools.combinations(range(len(plan.candidates)), 2):
        for scorer in plan.scorers:
            pairs = _pairs(plan, scores, scorer, first, second)
            test = paired_test([a for a, _ in pairs], [b for _, b in pairs], binary=binary[scorer])
            found.append((first, second, scorer, test))
    tested = [test.p_value for *_, test in found if test is not None]
    adjusted = iter(holm(tested))
    return [
        Comparison(
            a=plan.candidates[first].label,
            b=plan.candidates[second].label,
            scorer=scorer,
            test=test,
            p_adjusted=None if test is None else next(adjusted),
        )
        for first, second, scorer, test in found
    ]


def _pairs(
    plan: EvaluationPlan, scores: Scores, scorer: str, first: int, second: int
) -> list[tuple[float, float]]:
    pairs = []
    for row in plan.dataset.rows:
        both = []
        for trial in range(plan.trials):
            a = scores.get(Cell(first, row.index, trial), {}).get(scorer)
            b = scores.get(Cell(second, row.index, trial), {}).get(scorer)
            if a is not None and b is not None and a.value is not None and b.value is not None:
                both.append((a.value, b.value))
        if both:
            # One pair a question: repetitions of it are not independent.
            pairs.append((sum(a for a, _ in both) / len(both), sum(b for _, b in both) / len(both)))
    return pairs
