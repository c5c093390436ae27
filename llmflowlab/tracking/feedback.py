"""Human feedback on traces: what people said of answers, where MLflow's pages show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Assessment

__all__ = ["NAME", "HumanFeedback", "read_feedback", "write_feedback"]

NAME = "human_verdict"
"""What the assessments of the first question, whether an answer is correct, are called."""
_FIRST, _GRADE = "correct", "quality"
_PREFIX = "human_"
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanFeedback:
    """One person's word on one trace, in answer to one question."""

    trace_id: str
    person: str
    question: str
    value: str | int | None
    """`yes`, `no`, a grade or a label; None: it was taken back."""
    comment: str = ""
    at_ms: int = 0
    """When it was said in MLflow, in milliseconds since 1970."""

    @property
    def name(self) -> str:
        """What its assessment is called."""
        return NAME if self.question == _FIRST else _PREFIX + self.question


def write_feedback(store: Store, given: Sequence[HumanFeedback]) -> int:
    """Write what people said as assessments of source HUMAN; safe to repeat.

    A person has one assessment for each question on a trace: what is there already is left, what differs
    is changed, what was taken back is deleted.

    Returns:
        On how many of the traces nothing could be written, because the store does not have them.

    Raises:
        TrackingError: The store failed; what it took is left as it is the next time.
    """
    from mlflow.entities import AssessmentSource, Feedback
    from mlflow.entities.assessment import FeedbackValue

    held = _held(store, [feedback.trace_id for feedback in given])
    with store.translated():
        for feedback in given:
            if feedback.trace_id not in held:
                continue
            before = _own(held[feedback.trace_id], feedback)
            # An empty comment is written as such: None would leave an earlier one standing.
            value, rationale = feedback.value, feedback.comment
            if before is None and value is not None:
                source = AssessmentSource(source_type="HUMAN", source_id=feedback.person)
                # Without the run's id in its metadata: it is no figure of the evaluation's own.
                assessment = Feedback(
                    name=feedback.name, value=value, source=source, rationale=rationale
                )
                store.tracing.log_assessment(feedback.trace_id, assessment)
            elif before is not None and value is None:
                store.tracing.store.delete_assessment(feedback.trace_id, before.assessment_id)
            elif before is not None and value is not None and _said(before) != (value, rationale):
                store.tracing.store.update_assessment(
                    trace_id=feedback.trace_id,
                    assessment_id=before.assessment_id,
                    feedback=FeedbackValue(value=value),
                    rationale=rationale,
                )
    return len({feedback.trace_id for feedback in given} - held.keys())


def read_feedback(store: Store, trace_ids: Sequence[str]) -> Iterator[HumanFeedback]:
    """Yield what people said of these traces, on MLflow's pages or here.

    Values that are no verdict, as lists and errors, are passed over.

    Raises:
        TrackingError: The store failed.
    """
    for trace_id, assessments in _held(store, trace_ids).items():
        for assessment in assessments:
            value, comment = _said(assessment)
            if isinstance(value, bool):
                value = "yes" if value else "no"
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if not isinstance(value, str | int) or not str(value).strip():
                continue
            question = assessment.name.removeprefix(_PREFIX)
            if assessment.name == NAME:
                # Before each question had a name of its own.
                question = _GRADE if isinstance(value, int) else _FIRST
            yield HumanFeedback(
                trace_id=trace_id,
                person=assessment.source.source_id or "somebody",
                question=question,
                value=value,
                comment=comment,
                at_ms=assessment.last_update_time_ms or 0,
            )


def _own(held: Sequence[Assessment], feedback: HumanFeedback) -> Assessment | None:
    def is_it(assessment: Assessment) -> bool:
        if assessment.source.source_id != feedback.person:
            return False
        graded = assessment.name == NAME and isinstance(_said(assessment)[0], int)
        return (assessment.name == feedback.name and not graded) or (
            feedback.question == _GRADE and graded
        )

    return next(filter(is_it, held), None)


def _said(assessment: Assessment) -> tuple[Any, str]:
    value = assessment.feedback.value if assessment.feedback else None
    return value, assessment.rationale or ""


def _held(store: Store, trace_ids: Sequence[str]) -> dict[str, list[Assessment]]:
    """Return people's assessments of each trace the store has."""
    found: dict[str, list[Assessment]] = {}
    wanted = list(dict.fromkeys(trace_ids))
    with store.translated():
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            for info in store.tracing.store.batch_get_trace_infos(batch):
                found[info.trace_id] = [
                    assessment
                    for assessment in info.assessments
                    if assessment.source.source_type == "HUMAN"
                    # An expectation says what was to be answered, not how it was.
                    and assessment.feedback is not None
                    and assessment.valid is not False
                ]
    return found
