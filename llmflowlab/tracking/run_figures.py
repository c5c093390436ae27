"""Figures that are known only after a run was closed: written to it as it stands."""

from __future__ import annotations

import time
from collections.abc import Mapping

from llmflowlab.tracking.store import Store

__all__ = ["write_run_figures"]


def write_run_figures(
    store: Store, run_id: str, *, metrics: Mapping[str, float], tags: Mapping[str, str]
) -> bool:
    """Write metrics and tags to a run, ended or not; safe to repeat. False where the store has no such run.

    A metric's history stays: its last value holds.

    Raises:
        TrackingError: The store failed.
    """
    from mlflow.entities import Metric, RunTag
    from mlflow.exceptions import MlflowException

    with store.translated():
        try:
            held = store.client.get_run(run_id).data
        except MlflowException as exc:
            if exc.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        now = int(time.time() * 1000)
        new = {name: value for name, value in metrics.items() if held.metrics.get(name) != value}
        other = {name: value for name, value in tags.items() if held.tags.get(name) != value}
        if new or other:
            store.client.log_batch(
                run_id,
                metrics=[Metric(name, value, now, 0) for name, value in new.items()],
                tags=[RunTag(name, value) for name, value in other.items()],
            )
    return True
