"""What earlier sessions and evaluations left, for the info screen.

Sessions of this home come from its own index; the store adds those of other machines and takes out
what somebody deleted there. A SQLite store is read directly: importing MLflow alone would take longer
than the whole answer may.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmflowlab.errors import TrackingError
from llmflowlab.history.foreign_records import foreign_records
from llmflowlab.history.run_summaries import evaluation_from_run, session_from_run
from llmflowlab.settings import Settings
from llmflowlab.tracking.session_index import SessionIndex
from llmflowlab.tracking.sinks.local_files import artifacts_path
from llmflowlab.tracking.store import sqlite_path, store_refusal
from llmflowlab.tracking.stored_runs import StoredRun, runs_from_server, runs_from_sqlite
from llmflowlab.tracking.summaries import EvaluationSummary, SessionSummary

__all__ = [
    "EvaluationSummary",
    "History",
    "SessionSummary",
    "load_evaluations",
    "load_records",
    "load_sessions",
    "read_records",
]

_CHATS = "LLMS_Text_Generation"
_EVALUATIONS = "LLMS_Evaluation"


@dataclass(frozen=True, slots=True)
class History:
    """Artifact records, and how many entries could not be read."""

    records: list[dict[str, Any]] = field(default_factory=list)
    unreadable: int = 0


def load_sessions(
    settings: Settings, *, on_notice: Callable[[str], None] | None = None
) -> list[SessionSummary]:
    """Return all sessions, oldest first; those whose run was deleted in MLflow are left out.

    Args:
        settings: Name the home and the store.
        on_notice: Told in one sentence what could not be read; without it, a store that cannot be
            read is an error.

    Raises:
        TrackingError: The store or the index cannot be read.
    """
    try:
        index = SessionIndex(settings).load()
    except OSError as exc:
        raise TrackingError(
            f"The index of sessions in {settings.state_dir} cannot be read ({exc.strerror}); "
            "make it readable."
        ) from exc
    if index.unreadable and on_notice is not None:
        on_notice(f"{index.unreadable} lines of the index of sessions could not be read.")
    local = {session.session_id: session for session in index.sessions}
    known = {session.run_id for session in index.sessions if session.run_id}
    try:
        stored = _runs(settings, _CHATS, details=lambda run_id: run_id not in known)
    except TrackingError as exc:
        if on_notice is None:
            raise
        on_notice(f"{exc.message} Only the sessions of this home are shown.")
        stored = []
    for run in stored:
        session_id = run.tags.get("llmflowlab.session_id")
        if run.run_id in known:
            if run.deleted:
                local = {key: s for key, s in local.items() if s.run_id != run.run_id}
        elif session_id in local:
            if run.deleted:
                del local[session_id]
        elif not run.deleted and (session := session_from_run(run)) is not None:
            local[session.session_id] = session
    return sorted(local.values(), key=lambda session: session.started)


def load_evaluations(
    settings: Settings, *, on_notice: Callable[[str], None] | None = None
) -> list[EvaluationSummary]:
    """Return all evaluated candidates, oldest first, without deleted runs.

    Args:
        settings: Name the home and the store.
        on_notice: As in `load_sessions`.

    Raises:
        TrackingError: The store cannot be read.
    """
    try:
        stored = _runs(settings, _EVALUATIONS, details=lambda run_id: True)
    except TrackingError as exc:
        if on_notice is None:
            raise
        on_notice(f"{exc.message} Evaluations are not shown.")
        return []
    # By milliseconds, which the summaries do not have: two may end in one second.
    stored = sorted(stored, key=lambda run: run.ended_ms or 0)
    found = [evaluation_from_run(run) for run in stored if not run.deleted]
    return sorted((e for e in found if e is not None), key=lambda e: e.finished or "")


def load_records(
    settings: Settings, provider: str, *, on_notice: Callable[[str], None] | None = None
) -> list[dict[str, Any]]:
    """Return a provider's artifact records of this home and of others, oldest first.

    Entries that are no objects are left out; `read_records` counts them.

    Args:
        settings: Name the home and the store.
        provider: As in a model reference.
        on_notice: Told in one sentence what could not be read; without it, a store that cannot be
            read is an error.

    Raises:
        TrackingError: The file is there and cannot be read, or the store cannot.
    """
    records = read_records(settings, provider).records
    notify = on_notice or (lambda text: None)
    try:
        foreign = [
            session
            for session in load_sessions(settings)
            if session.source == "tracking" and session.provider == provider
        ]
        known = {record.get("trace_id") for record in records}
        more = foreign_records(settings, foreign, notify=notify)
    except TrackingError as exc:
        if on_notice is None:
            raise
        notify(f"{exc.message} Only the records of this home are shown.")
        return records
    records += [record for record in more if record.get("trace_id") not in known]
    return sorted(records, key=lambda record: str(record.get("date", "")))


def read_records(settings: Settings, provider: str) -> History:
    """Return a provider's artifact records and how many entries could not be read.

    Raises:
        TrackingError: The file is there and cannot be read.
    """
    path = artifacts_path(settings, provider)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return History()
    except (OSError, ValueError) as exc:
        raise TrackingError(
            f"{path} cannot be read as JSON; mend it, or move it away and a new one is begun."
        ) from exc
    if not isinstance(values, list):
        raise TrackingError(f"{path} holds no JSON array; move it away and a new one is begun.")
    records = [value for value in values if isinstance(value, dict)]
    return History(records, len(values) - len(records))


def _runs(
    settings: Settings, experiment: str, *, details: Callable[[str], bool]
) -> Sequence[StoredRun]:
    path = sqlite_path(settings.tracking_uri)
    runs: Iterable[StoredRun]
    if path is None:
        runs = runs_from_server(settings, experiment)
    else:
        if (refused := store_refusal(settings)) is not None:
            raise refused
        runs = runs_from_sqlite(path, experiment, details=details)
    return list(runs)
