"""`.llmflowlab/sessions.jsonl`: one line for every session of this home, added to and never rewritten.

A session may have several lines (its run id became known later); the last one counts.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from llmflowlab.files import exclusive
from llmflowlab.settings import Settings
from llmflowlab.tracking.summaries import SessionSummary, summary_from_json, summary_to_json

__all__ = ["IndexContents", "SessionIndex"]


@dataclass(frozen=True, slots=True)
class IndexContents:
    """The sessions of this home, in the order in which they ended."""

    sessions: list[SessionSummary]
    unreadable: int
    """Lines that could not be read."""


class SessionIndex:
    """Reads and extends the index."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.path = settings.state_dir / "sessions.jsonl"

    def add(self, summary: SessionSummary) -> None:
        """Add a session's line; nothing is written where its last line says the same.

        Raises:
            OSError: The index cannot be written.
            TrackingError: Another process kept it locked.
        """
        line = json.dumps(summary_to_json(summary), ensure_ascii=False, allow_nan=False).encode(
            "utf-8", errors="replace"
        )
        with exclusive(self._settings, self.path.name):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            descriptor = os.open(self.path, flags, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                content = file.read()
                if b"\n" + line + b"\n" in b"\n" + content and self._is_last(
                    content, line, summary
                ):
                    return
                # A line that a crash tore is ended rather than cut: it may be somebody's evidence.
                torn = bool(content) and not content.endswith(b"\n")
                file.write((b"\n" if torn else b"") + line + b"\n")
                file.flush()
                os.fsync(file.fileno())

    @staticmethod
    def _is_last(content: bytes, line: bytes, summary: SessionSummary) -> bool:
        marker = f'"session_id": "{summary.session_id}"'.encode()
        start = content.rfind(b"\n", 0, max(content.rfind(marker), 0)) + 1
        return content[start : start + len(line)] == line

    def load(self) -> IndexContents:
        """Read the index; an unreadable line is counted and passed over.

        Raises:
            OSError: The file is there and cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return IndexContents([], 0)
        found: dict[str, SessionSummary] = {}
        unreadable = 0
        for line in content.splitlines():
            if not line:
                continue
            try:
                summary = summary_from_json(json.loads(line))
            except (ValueError, TypeError, ArithmeticError, AttributeError):
                unreadable += 1
                continue
            found[summary.session_id] = summary
        return IndexContents(list(found.values()), unreadable)
