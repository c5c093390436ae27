"""What the store holds of an evaluation run, read back and compared with what was to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import Assessment, TraceInfo
from mlflow.tracing.constant import SpansLocation, TraceMetadataKey, TraceTagKey

from llmflowlab.errors import TrackingError
from llmflowlab.tracking.store import Store
from llmflowlab.tracking.store_errors import is_unknown

__all__ = ["DIGEST_TAG", "SOURCE_RUN", "SPANS_ARE_HELD", "HeldTrace", "held_traces", "not_held"]

SOURCE_RUN = "mlflow.assessment.sourceRunId"
"""Metadata by which MLflow's pages know the run of an assessment."""
DIGEST_TAG = "llmflowlab.digest"
SPANS_ARE_HELD = {TraceTagKey.SPANS_LOCATION: SpansLocation.TRACKING_STORE.value}
"""Tag that MLflow gives a trace whose spans have arrived."""


_BATCH = 200
"""Traces asked for at a time."""


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


def held_traces(store: Store, run_id: str, trace_ids: Sequence[str]) -> dict[str, HeldTrace]:
    """Look a run's traces up; those that are not there, or are another run's, are left out.

    Raises:
        TrackingError: The store cannot be asked.
    """
    found: dict[str, HeldTrace] = {}
    for start in range(0, len(trace_ids), _BATCH):
        for info in _infos(store, trace_ids[start : start + _BATCH]):
            if info.trace_metadata.get(TraceMetadataKey.SOURCE_RUN) != run_id:
                continue
            # People may have added feedback of their own meanwhile.
            ours = [a for a in info.assessments if _source(a) == run_id]
            found[info.trace_id] = HeldTrace(
                info.tags.get(DIGEST_TAG),
                sum(1 for a in ours if a.feedback is not None),
                info.tags.items() >= SPANS_ARE_HELD.items(),
                tuple(a.assessment_id for a in ours if a.assessment_id),
            )
    return found


def _infos(store: Store, trace_ids: Sequence[str]) -> list[TraceInfo]:
    try:
        with store.translated():
            return list(store.tracing.store.batch_get_trace_infos(list(trace_ids)))
    except (TrackingError, NotImplementedError) as exc:
        if not is_unknown(exc):
            raise
    # A server of before gives them with their spans.
    return [trace.info for trace in store.traces(trace_ids).values()]


def _source(assessment: Assessment) -> str | None:
    return (assessment.metadata or {}).get(SOURCE_RUN)


def not_held(
    held: Mapping[str, HeldTrace | None], expected: Mapping[str, HeldTrace]
) -> frozenset[str]:
    """Return the ids of the traces that the store does not hold as expected."""
    return frozenset(key for key, wanted in expected.items() if held.get(key) != wanted)
