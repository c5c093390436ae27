"""What an evaluation is recorded into: the same shape as a chat's sinks, with the ledger as its queue.

One recorder process follows the ledger for one sink, at that sink's own speed; another sink is a file
and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from llmflowlab.evaluation.run.closing import RunSummary
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Entry, Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.settings import Settings

__all__ = ["SINKS", "EvaluationSink", "MakeSink"]


class EvaluationSink(Protocol):
    """A place that an evaluation is recorded into; every step may be repeated after a crash.

    Raises:
        TrackingError: From every method, where the place fails: `StoreBusy` and `StoreUnreachable`
            where trying again may help.
    """

    def open(self) -> None:
        """Make the runs, or find those of an earlier attempt."""

    def run_ids(self) -> dict[str, Any]:
        """Return `{"parent": run id or None, "candidates": [run id, …]}`."""

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write finished rows with their scores; what is there already is skipped."""

    def close(self, closing: RunSummary, entries: Iterable[Entry]) -> list[str]:
        """Write figures and files, read back what arrived, end the runs.

        Args:
            closing: The figures.
            entries: Every row that came to an end.

        Returns:
            What is missing there, in words.
        """

    def notes(self) -> list[str]:
        """Return what the place could do without and does, in words."""


MakeSink: TypeAlias = Callable[[EvaluationPlan, Settings, Ledger], EvaluationSink]


def _mlflow() -> MakeSink:
    # Imported here: it imports MLflow.
    from llmflowlab.evaluation.run.recording import Recording

    return Recording


SINKS: Mapping[str, Callable[[], MakeSink]] = {"mlflow": _mlflow}
"""By name, what loads a sink's libraries, which may take seconds, and returns how one is made."""
