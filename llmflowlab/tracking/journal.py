"""The journal of a chat session: one JSON record a line, on disk before the next prompt appears.

Kinds of lines: `start` (first), `answered`, `turn`, `rating`, `end`. An answer is there as soon as it was
shown whole; the turn, with what is measured of it, takes its place. A line counts when it is whole, its line end
included; what a crash or a full disk left behind the last whole line is ignored by readers and cut
off before the next line is written. The writer holds a lock on `<journal>.lock` for as long as it
lives, so whoever can take that lock knows that the session's process is gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from llmflowlab.files import sync_folder
from llmflowlab.tracking.records import (
    RatingRecord,
    SessionStart,
    TurnRecord,
    from_json,
    to_json,
)

__all__ = ["Contents", "Journal", "journal_path", "read_journal"]


@dataclass(slots=True, kw_only=True)
class Contents:
    """What a journal holds."""

    start: SessionStart | None = None
    turns: list[TurnRecord] = field(default_factory=list)
    ratings: list[RatingRecord] = field(default_factory=list)
    ended: bool = False
    """Whether the session was closed by its own process."""
    interrupted: bool = False
    """Whether it was closed because the person pressed Ctrl-C."""
    ended_ms: int | None = None
    unreadable: int = 0
    """Whole lines that could not be read; a torn last line is not counted."""


def journal_path(folder: Path, session_id: str) -> Path:
    """Return where a session's journal lies."""
    return folder / f"chat-{session_id}.jsonl"


def read_journal(path: Path) -> Contents:
    """Read a journal, however its process ended.

    Raises:
        OSError: The file cannot be read.
    """
    contents = Contents()
    lines = path.read_bytes().split(b"\n")
    # What stands behind the last line end is torn, or empty.
    for line in lines[:-1]:
        try:
            _take(contents, json.loads(line))
        except (ValueError, TypeError, KeyError):
            contents.unreadable += 1
    return contents


def _take(contents: Contents, values: Any) -> None:
    kind = values["kind"]
    if kind == "start":
        contents.start = from_json(SessionStart, values)
    elif kind in {"answered", "turn"}:
        turn = from_json(TurnRecord, values)
        if contents.turns and contents.turns[-1].trace_id == turn.trace_id:
            contents.turns.pop()
        contents.turns.append(turn)
    elif kind == "rating":
        contents.ratings.append(from_json(RatingRecord, values))
    elif kind == "end":
        contents.ended = True
        contents.interrupted = bool(values.get("interrupted"))
        contents.ended_ms = values.get("ended_ms")


class Journal:
    """Writes one journal; only the holder of its lock may.

    Lines are kept in memory until the disk has them, so a full disk loses nothing: what could not
    be written is tried again with the next line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Taken in the chat's thread, released in the delivery's.
        self._lock = FileLock(path.with_name(path.name + ".lock"), thread_local=False)
        self._lines: list[bytes] = []
        self._written = 0
        """Bytes of the file that are known to be whole lines of ours."""
        self._saved = 0
        """Lines within those bytes."""

    def acquire(self) -> bool:
        """Take the lock; False where another process, or another part of this one, holds it.

        Raises:
            OSError: The lock file cannot be made.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def append(self, kind: str, values: Any) -> None:
        """Add a record and bring it to the disk before returning.

        Raises:
            OSError: The disk did not take it; it stays in memory and is tried again with the next.
        """
        self.stage(kind, values)
        self.flush()

    def stage(self, kind: str, values: Any) -> None:
        """Add a record that goes to the disk with the next one."""
        record: Mapping[str, Any] = values if isinstance(values, dict) else to_json(values)
        text = json.dumps({"kind": kind, **record}, ensure_ascii=False, allow_nan=False)
        # A lone surrogate, as from a terminal with another encoding, must not lose the turn.
        self._lines.append(text.encode("utf-8", errors="replace") + b"\n")

    @property
    def unsaved(self) -> int:
        """Lines that the disk does not have."""
        return len(self._lines) - self._saved

    def flush(self) -> None:
        """Bring to the disk whatever it does not have yet.

        Raises:
            OSError: The disk did not take it.
        """
        if not self.unsaved:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        new = not self.path.exists()
        descriptor = os.open(self.path, flags, 0o600)
        try:
            self._write(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(self.path.parent)

    def _write(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size < self._written:
            # Somebody removed or cut the file; memory still holds all of it.
            self._written = self._saved = 0
        start, data = self._written, b"".join(self._lines[self._saved :])
        os.ftruncate(descriptor, start)
        os.lseek(descriptor, start, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        self._written = start + len(data)
        self._saved = len(self._lines)

    def release(self) -> None:
        """Give the lock back; the journal stays for another process to deliver."""
        self._lock.release()

    def delete(self) -> None:
        """Remove the journal, delivered as it is, and its lock.

        Raises:
            OSError: It cannot be removed.
        """
        self.path.unlink(missing_ok=True)
        if os.name == "nt":
            self._lock.release()
        # Elsewhere the name goes first: session ids are never used twice, so nobody who still waits
        # on this lock can find a journal behind it.
        self.path.with_name(self.path.name + ".lock").unlink(missing_ok=True)
        self._lock.release()
