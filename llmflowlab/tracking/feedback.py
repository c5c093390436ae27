"""Human feedback on traces: what a person said of an answer, where MLflow's pages show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import TrackingError
from llmflowlab.program import program_name
from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Assessment

__all__ = ["NAME", "HumanFeedback", "write_feedback"]

NAME = "human_verdict"
"""What the assessments are called."""
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanFeedback:
    """One person's word on one trace."""

    trace_id: str
    value: str | int
    """`yes`, `no`, or a grade."""
    comment: str = ""


def write_feedback(store: Store, person: str, given: Sequence[HumanFeedback]) -> dict[str, int]:
    """Write a person's verdicts as assessments of source HUMAN; safe to repeat.

    A person has one verdict on a trace: what is there already is left, what differs is changed.

    Returns:
        How many were `new`, `changed` and `as_before`.

    Raises:
        TrackingError: The store failed or lacks one of the traces; nothing is written in that case.
    """
    from mlflow.entities import AssessmentSource, Feedback
    from mlflow.entities.assessment import FeedbackValue

    held = _held(store, [feedback.trace_id for feedback in given], person)
    lacking = sum(feedback.trace_id not in held for feedback in given)
    if lacking:
        raise TrackingError(
            f"{lacking} of the judged answers are not in MLflow; deliver the evaluation with "
            f"`{program_name()} repair`, then import the sheet again."
        )
    counts = {"new": 0, "changed": 0, "as_before": 0}
    source = AssessmentSource(source_type="HUMAN", source_id=person)
    with store.translated():
        for feedback in given:
            before = held[feedback.trace_id]
            # An empty comment is written as such: None would leave an earlier one standing.
            rationale = feedback.comment
            if before is None:
                counts["new"] += 1
                # Without the run's id in its metadata: it is no figure of the evaluation's own.
                assessment = Feedback(
                    name=NAME, value=feedback.value, source=source, rationale=rationale
                )
                store.tracing.log_assessment(feedback.trace_id, assessment)
            elif _said(before) == (feedback.value, rationale):
                counts["as_before"] += 1
            else:
                counts["changed"] += 1
                store.tracing.store.update_assessment(
                    trace_id=feedback.trace_id,
                    assessment_id=before.assessment_id,
                    feedback=FeedbackValue(value=feedback.value),
                    rationale=rationale,
                )
    return counts


def _said(assessment: Assessment) -> tuple[Any, str]:
    value = assessment.feedback.value if assessment.feedback else None
    return value, assessment.rationale or ""


def _held(store: Store, trace_ids: Sequence[str], person: str) -> dict[str, Assessment | None]:
    """Return the person's verdict on each trace the store has; None where there is none."""
    found: dict[str, Assessment | None] = {}
    with store.translated():
        for start in range(0, len(trace_ids), _BATCH):
            batch = list(trace_ids[start : start + _BATCH])
            for info in store.tracing.store.batch_get_trace_infos(batch):
                own = [
                    assessment
                    for assessment in info.assessments
                    if assessment.name == NAME
                    and assessment.source.source_type == "HUMAN"
                    and assessment.source.source_id == person
                ]
                found[info.trace_id] = own[0] if own else None
    return found
