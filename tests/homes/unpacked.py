"""Homes of past versions, unpacked for a test: whole, and at home where they are put.

`home-0.1.0.tar.xz` was written by version 0.1.0 (see `make_home_0_1_0.py`). MLflow keeps absolute
addresses of artifacts, so the folder's name is rewritten in its database and in the text files.
"""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["OldHome", "unpacked"]

_HERE = Path(__file__).parent
_WRITTEN_AT = "/tmp/llmflowlab-0.1.0-home"
_TEXTS = frozenset({".json", ".jsonl", ".html", ".csv", ".yaml", ".yml", ".txt", ""})


@dataclass(frozen=True, slots=True)
class OldHome:
    """An unpacked home and what its maker noted of it."""

    path: Path
    made: dict[str, Any]
    """Ids of its evaluations, and what the killed ones had kept; see `made.json`."""

    @property
    def finished(self) -> str:
        """Two candidates, two trials, judged; every row done, some of them not answered."""
        return str(self.made["finished"])

    @property
    def conversations(self) -> str:
        """Every row done and answered."""
        return str(self.made["conversations"])

    @property
    def killed(self) -> str:
        """Its process was killed in the middle."""
        return str(self.made["killed"])


def unpacked(target: Path) -> OldHome:
    """Unpack the home of 0.1.0 into a folder that exists."""
    with tarfile.open(_HERE / "home-0.1.0.tar.xz") as tar:
        tar.extractall(target, filter="data")
    at = target.resolve()
    rewrites = ((f"file://{_WRITTEN_AT}", at.as_uri()), (_WRITTEN_AT, at.as_posix()))
    _rewrite_database(target / "mlflow.db", rewrites)
    for file in target.rglob("*"):
        if file.suffix in _TEXTS and "code" not in file.parts and file.is_file():
            _rewrite_text(file, rewrites)
    return OldHome(target, json.loads((target / "made.json").read_text("utf-8")))


def _rewrite_database(file: Path, rewrites: tuple[tuple[str, str], ...]) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            for column in columns:
                for old, new in rewrites:
                    db.execute(
                        f"UPDATE {table} SET {column} = replace({column}, ?, ?) "
                        f"WHERE typeof({column}) = 'text' AND instr({column}, ?)",
                        (old, new, old),
                    )


def _rewrite_text(file: Path, rewrites: tuple[tuple[str, str], ...]) -> None:
    content = file.read_bytes()
    changed = content
    for old, new in rewrites:
        changed = changed.replace(old.encode(), new.encode())
    if changed != content:
        file.write_bytes(changed)
