"""The sessions that some sink lacks something of, shared by the threads of all sinks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from llmflowlab.tracking.sessions import Session

__all__ = ["Outbox"]


class Outbox:
    """What is still to be delivered; `changed` guards it and tells of every change.

    Args:
        sinks: The names of all sinks; a journal is deleted once each of them has all of it.
    """

    def __init__(self, sinks: Sequence[str]) -> None:
        self.changed = threading.Condition()
        self.searched = False
        """Whether the journals that dead processes left have been looked for."""
        self.stopping = False
        self._sinks = tuple(sinks)
        self._sessions: dict[str, Session] = {}
        self._runs: dict[str, str] = {}

    def put(self, sessions: Iterable[Session]) -> None:
        """Take sessions, or note that they hold more than before."""
        with self.changed:
            for session in sessions:
                self._sessions.setdefault(session.start.session_id, session)
            self.changed.notify_all()

    def sessions(self) -> list[Session]:
        """Return all that is not delivered or not ended yet."""
        with self.changed:
            return list(self._sessions.values())

    def lacking(self, sink: str) -> list[Session]:
        """Return the sessions of which a sink lacks something."""
        with self.changed:
            return [session for session in self._sessions.values() if session.lacks(sink)]

    def pending(self) -> list[Session]:
        """Return the sessions of which some sink lacks something."""
        with self.changed:
            return [each for each in self._sessions.values() if any(map(each.lacks, self._sinks))]

    def run_known(self, session: Session) -> None:
        """Remember the run of a session, which may be forgotten before anybody asks for it."""
        run_id = session.cursors.run_id
        if run_id is not None:
            with self.changed:
                self._runs[session.start.session_id] = run_id

    def run_id(self, session_id: str) -> str | None:
        """Return a session's run, where one has been made."""
        with self.changed:
            return self._runs.get(session_id)

    def arrived(self, session: Session, sink: str, version: int) -> None:
        """Note that a sink has a session as it was; what is ended and everywhere is deleted here.

        Raises:
            OSError: The journal cannot be removed; the sink is tried again.
        """
        with self.changed:
            others = [name for name in self._sinks if name != sink]
            everywhere = version == session.version and not any(map(session.lacks, others))
            if session.ended and everywhere:
                session.delete()
                del self._sessions[session.start.session_id]
            session.delivered[sink] = version
            self.changed.notify_all()
