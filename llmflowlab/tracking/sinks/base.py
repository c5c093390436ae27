"""What a sink is: a place that sessions are delivered to, at its own speed."""

from __future__ import annotations

from typing import Protocol

from llmflowlab.tracking.cursors import Cursor
from llmflowlab.tracking.sessions import SessionSnapshot

__all__ = ["Sink"]


class Sink(Protocol):
    """A place that sessions are delivered to.

    Every step may be repeated, also after a crash in its middle: turns are known by their trace ids,
    sessions by theirs. A sink is used by one thread at a time.

    Each step raises what went wrong: `StoreUnreachable` where no other session would fare better,
    `StoreBusy` where trying again in a moment helps, any other error where it is this session's.
    """

    @property
    def name(self) -> str:
        """As in the table of sinks and in the file of cursors."""

    @property
    def place(self) -> str:
        """Where it writes, for a sentence."""

    @property
    def local(self) -> bool:
        """Whether it needs this machine alone; the ends of session and program wait for it."""

    def prepare(self) -> None:
        """Load what takes long; called once, before there is a session."""

    def open(self, session: SessionSnapshot, at: Cursor) -> Cursor | None:
        """Find or make the session's place; None where somebody removed it on purpose."""

    def write(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Write what it does not have yet; returns how much it has then."""

    def close(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """End the session, all of which it has."""
