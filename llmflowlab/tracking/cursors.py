"""How far each sink is with a session: one small file beside the journal.

The journal is the truth, and every delivery can be repeated; a file that is lost or cannot be read
costs time, not data. Journals of 0.1.0 have none.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from llmflowlab.files import write_atomically

__all__ = ["Cursor", "Cursors", "clear_orphans"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How much of a session a sink has; kept beside the journal, so that a restart goes on there."""

    turns: int = 0
    ratings: int = 0
    run_id: str | None = None
    """The MLflow run that holds the session; set by that sink alone."""
    names_run: str | None = None
    """The run that what was written names, where it names one."""
    closed: bool = False
    """Whether the session was ended there."""


_SUFFIX = ".cursors"
_FIELDS = frozenset(f.name for f in fields(Cursor))


class Cursors:
    """The cursors of one session, by sink.

    Args:
        journal: The session's journal.
    """

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(journal.name + _SUFFIX)
        self._at: dict[str, Cursor] = {}
        self._saved: dict[str, Cursor] = {}
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read what an earlier process left; nothing where it left nothing that can be read."""
        try:
            found = json.loads(self.path.read_bytes())
            self._saved = {name: _cursor(values) for name, values in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._saved = {}
        self._at = dict(self._saved)

    def of(self, sink: str) -> Cursor:
        """Return how far a sink is."""
        return self._at.get(sink, Cursor())

    @property
    def run_id(self) -> str | None:
        """The session's run, where a sink has made it."""
        return next((at.run_id for at in list(self._at.values()) if at.run_id), None)

    def move(self, sink: str, at: Cursor) -> None:
        """Note how far a sink is, in memory."""
        self._at[sink] = at

    def save(self) -> None:
        """Bring to the disk what moved.

        Raises:
            OSError: The disk did not take it.
        """
        with self._lock:
            now = dict(self._at)
            if now == self._saved:
                return
            text = json.dumps({name: asdict(at) for name, at in now.items()})
            write_atomically(self.path, text.encode())
            self._saved = now

    def delete(self) -> None:
        """Remove the file.

        Raises:
            OSError: It cannot be removed.
        """
        with self._lock:
            self.path.unlink(missing_ok=True)


def clear_orphans(folder: Path) -> None:
    """Remove the cursors of journals that are gone: 0.1.0 deletes journals and knows of no cursors.

    Raises:
        OSError: One cannot be removed.
    """
    for path in folder.glob(f"chat-*.jsonl{_SUFFIX}"):
        if not path.with_name(path.name.removesuffix(_SUFFIX)).exists():
            path.unlink(missing_ok=True)


def _cursor(values: Mapping[str, Any]) -> Cursor:
    at = Cursor(**{name: value for name, value in values.items() if name in _FIELDS})
    if not isinstance(at.turns, int) or not isinstance(at.ratings, int):
        raise TypeError("no count")
    return at
