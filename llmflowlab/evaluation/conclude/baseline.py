"""Gates against an earlier evaluation: is each candidate no worse than what was there before?

Rows are matched by what they ask and expect, not by their place in the file, so that a benchmark may
grow; only rows that both answered and that were scored in the same way are compared.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.decide import Evidence, points, weigh
from llmflowlab.evaluation.conclude.gates import GateResult
from llmflowlab.evaluation.conclude.matching import judging_of, match
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.table import ScoreTable, table_of
from llmflowlab.evaluation.judging import JUDGED
from llmflowlab.evaluation.run.ledger import Ledger, StoredEvaluation
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.program import program_name

__all__ = [
    "LEAST_QUESTIONS",
    "Baseline",
    "Earlier",
    "Reference",
    "check_baseline",
    "earlier_baseline",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An evaluation that was made before, and its scores."""

    plan: EvaluationPlan
    table: ScoreTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One who was there before: the name, and where its scores stand."""

    label: str
    evaluation: str
    run_id: str | None
    before: tuple[Earlier, int] | None = None
    """The earlier evaluation, and the candidate in it."""
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
    earlier = Earlier(plan=before, table=table_of(before, scores, exams=ledger.exams(stored.id)))
    runs = stored.runs.get("candidates") or [None] * len(before.candidates)
    references = []
    for index in range(len(plan.candidates)):
        then = chosen if chosen is not None else _same(plan, index, before, named)
        references.append(
            Reference(
                label=before.candidates[then].label,
                evaluation=stored.id,
                run_id=runs[then],
                before=(earlier, then),
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
        f"({ledger.path.parent}); `{program_name()} cache` lists them."
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
    if any(plan.spec(name).kind in JUDGED for name in common) and judging_of(plan) != judging_of(
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


LEAST_QUESTIONS = 20
"""In common, for a comparison with an earlier evaluation: below, a wide margin lets anything pass."""


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
    return [
        _held_against(result, index, baseline, margin=margin, min_coverage=min_coverage)
        for index in range(len(result.candidates))
        if index not in exempt
    ]


def _held_against(
    result: EvaluationResult, index: int, baseline: Baseline, *, margin: float, min_coverage: float
) -> GateResult:
    table, scorer = result.table, baseline.scorer
    reference = baseline.references[index]
    name, against = result.candidates[index].spec.label, reference.label
    if reference.index is None:
        against += f" ({baseline.named})"
        assert reference.before is not None, "a reference of another evaluation brings its scores"
        before, then = reference.before
        common = match(before.plan.dataset.rows, result.plan.dataset.rows)
        pairs = common.pairs(scorer, (before.table, then), (table, index))
    else:
        pairs = table.pairs(scorer, reference.index, index)
    evidence = weigh(
        pairs,
        margin=margin,
        floor=min_coverage,
        interrupted=result.unfinished is not None,
        names=(against, name),
    )
    coverage = table.covered(index, scorer)
    itself = reference.index == index
    enough = pairs.n >= LEAST_QUESTIONS
    passed = itself or (evidence is not None and evidence.verdict == "non_inferior" and enough)
    low = passed and not itself and coverage is not None and coverage < min_coverage
    value = None if evidence is None or itself else evidence.paired.difference
    lower = None if evidence is None or itself else evidence.paired.lower_bound
    if low:
        reason = (
            f"{name}: compared on {coverage:.0%} of the answers only "
            f"(--min-coverage {min_coverage:g})"
        )
    elif itself:
        reason = f"{name}: it is the champion itself"
    elif evidence is not None and evidence.verdict == "non_inferior" and not enough:
        reason = (
            f"{name}: compared with {against} on {pairs.n} questions only; {LEAST_QUESTIONS} are the "
            "least on which anybody is called no worse, whatever the margin"
        )
    else:
        reason = _reason(name, against, scorer, evidence, margin)
    return GateResult(
        gate=f"compare-to {baseline.named}",
        candidate=name,
        value=value,
        threshold=-margin,
        passed=passed and not low,
        reason=reason,
        details={
            "kind": "comparison",
            "scorer": scorer,
            "baseline": reference.label,
            "baseline_evaluation": reference.evaluation,
            "baseline_run_id": reference.run_id,
            "margin": margin,
            "lower_bound": lower,
            "n": pairs.n,
            "coverage": coverage,
            "better": pairs.better_b,
            "worse": pairs.better_a,
        },
    )


def _reason(name: str, against: str, scorer: str, evidence: Evidence | None, margin: float) -> str:
    if evidence is None:
        return f"{name}: not shown to be no worse than {against}; no scored row in common"
    paired = evidence.paired
    figures = (
        f"{scorer} {points(paired.difference)}, lower bound {points(paired.lower_bound)}, margin "
        f"{100 * margin:g}, {paired.n} rows"
    )
    if evidence.verdict == "non_inferior":
        return f"{name}: no worse than {against} ({figures})"
    if evidence.verdict == "inferior":
        return f"{name}: worse than {against} ({figures})"
    caveat = f": {evidence.caveat}" if evidence.caveat is not None else ""
    return f"{name}: not shown to be no worse than {against} ({figures}){caveat}"
