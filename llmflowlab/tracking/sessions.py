"""A session on its way to the sinks: what was said, and how much of it has arrived where."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmflowlab.tracking.journal import Contents, Journal
from llmflowlab.tracking.records import RatingRecord, SessionStart, TurnRecord

if TYPE_CHECKING:
    from llmflowlab.tracking.cursors import Cursor, Cursors

__all__ = ["RecoveredSession", "Session", "SessionSnapshot"]


@dataclass(frozen=True, slots=True)
class RecoveredSession:
    """A session that an earlier process left without an end, for a line on the screen."""

    session_id: str
    turns: int
    candidate: str
    """Model reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSnapshot:
    """What a session held at one instant."""

    start: SessionStart
    turns: list[TurnRecord]
    ratings: list[RatingRecord]
    ended: bool
    interrupted: bool
    """The person pressed Ctrl-C."""
    crashed: bool
    """Its process died before it could end the session."""
    recovered: bool
    """An earlier process may have delivered some of it."""
    unreadable: int
    ended_ms: int | None
    run_id: str | None = None
    """The MLflow run, once it is known."""

    @property
    def end_ms(self) -> int:
        """Milliseconds since the epoch: the recorded end, else that of the last turn; never before the start.

        A clock that was set back in between says otherwise.
        """
        if self.ended_ms is not None:
            return max(self.start.started_ms, self.ended_ms)
        ends = [turn.started_ms + int(turn.inference_time * 1000) for turn in self.turns]
        return max([self.start.started_ms, *ends])


@dataclass(slots=True, eq=False)
class Session:
    """One session; filled by the chat, emptied by the sinks' threads."""

    start: SessionStart
    journal: Journal
    cursors: Cursors
    contents: Contents = field(default_factory=Contents)
    crashed: bool = False
    recovered: bool = False
    """Whether it was left by another process, which may have delivered some of it."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    version: int = 0
    """Grows with every change, under `lock`: with what is said, and when its run becomes known."""
    delivered: dict[str, int] = field(default_factory=dict)
    """By sink, the version that it has all of."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will be said."""
        return self.contents.ended or self.crashed

    def lacks(self, sink: str) -> bool:
        """Whether a sink lacks something of it."""
        return self.delivered.get(sink, -1) < self.version

    def move(self, sink: str, at: Cursor) -> None:
        """Note how far a sink is, durably where the disk takes it."""
        with self.lock:
            known = self.cursors.run_id
            self.cursors.move(sink, at)
            if self.cursors.run_id != known:
                self.version += 1
        # What a full disk does not take costs a repetition after a kill, no data.
        with suppress(OSError):
            self.cursors.save()

    def delete(self) -> None:
        """Remove the journal: every sink has all of it.

        Raises:
            OSError: It cannot be removed.
        """
        # The cursors first: a journal without them is delivered once more, which does no harm.
        self.cursors.delete()
        self.journal.delete()

    def snapshot(self) -> tuple[int, SessionSnapshot]:
        """Return the version and what the session holds now."""
        with self.lock:
            contents = self.contents
            return self.version, SessionSnapshot(
                start=self.start,
                turns=list(contents.turns),
                ratings=list(contents.ratings),
                ended=self.ended,
                interrupted=contents.interrupted,
                crashed=self.crashed,
                recovered=self.recovered,
                unreadable=contents.unreadable,
                ended_ms=contents.ended_ms,
                run_id=self.cursors.run_id,
            )
