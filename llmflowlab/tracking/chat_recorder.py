"""Records a chat: every turn on disk at once, in the sinks a little later."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.cursors import Cursors
from llmflowlab.tracking.journal import Journal, journal_path
from llmflowlab.tracking.records import RatingRecord, SessionStart, TurnRecord
from llmflowlab.tracking.sessions import Session

if TYPE_CHECKING:
    from llmflowlab.tracking.delivery import Delivery

__all__ = ["ChatRecorder"]

_FILES_PATIENCE = 5.0
"""Seconds that a session's end waits for the local files; they take milliseconds."""


class ChatRecorder:
    """The journal of one session; a session without turns leaves no trace.

    Args:
        settings: Names the home.
        start: Who talks with whom.
        delivery: Returns what brings the session to the sinks, started at its first use.
    """

    def __init__(
        self, settings: Settings, start: SessionStart, delivery: Callable[[], Delivery]
    ) -> None:
        journal = Journal(journal_path(settings.journals_dir, start.session_id))
        self._session = Session(start=start, journal=journal, cursors=Cursors(journal.path))
        self._delivery = delivery
        self._begun = False
        self._held = False
        self._closed = False

    def record_answer(self, turn: TurnRecord) -> None:
        """Bring an answer to the disk as soon as it was shown, before it is measured.

        Where the disk does not take it, `record_turn` says so, which follows.
        """
        with suppress(OSError):
            self._write("answered", turn)

    def record_turn(self, turn: TurnRecord) -> None:
        """Bring a turn to the disk before returning, and have it delivered.

        Raises:
            TrackingError: The disk did not take it; it is kept in memory, delivered all the same,
                and written with the next one.
        """
        assert not self._closed
        session = self._session
        with session.lock:
            session.contents.turns.append(turn)
            session.version += 1
        try:
            self._write("turn", turn)
        except OSError as exc:
            raise _not_written(session.journal, exc, "turn") from exc
        finally:
            self._delivery().submit(session)

    def _write(self, kind: str, values: Any) -> None:
        journal = self._session.journal
        if not self._begun:
            self._begun = True
            # One write with what follows: a journal that begins without a turn would be of no use.
            journal.stage("start", self._session.start)
        journal.stage(kind, values)
        if not self._held:
            if not journal.acquire():
                raise OSError(f"{journal.path.name} is in use")
            self._held = True
        journal.flush()

    def record_rating(self, rating: RatingRecord) -> None:
        """Bring a person's judgement of a turn to the disk, and have it delivered.

        Raises:
            TrackingError: The disk did not take it; it is kept as a turn is.
        """
        assert self._begun
        assert not self._closed
        session = self._session
        with session.lock:
            session.contents.ratings.append(rating)
            session.version += 1
        try:
            self._write("rating", rating)
        except OSError as exc:
            raise _not_written(session.journal, exc, "rating") from exc
        finally:
            self._delivery().submit(session)

    def close(self, *, interrupted: bool = False) -> None:
        """End the session and return when the local files have it; a second call does nothing.

        No other sink is waited for. Where the disk does not take the end, the delivery is told and goes on from memory.

        Args:
            interrupted: The person pressed Ctrl-C.
        """
        if self._closed:
            return
        self._closed = True
        if not self._begun:
            return
        session = self._session
        ended_ms = int(time.time() * 1000)
        with session.lock:
            session.contents.ended = True
            session.contents.interrupted = interrupted
            session.contents.ended_ms = ended_ms
            session.version += 1
        try:
            self._write("end", {"interrupted": interrupted, "ended_ms": ended_ms})
        except OSError as exc:
            self._delivery().notify(_not_written(session.journal, exc, "session's end").message)
        finally:
            self._delivery().submit(session)
            self._delivery().wait_for_files(_FILES_PATIENCE)


def _not_written(journal: Journal, exc: OSError, what: str) -> TrackingError:
    reason = exc.strerror or str(exc)
    return TrackingError(
        f"The {what} could not be written to {journal.path.parent} ({reason}); it is kept in memory "
        "and tried again with the next one. Make room there before you leave the lab."
    )
