"""What the program left in MLflow."""

from __future__ import annotations

from typing import Any

from tests.tracking.helpers import Stored

__all__ = ["Everything"]


class Everything(Stored):
    """Chats, evaluations and arenas."""

    def evaluations(self) -> list[Any]:
        experiment = self._store.experiment_id("LLMS_Evaluation")
        return list(self.client.search_runs([experiment]))

    def arenas(self) -> list[Any]:
        experiment = self._store.experiment_id("LLMS_Arena")
        return list(self.client.search_runs([experiment]))

    def traces_of(self, run: Any) -> list[Any]:
        """Return a run's traces in the order of their requests."""
        found = self._store.tracing.search_traces(
            locations=[run.info.experiment_id], run_id=run.info.run_id, max_results=500
        )
        return sorted(found, key=lambda trace: trace.info.request_time)
