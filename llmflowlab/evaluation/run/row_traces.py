"""A finished row as MLflow keeps it: one trace with its calls as spans and its scores attached."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, request_for
from llmflowlab.evaluation.scores import Score
from llmflowlab.tracking.evaluation_rows import AssessmentValue, RowTrace
from llmflowlab.tracking.spans import SpanSpec, TokenUse
from llmflowlab.tracking.violations import counts

__all__ = ["CLUSTER", "GIVEN_COLUMN", "PARTS", "TIMED_OUT", "row_inputs", "row_trace"]

CLUSTER = "llmflowlab.cluster"
"""Tag of a row: the number of its question's cluster, where a column makes clusters."""
PARTS = "llmflowlab.parts"
"""Metadata of an assessment: the statistics of a corpus score, as a JSON array."""

GIVEN_COLUMN = "llmflowlab.given"
"""Tag of a run and its rows whose answers stood in the data file: the column. Such traces took no time."""
TIMED_OUT = "llmflowlab.timed_out"
"""Tag of a row that was waited for in vain: its time counts as latency."""


def row_trace(
    plan: EvaluationPlan, outcome: Outcome, run_id: str, *, with_scores: bool
) -> RowTrace:
    """Build the trace of a row.

    Args:
        plan: The evaluation.
        outcome: The row.
        run_id: Its candidate's run.
        with_scores: Attach scores and expectation; left out where MLflow's harness writes them.
    """
    cell, answer = outcome.cell, outcome.answer
    row = plan.dataset.rows[cell.row]
    start = answer.started_ms * 1_000_000
    end = start + int((answer.latency or answer.took or 0.0) * 1e9)
    tokens = TokenUse(
        prompt=answer.prompt_tokens,
        completion=answer.completion_tokens,
        cached=answer.cached_tokens,
        # Everything spent on it, so that the traces add up to what the run says.
        cost_usd=None if (spent := answer.spent) is None else float(spent),
    )
    root = SpanSpec(
        name="evaluate_row",
        kind="CHAIN",
        inputs=row_inputs(plan, cell),
        outputs=answer.text if answer.answered else (answer.text or answer.error),
        start_ns=start,
        end_ns=end,
        ok=answer.answered,
        error=answer.error,
    )
    judged = [score for score in outcome.scores.values() if score.judge is not None]
    column = plan.candidates[cell.candidate].column
    asked = [] if column is not None else [_answer_span(plan, cell, answer, start, end, tokens)]
    spans = [root, *asked]
    if with_scores:
        spans += [_judge_span(score, end) for score in judged if score.prompt_tokens is not None]
    late = {TIMED_OUT: "true"} if answer.timed_out is not None else {}
    category = {"llmflowlab.category": row.category} if row.category else {}
    given = {GIVEN_COLUMN: column} if column is not None else {}
    found = counts(answer.violations)
    guarded = {"llmflowlab.guardrails": ", ".join(found)} if found else {}
    cluster = {} if plan.cluster is None else {CLUSTER: str(plan.clusters[cell.row])}
    return RowTrace(
        trace_id=plan.trace_id(cell),
        run_id=run_id,
        question=row.question,
        answer=answer.text,
        start_ns=start,
        end_ns=end,
        ok=answer.answered,
        error=answer.error,
        tokens=tokens,
        spans=spans,
        expected=(row.accepted or None) if with_scores else None,
        digest=outcome.digest,
        assessments=[assessment(s) for s in outcome.scores.values()] if with_scores else [],
        tags={
            "llmflowlab.row": row.id,
            "llmflowlab.trial": str(cell.trial),
            **category,
            **given,
            **cluster,
            **late,
            **guarded,
        },
    )


def _answer_span(
    plan: EvaluationPlan,
    cell: Cell,
    answer: AnswerRecord,
    start: int,
    end: int,
    tokens: TokenUse,
) -> SpanSpec:
    spec = plan.candidates[cell.candidate]
    request = request_for(spec, plan.dataset.rows[cell.row])
    return SpanSpec(
        name=spec.model,
        kind="CHAT_MODEL",
        inputs={"messages": request.openai_messages(), **request.parameters.given()},
        outputs={"choices": [{"message": {"role": "assistant", "content": answer.text}}]},
        start_ns=start,
        end_ns=end,
        ok=answer.answered,
        error=answer.error,
        tokens=tokens,
        model=answer.model_version or spec.model_id,
        provider=spec.provider,
        attributes={"tries": answer.tries, "waited_seconds": answer.waited},
    )


def _judge_span(score: Score, start: int) -> SpanSpec:
    # Without the usage attribute: a judge's tokens are not the candidate's, and MLflow adds a trace's
    # spans up. They stand on the assessment and, for reading, in the outputs here.
    return SpanSpec(
        name=f"judge {score.scorer}",
        kind="EVALUATOR",
        inputs={"scorer": score.scorer, "judge": score.judge},
        outputs={
            "value": score.value,
            "rationale": score.rationale,
            "prompt_tokens": score.prompt_tokens,
            "completion_tokens": score.completion_tokens,
            "cost_usd": score.cost_usd,
        },
        start_ns=start,
        end_ns=start + int(score.seconds * 1e9),
        ok=score.value is not None,
        error=score.rationale,
    )


def assessment(score: Score) -> AssessmentValue:
    """Return a score as MLflow's assessment; "not scored" is an error there, left out of means."""
    metadata: dict[str, str] = {}
    if score.cost_usd is not None and not score.reused:
        metadata["mlflow.assessment.judgeCost"] = score.cost_usd
    if score.prompt_tokens is not None and score.completion_tokens is not None:
        metadata["mlflow.assessment.judgeInputTokens"] = str(score.prompt_tokens)
        metadata["mlflow.assessment.judgeOutputTokens"] = str(score.completion_tokens)
    if score.parts is not None:
        metadata[PARTS] = json.dumps(score.parts)
    return AssessmentValue(
        name=score.scorer,
        value=score.value,
        error=score.not_scored,
        rationale=score.rationale,
        judge=score.judge,
        metadata=metadata,
    )


def row_inputs(plan: EvaluationPlan, cell: Cell) -> dict[str, Any]:
    """Return what a row's trace shows as its input."""
    row = plan.dataset.rows[cell.row]
    inputs: dict[str, Any] = {"question": row.question}
    if row.conversation is not None:
        inputs["messages"] = [asdict(message) for message in row.conversation.messages]
    if row.context:
        inputs["context"] = row.context
    return inputs
