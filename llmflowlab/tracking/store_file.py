"""The SQLite file of MLflow's store: made whole or not at all, and healed where it was left half made.

MLflow makes its tables one by one. What ends in between, a kill above all, would leave a file that no
start can open ("table … already exists").
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from llmflowlab.files import set_aside, sync_folder

__all__ = ["copy_for", "make_file", "revision_of", "set_aside_if_empty", "upgrade_file"]

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


def revision_of(path: Path) -> str | None:
    """Return the revision of a store's tables; None where there are none, or it cannot be read now."""
    if not path.is_file():
        return None
    try:
        with closing(_reading(path)) as db:
            row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0.5)


def copy_for(path: Path) -> Path:
    """Return where the copy of a store's file is kept before its tables are changed."""
    return path.with_name(f"{path.name}.before-{datetime.now():%Y%m%d-%H%M%S}")


def upgrade_file(path: Path, copy: Path) -> None:
    """Keep a copy of a store's file, then bring its tables up to date.

    Raises:
        Exception: What MLflow, its database or the folder raise; the copy stays.
    """
    from mlflow.store.db import utils

    database: Any = utils  # without types
    making = copy.with_name(f".{copy.name}.making")
    making.unlink(missing_ok=True)
    # Not the file alone: what was written last may still lie beside it.
    with closing(_reading(path)) as db, closing(sqlite3.connect(making)) as target:
        db.backup(target)
    making.rename(copy)
    sync_folder(path.parent)
    engine = database.create_sqlalchemy_engine(f"sqlite:///{path.as_posix()}")
    try:
        database._upgrade_db(engine)
    finally:
        engine.dispose()


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
