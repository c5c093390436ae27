"""Artifact records of sessions that other homes held: read from the files of their runs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llmflowlab.errors import TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import Store, open_store
from llmflowlab.tracking.store_errors import StoreUnreachable
from llmflowlab.tracking.summaries import SessionSummary

__all__ = ["foreign_records"]

_MOST = 100
"""Sessions looked into, newest first; each is a request of its own."""


def foreign_records(
    settings: Settings, sessions: Sequence[SessionSummary], *, notify: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return the records of sessions that only the store knows; imports MLflow where there are any.

    Args:
        settings: Name the store.
        sessions: The sessions, all of one provider.
        notify: Told in one sentence what is left out.

    Raises:
        TrackingError: The store cannot be opened or does not answer.
    """
    newest = sorted(sessions, key=lambda session: session.started, reverse=True)[:_MOST]
    if not newest:
        return []
    if len(sessions) > len(newest):
        notify(f"Of {len(sessions)} sessions of other homes the newest {len(newest)} are shown.")
    store = open_store(settings)
    found: list[dict[str, Any]] = []
    missing = 0
    for session in newest:
        if session.run_id is None:
            continue
        try:
            found += _records(store, session.run_id, session.provider)
        except StoreUnreachable:
            raise
        except (TrackingError, OSError, ValueError):
            missing += 1
    if missing:
        notify(f"The records of {missing} sessions of other homes could not be read.")
    return found


def _records(store: Store, run_id: str, provider: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, store.translated():
        name = f"{provider}_artifacts.json"
        file = store.client.download_artifacts(run_id, name, folder)
        values = json.loads(Path(file).read_text(encoding="utf-8"))
    return [value for value in values if isinstance(value, dict)]
