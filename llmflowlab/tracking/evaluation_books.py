"""What the store holds of an evaluation run, read back and compared with what was to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlflow.entities import Assessment
from mlflow.tracing.constant import SpansLocation, TraceTagKey

from llmflowlab.tracking.store import Store

__all__ = ["DIGEST_TAG", "SOURCE_RUN", "SPANS_ARE_HELD", "HeldTrace", "held_traces", "not_held"]

SOURCE_RUN = "mlflow.assessment.sourceRunId"
"""Metadata by which MLflow's pages know the run of an assessment."""
DIGEST_TAG = "llmflowlab.digest"
SPANS_ARE_HELD = {TraceTagKey.SPANS_LOCATION: SpansLocation.TRACKING_STORE.value}
"""Tag that MLflow gives a trace whose spans have arrived."""


@dataclass(frozen=True, slots=True)
class HeldTrace:
    """What makes a row's trace whole."""

    digest: str | None
    """Of the answer and scores it was written from; tells an older version of a row from the last."""
    scores: int
    spans: bool = True
    """Whether its spans arrived: a trace's header is written before them."""
    assessments: tuple[str, ...] = field(default=(), compare=False)
    """Ids of all that the run has said of it."""


def held_traces(store: Store, experiment_id: str, run_id: str) -> dict[str, HeldTrace]:
    """Read a run's traces back, by trace id.

    Raises:
        TrackingError: The store cannot be asked.
    """
    found: dict[str, HeldTrace] = {}
    token: str | None = None
    with store.translated():
        while True:
            page = store.tracing.search_traces(
                locations=[experiment_id],
                run_id=run_id,
                max_results=500,
                page_token=token,
                include_spans=False,
            )
            for trace in page:
                info = trace.info
                # People may have added feedback of their own meanwhile.
                ours = [a for a in info.assessments if _source(a) == run_id]
                found[info.trace_id] = HeldTrace(
                    info.tags.get(DIGEST_TAG),
                    sum(1 for a in ours if a.feedback is not None),
                    info.tags.items() >= SPANS_ARE_HELD.items(),
                    tuple(a.assessment_id for a in ours if a.assessment_id),
                )
            token = page.token
            if not token:
                return found


def _source(assessment: Assessment) -> str | None:
    return (assessment.metadata or {}).get(SOURCE_RUN)


def not_held(
    held: Mapping[str, HeldTrace | None], expected: Mapping[str, HeldTrace]
) -> frozenset[str]:
    """Return the ids of the traces that the store does not hold as expected."""
    return frozenset(key for key, wanted in expected.items() if held.get(key) != wanted)
