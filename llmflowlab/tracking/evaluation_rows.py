"""A row of an evaluation as MLflow keeps it: the header of a trace with its scores as assessments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import (
    Assessment,
    AssessmentError,
    AssessmentSource,
    Expectation,
    Feedback,
    TraceInfo,
)

from llmflowlab.tracking.evaluation_books import DIGEST_TAG, SOURCE_RUN
from llmflowlab.tracking.page_links import prompt_tag
from llmflowlab.tracking.spans import SpanSpec, TokenUse, TraceSpec, build_trace_info

__all__ = ["AssessmentValue", "Links", "RowTrace", "feedback_of", "row_trace_info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentValue:
    """A score as MLflow keeps it: a value, or an error that says why there is none."""

    name: str
    value: float | str | None
    error: str | None = None
    """Reason for not being scored; MLflow leaves such assessments out of its means."""
    rationale: str | None = None
    judge: str | None = None
    """Model reference of the judge; None for code and for people."""
    person: str | None = None
    """Who said so, where no judge and no code did."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTrace:
    """A row's answer as a trace: root span with the question, child spans with the calls."""

    trace_id: str
    run_id: str
    question: str
    answer: str
    start_ns: int
    end_ns: int
    ok: bool
    error: str | None
    tokens: TokenUse
    spans: Sequence[SpanSpec]
    expected: str | None
    digest: str
    """Of the answer and scores it is made from."""
    name: str = "evaluate_row"
    assessments: Sequence[AssessmentValue] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where the traces and figures of a candidate's run lead to."""

    model_id: str | None = None
    """Its logged model; None where it has none."""
    prompt: str | None = None
    """`NAME@VERSION` of its system prompt in the registry."""


def row_trace_info(
    row: RowTrace, links: Links, *, experiment_id: str, created_ms: int
) -> TraceInfo:
    """Return the header of a row's trace; written again it changes nothing.

    Args:
        row: The row.
        links: Of its run.
        experiment_id: Where the trace belongs.
        created_ms: The evaluation's beginning.
    """
    info = build_trace_info(
        TraceSpec(
            trace_id=row.trace_id,
            experiment_id=experiment_id,
            name=row.name,
            run_id=row.run_id,
            start_ns=row.start_ns,
            end_ns=row.end_ns,
            ok=row.ok,
            request=row.question,
            response=row.answer if row.ok else (row.error or ""),
            tokens=row.tokens,
            model_id=links.model_id,
            tags={**row.tags, **prompt_tag(links.prompt), DIGEST_TAG: row.digest},
        )
    )
    info.assessments = _assessments(row, created_ms)
    return info


def _assessments(row: RowTrace, created_ms: int) -> list[Assessment]:
    metadata = {SOURCE_RUN: row.run_id}
    found: list[Assessment] = [
        feedback_of(value, row.trace_id, run_id=row.run_id, at_ms=created_ms)
        for value in row.assessments
    ]
    if row.expected is not None:
        found.append(
            Expectation(
                name="expected_response",
                value=row.expected,
                source=AssessmentSource(source_type="HUMAN", source_id="benchmark"),
                trace_id=row.trace_id,
                metadata=metadata,
                create_time_ms=created_ms,
                last_update_time_ms=created_ms,
            )
        )
    for position, assessment in enumerate(found):
        # A fixed id makes a second delivery overwrite the first instead of joining it.
        assessment.assessment_id = f"a-{row.trace_id[3:]}-{position}"
    return found


def feedback_of(value: AssessmentValue, trace_id: str, *, run_id: str, at_ms: int) -> Feedback:
    """Return a score as MLflow's feedback on a trace; the caller gives it an id of ours."""
    source = AssessmentSource(source_type="CODE", source_id=value.name)
    if value.person is not None:
        source = AssessmentSource(source_type="HUMAN", source_id=value.person)
    elif value.judge is not None:
        source = AssessmentSource(source_type="LLM_JUDGE", source_id=value.judge)
    error = None
    if value.error is not None:
        error = AssessmentError(error_code=value.error, error_message=value.rationale or "")
    return Feedback(
        name=value.name,
        value=None if error else value.value,
        error=error,
        source=source,
        trace_id=trace_id,
        metadata={SOURCE_RUN: run_id, **value.metadata},
        rationale=None if error else value.rationale,
        create_time_ms=at_ms,
        last_update_time_ms=at_ms,
    )
