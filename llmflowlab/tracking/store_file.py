"""The SQLite file of MLflow's store: made whole or not at all, and healed where it was left half made.

MLflow makes its tables one by one. What ends in between, a kill above all, would leave a file that no
start can open ("table … already exists").
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from llmflowlab.files import set_aside, sync_folder

__all__ = ["make_file", "set_aside_if_empty"]

_COMPANIONS = ("-journal", "-wal", "-shm")
_MADE_FIRST = ("runs", "trace_info", "model_versions")
"""Tables that hold what a person would miss."""


def make_file(path: Path) -> None:
    """Make a store's file under another name, and rename it when it is whole.

    Raises:
        Exception: What MLflow, its database or the folder raise.
    """
    from mlflow.tracing.client import TracingClient

    making = path.with_name(f".{path.name}.making")
    for name in ("", *_COMPANIONS):
        making.with_name(making.name + name).unlink(missing_ok=True)
    store = TracingClient(f"sqlite:///{making.as_posix()}").store
    # Windows renames no file that is open.
    store.engine.dispose()
    making.rename(path)
    sync_folder(path.parent)


def set_aside_if_empty(path: Path) -> bool:
    """Rename a store's file that nothing was ever kept in; say whether it was one."""
    if not path.exists():
        # To look into it would make it. On a full disk the making failed, and will again.
        return False
    try:
        with closing(sqlite3.connect(path, timeout=0.5)) as db:
            tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
            for name in tables.intersection(_MADE_FIRST):
                if db.execute(f"SELECT EXISTS(SELECT 1 FROM {name})").fetchone()[0]:  # noqa: S608 - ours
                    return False
    except sqlite3.Error:
        # Locked, or no database at all: not for us to judge.
        return False
    with suppress(FileNotFoundError):
        set_aside(path)
    # They belong to the file that was set aside, and would be taken for the new one's.
    for name in _COMPANIONS:
        path.with_name(path.name + name).unlink(missing_ok=True)
    return True
