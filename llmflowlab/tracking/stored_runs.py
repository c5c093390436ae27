"""Runs as the store holds them: read from MLflow's SQLite file directly, or through its client."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from llmflowlab.errors import TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import open_store

__all__ = ["StoredRun", "runs_from_server", "runs_from_sqlite"]

_BUSY_TIMEOUT = 5.0
"""Seconds to wait for a writer."""
_VARIABLES = 500
"""Values in one statement; older SQLite takes 999."""


@dataclass(slots=True, kw_only=True)
class StoredRun:
    """One run; times in milliseconds since the epoch."""

    run_id: str
    name: str
    deleted: bool
    started_ms: int | None
    ended_ms: int | None
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def runs_from_sqlite(
    path: Path, experiment: str, *, details: Callable[[str], bool]
) -> list[StoredRun]:
    """Read an experiment's runs from MLflow's own tables.

    Args:
        path: The database.
        experiment: The experiment's name.
        details: Whether a run's parameters, metrics and tags are wanted; reading them costs most.

    Raises:
        TrackingError: The database cannot be read.
    """
    if not path.exists():
        return []
    address = f"file:{quote(path.as_posix())}?mode=ro"
    try:
        with contextlib.closing(
            sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT)
        ) as database:
            return _read(database, experiment, details)
    except sqlite3.Error as exc:
        if "no such table" in str(exc):
            # A file that MLflow has not filled yet.
            return []
        raise TrackingError(
            f"MLflow's database {path} cannot be read ({exc}); end what is writing to it, or put a "
            "backup in its place."
        ) from exc


def _read(
    database: sqlite3.Connection, experiment: str, details: Callable[[str], bool]
) -> list[StoredRun]:
    rows = database.execute(
        "SELECT r.run_uuid, r.name, r.lifecycle_stage, r.start_time, r.end_time FROM runs r"
        " JOIN experiments e ON e.experiment_id = r.experiment_id WHERE e.name = ?",
        (experiment,),
    )
    runs = {
        row[0]: StoredRun(
            run_id=row[0],
            name=row[1] or "",
            deleted=row[2] != "active",
            started_ms=row[3],
            ended_ms=row[4],
        )
        for row in rows
    }
    wanted = [run_id for run_id, run in runs.items() if details(run_id)]
    for start in range(0, len(wanted), _VARIABLES):
        some = wanted[start : start + _VARIABLES]
        marks = ",".join("?" * len(some))
        for table, attribute, condition in (
            ("params", "params", ""),
            ("latest_metrics", "metrics", " AND is_nan = 0"),
            ("tags", "tags", ""),
        ):
            # Only names of our own and question marks are put into the statement.
            statement = f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({marks})"  # noqa: S608
            for run_id, key, value in database.execute(statement + condition, some):
                getattr(runs[run_id], attribute)[key] = value
    return list(runs.values())


def runs_from_server(settings: Settings, experiment: str) -> list[StoredRun]:
    """Read an experiment's runs through MLflow's client; imports MLflow.

    Raises:
        TrackingError: The store cannot be reached or read.
    """
    store = open_store(settings)
    # Imported here: by now MLflow is loaded.
    from mlflow.entities import ViewType

    found: list[StoredRun] = []
    token: str | None = None
    with store.translated():
        known = store.client.get_experiment_by_name(experiment)
        if known is None:
            return []
        while True:
            page = store.client.search_runs(
                [known.experiment_id],
                run_view_type=ViewType.ALL,
                max_results=1000,
                page_token=token,
            )
            found += [
                StoredRun(
                    run_id=run.info.run_id,
                    name=run.info.run_name or "",
                    deleted=run.info.lifecycle_stage != "active",
                    started_ms=run.info.start_time,
                    ended_ms=run.info.end_time,
                    params=dict(run.data.params),
                    metrics=_finite(run.data.metrics),
                    tags=dict(run.data.tags),
                )
                for run in page
            ]
            token = page.token
            if not token:
                return found


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value == value}
