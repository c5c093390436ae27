"""MLflow's store, opened safely: the only place that sets MLflow's environment.

MLflow reads its settings from the process's environment at first use, so they are set here, before
it is imported, and only where the person has not set them.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from llmflowlab.errors import LabError, TrackingError
from llmflowlab.settings import Settings

__all__ = ["Store", "open_store"]

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    # Its own pool lets threads wait for one connection, and loses rows while it does.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class Store:
    """One tracking store; safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.uri = settings.tracking_uri

    @cached_property
    def client(self) -> Any:
        """MLflow's client."""
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    @cached_property
    def tracing(self) -> Any:
        """MLflow's client for traces."""
        from mlflow.tracing.client import TracingClient

        return TracingClient(self.uri)

    def experiment_id(self, name: str) -> str:
        """Return the experiment's id; it is made where it does not exist.

        Raises:
            TrackingError: The store cannot be used.
        """
        with self.translated():
            found = self.client.get_experiment_by_name(name)
            if found is not None:
                if found.lifecycle_stage == "deleted":
                    self.client.restore_experiment(found.experiment_id)
                return str(found.experiment_id)
            location = None
            if self.uri.startswith("sqlite:"):
                location = (self.settings.home / "mlartifacts" / name).as_uri()
            return str(self.client.create_experiment(name, artifact_location=location))

    def traces(self, trace_ids: Sequence[str]) -> Mapping[str, Any]:
        """Return the stored traces by id.

        Raises:
            TrackingError: The store cannot be used.
        """
        with self.translated():
            found = self.tracing.batch_get_traces(list(trace_ids))
            return {trace.info.trace_id: trace for trace in found}

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn whatever MLflow raises into one sentence."""
        try:
            yield
        except LabError:
            raise
        except Exception as exc:  # MLflow raises its own, requests', SQLAlchemy's and OS errors
            raise TrackingError(
                f"MLflow at {self.uri} failed ({type(exc).__name__}). What was recorded is kept "
                "and delivered later; check MLFLOW_TRACKING_URI or start the server."
            ) from exc


def open_store(settings: Settings) -> Store:
    """Prepare MLflow's environment and return the store; nothing is asked of it yet."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, settings.get(name) or value)
    warnings.filterwarnings("ignore", category=FutureWarning, module="mlflow")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    return Store(settings)
