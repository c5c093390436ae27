"""Homes of past versions, unpacked for a test: whole, and at home where they are put.

`home-0.1.0.tar.xz` was written by version 0.1.0 (see `make_home_0_1_0.py`). MLflow keeps absolute
addresses of artifacts, so the folder's name is rewritten in its database and in the text files.
"""

from __future__ import annotations

import json
import os
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
    texts = _extracted(target)
    at = target.resolve()
    rewrites = ((f"file://{_WRITTEN_AT}", at.as_uri()), (_WRITTEN_AT, at.as_posix()))
    _rewrite_database(target / "mlflow.db", rewrites)
    for file in texts:
        _rewrite_text(file, rewrites)
    return OldHome(target, json.loads((target / "made.json").read_text("utf-8")))


def _extracted(target: Path) -> list[Path]:
    """Write the files of the archive; return those in which the home's place may be named.

    `tarfile.extractall` takes four times as long for a thousand small files.
    """
    texts = []
    made: set[Path] = set()
    with tarfile.open(_HERE / "home-0.1.0.tar.xz") as tar:
        for info in tar:
            file = target / info.name
            if file.parent not in made:
                file.parent.mkdir(parents=True, exist_ok=True)
                made.add(file.parent)
            if info.islnk():
                os.link(target / info.linkname, file)
                continue
            content = tar.extractfile(info)
            assert content is not None
            file.write_bytes(content.read())
            if file.suffix in _TEXTS:
                texts.append(file)
    return texts


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
