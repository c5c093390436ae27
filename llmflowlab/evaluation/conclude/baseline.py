"""Gates against an earlier evaluation: is each candidate no worse than what was there before?

Rows are matched by what they ask and expect, not by their place in the file, so that a benchmark may
grow; only rows that both answered and that were scored in the same way are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmflowlab.data.dataset import Dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.gates import GateResult, covered
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.judging import JUDGED
from llmflowlab.evaluation.run.ledger import Ledger, StoredEvaluation
from llmflowlab.evaluation.run.outcomes import Outcome, Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, main_scorer
from llmflowlab.evaluation.run.scorer_choice import is_binary
from llmflowlab.statistics.noninferiority import non_inferior
from llmflowlab.text.digests import digest_of

__all__ = ["Baseline", "Reference", "check_baseline", "earlier_baseline", "row_values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One who was there before: the name and its score on each row."""

    label: str
    evaluation: str
    run_id: str | None
    values: Mapping[str, float] = field(default_factory=dict)
    """Mean over trials, by the row's content."""
    index: int | None = None
    """Its place where it takes part in the same evaluation, which then gives the values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What an evaluation's candidates are compared with."""

    named: str
    """As the person named it."""
    scorer: str
    references: Sequence[Reference]
    """One per candidate."""


def earlier_baseline(ledger: Ledger, plan: EvaluationPlan, named: str) -> Baseline:
    """Return the baseline that an earlier evaluation or run of this home makes.

    Of an evaluation with several candidates each is compared with itself as it was then.

    Raises:
        InputError: There is none of this name, or it cannot be compared with.
    """
    stored, chosen = _find(ledger, named)
    if stored.id == plan.evaluation_id:
        raise InputError(f"--compare-to {named} is this evaluation itself; name an earlier one.")
    before = ledger.plan(stored.id)
    scorer = _common_scorer(plan, before, named)
    outcomes = [Outcome.from_json(values) for _, values in ledger.outcomes(stored.id)]
    scores = {outcome.cell: outcome.scores for outcome in outcomes}
    runs = stored.runs.get("candidates") or [None] * len(before.candidates)
    references = []
    for index in range(len(plan.candidates)):
        then = chosen if chosen is not None else _same(plan, index, before, named)
        references.append(
            Reference(
                label=before.candidates[then].label,
                evaluation=stored.id,
                run_id=runs[then],
                values=row_values(before, scores, then, scorer),
            )
        )
    return Baseline(named=named, scorer=scorer, references=references)


def _find(ledger: Ledger, named: str) -> tuple[StoredEvaluation, int | None]:
    for stored in ledger.evaluations():
        runs = stored.runs.get("candidates") or []
        if named in runs:
            return stored, runs.index(named)
        if named in (stored.id, stored.runs.get("parent")):
            return stored, None
    raise InputError(
        f"--compare-to {named!r} is neither a run nor an evaluation of this home "
        f"({ledger.path.parent}); `cache` lists them."
    )


def _same(plan: EvaluationPlan, index: int, before: EvaluationPlan, named: str) -> int:
    """Return which of the earlier candidates is to be compared with this one."""
    if len(before.candidates) == 1:
        return 0
    mine = plan.candidates[index]
    alike: list[list[int]] = [
        [i for i, c in enumerate(before.candidates) if c.digest == mine.digest],
        [i for i, c in enumerate(before.candidates) if c.label == mine.label],
        [i for i, c in enumerate(before.candidates) if c.model == mine.model],
    ]
    found = next((places for places in alike if len(places) == 1), None)
    if found is None:
        raise InputError(
            f"--compare-to {named} has {len(before.candidates)} candidates, none of which is "
            f"{mine.label}; name the run of one of them."
        )
    return found[0]


def _common_scorer(plan: EvaluationPlan, before: EvaluationPlan, named: str) -> str:
    common = [
        name
        for name in plan.scorers
        if name in before.scorers and plan.spec(name) == before.spec(name)
    ]
    if not common:
        raise InputError(
            f"--compare-to {named} was scored by {', '.join(before.scorers)}, this evaluation is by "
            f"{', '.join(plan.scorers)}; one scorer at least must be the same."
        )
    if any(plan.spec(name).kind in JUDGED for name in common) and _judging(plan) != _judging(
        before
    ):
        # Another judge is another measure: its verdicts cannot be set beside these.
        text = [name for name in common if plan.spec(name).kind not in JUDGED]
        if not text or plan.spec(main_scorer(common)).kind in JUDGED:
            raise InputError(
                f"--compare-to {named} was judged by {before.judge_label}, not by "
                f"{plan.judge_label}; name the same with --judge, asked in the same way."
            )
        common = text
    return main_scorer(common)


def _judging(plan: EvaluationPlan) -> tuple[Any, ...]:
    return plan.judges, plan.judge_runs, plan.judge_combine


def row_values(
    plan: EvaluationPlan, scores: Scores, candidate: int, scorer: str
) -> dict[str, float]:
    """Return a candidate's mean score over trials on each row that has one, by the row's content."""
    values: dict[str, float] = {}
    for key, row in zip(_row_keys(plan.dataset), plan.dataset.rows, strict=True):
        found = []
        for trial in range(plan.trials):
            score = scores.get(Cell(candidate, row.index, trial), {}).get(scorer)
            if score is not None and score.value is not None:
                found.append(score.value)
        if found:
            values[key] = sum(found) / len(found)
    return values


def _row_keys(dataset: Dataset) -> list[str]:
    seen: Counter[str] = Counter()
    keys = []
    for row in dataset.rows:
        parts: list[Any] = [row.question, row.expected, row.context, list(row.guidelines)]
        if row.conversation is not None:
            parts.append(row.conversation.to_json())
        content = digest_of(parts)
        # The second of two equal rows is matched with the second.
        keys.append(f"{content}:{seen[content]}")
        seen[content] += 1
    return keys


def check_baseline(
    result: EvaluationResult,
    baseline: Baseline,
    *,
    margin: float,
    min_coverage: float,
    exempt: Container[int] = (),
) -> list[GateResult]:
    """Hold every candidate against its reference: no worse by more than `margin`, or not passed.

    Args:
        result: What was found.
        baseline: Whom each candidate is compared with.
        margin: In points of 1.
        min_coverage: Share of a candidate's answers that must be scored.
        exempt: Candidates, by index, that are there to be compared with.
    """
    plan, scorer = result.plan, baseline.scorer
    binary = is_binary([scorer], combine=plan.judge_combine, specs=plan.scorer_specs)[scorer]
    gates = []
    for index, candidate in enumerate(result.candidates):
        if index in exempt:
            continue
        reference = baseline.references[index]
        mine = row_values(plan, result.scores, index, scorer)
        theirs = (
            reference.values
            if reference.index is None
            else row_values(plan, result.scores, reference.index, scorer)
        )
        common = [key for key in mine if key in theirs]
        a, b = [theirs[key] for key in common], [mine[key] for key in common]
        name = candidate.spec.label
        against = reference.label
        if reference.index is None:
            against += f" ({baseline.named})"
        passed, value, lower = False, None, None
        coverage = covered(candidate.scores[scorer])
        found = non_inferior(a, b, margin, binary=binary and plan.trials == 1)
        if reference.index == index:
            passed, reason = True, f"{name}: it is the champion itself"
        elif found is None:
            reason = f"{name}: not shown to be no worse than {against}; no scored row in common"
        else:
            value, lower, verdict = found.difference, found.lower_bound, found.verdict
            figures = (
                f"{scorer} {_points(value)}, lower bound {_points(lower)}, margin "
                f"{100 * margin:g}, {len(common)} rows"
            )
            passed = verdict == "non_inferior"
            if passed:
                reason = f"{name}: no worse than {against} ({figures})"
            elif verdict == "inferior":
                reason = f"{name}: worse than {against} ({figures})"
            else:
                reason = f"{name}: not shown to be no worse than {against} ({figures})"
            if passed and coverage is not None and coverage < min_coverage:
                passed = False
                reason = (
                    f"{name}: compared on {coverage:.0%} of the answers only "
                    f"(--min-coverage {min_coverage:g})"
                )
        gates.append(
            GateResult(
                gate=f"compare-to {baseline.named}",
                candidate=name,
                value=value,
                threshold=-margin,
                passed=passed,
                reason=reason,
                details={
                    "kind": "comparison",
                    "scorer": scorer,
                    "baseline": reference.label,
                    "baseline_evaluation": reference.evaluation,
                    "baseline_run_id": reference.run_id,
                    "margin": margin,
                    "lower_bound": lower,
                    "n": len(common),
                    "coverage": coverage,
                    "better": sum(y > x for x, y in zip(a, b, strict=True)),
                    "worse": sum(y < x for x, y in zip(a, b, strict=True)),
                },
            )
        )
    return gates


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f} points"
