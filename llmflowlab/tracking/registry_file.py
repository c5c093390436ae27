"""What a SQLite file of MLflow's says without MLflow: read while the menu opens, in a millisecond."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from llmflowlab.settings import Settings

__all__ = ["count_registered", "store_is_empty"]

_PREFIX = "sqlite:///"
# MLflow keeps prompts in the tables of models.
_COUNT = """SELECT COUNT(*) FROM registered_models WHERE name NOT IN
(SELECT name FROM registered_model_tags WHERE key = 'mlflow.prompt.is_prompt' AND lower(value) = 'true')"""


def count_registered(settings: Settings) -> int | None:
    """Return how many models are registered; None where the store is no file here.

    A file that is not there, or cannot be read now, holds none.
    """
    file = _file(settings)
    if file is None:
        return None
    if not file.is_file():
        return 0
    try:
        with closing(
            sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=0.5)
        ) as db:
            return int(db.execute(_COUNT).fetchone()[0])
    except sqlite3.Error:
        return 0


def store_is_empty(settings: Settings) -> bool:
    """Whether there is no database yet, so that opening the store would make one."""
    file = _file(settings)
    return file is not None and not file.is_file()


def _file(settings: Settings) -> Path | None:
    uri = settings.tracking_uri
    return Path(uri.removeprefix(_PREFIX).partition("?")[0]) if uri.startswith(_PREFIX) else None
