"""A sink's own thread: what another sink waits for, or fails at, does not concern it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from llmflowlab.errors import LabError
from llmflowlab.tracking.cursors import Cursor
from llmflowlab.tracking.outbox import Outbox
from llmflowlab.tracking.sessions import Session
from llmflowlab.tracking.sinks.base import Sink
from llmflowlab.tracking.store_errors import StoreBusy, StoreUnreachable

__all__ = ["Lane"]

_FIRST_RETRY = 2.0
_LONGEST_RETRY = 60.0
"""Seconds between attempts while a sink does not answer; they double from the first to the longest."""
_BUSY_RETRY = 0.2
_GRACE = 0.1
"""Seconds between the end of a turn and the work on it; whoever waits cuts them short."""


class Lane:
    """Brings one sink what it lacks.

    Args:
        sink: Is used here alone.
        outbox: What is to be delivered.
        notify: Told in one sentence what went wrong.
    """

    def __init__(self, sink: Sink, outbox: Outbox, notify: Callable[[str], None]) -> None:
        self.sink = sink
        self.failures = 0
        """Attempts that failed; one that found the sink busy is none."""
        self._outbox = outbox
        self._notify = notify
        self._urgent = False
        self._retry_at = 0.0
        self._retry_after = _FIRST_RETRY
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        """Held from making the thread until it can be waited for."""

    def start(self, first: Callable[[], None] | None = None) -> None:
        """Start the thread.

        Args:
            first: Done in it before anything else.
        """
        with self._starting:
            self._thread = threading.Thread(
                target=self._work, args=[first], name=f"deliver to {self.sink.name}", daemon=True
            )
            self._thread.start()

    def hurry(self) -> None:
        """Have what is lacking delivered now; called with the outbox's lock held."""
        self._urgent = self.lacks() or not self._outbox.searched

    def lacks(self) -> bool:
        """Whether the sink lacks something."""
        return bool(self._outbox.lacking(self.sink.name))

    def join(self, seconds: float) -> bool:
        """Wait for the thread to end; say whether it has."""
        with self._starting:
            thread = self._thread
        if thread is None:
            return True
        thread.join(seconds)
        return not thread.is_alive()

    def _work(self, first: Callable[[], None] | None) -> None:
        if first is not None:
            first()
        try:
            self.sink.prepare()
        except Exception as exc:  # noqa: BLE001 - the first session meets it again and tells it better
            self._notify(f"{self.sink.place} could not be loaded ({type(exc).__name__}: {exc}).")
        outbox = self._outbox
        while True:
            with outbox.changed:
                outbox.changed.wait_for(self._may_go, self._until_due())
                if not outbox.stopping:
                    # Whoever waits for the prompt after an answer gets the processor first.
                    outbox.changed.wait_for(lambda: self._urgent or outbox.stopping, _GRACE)
            if outbox.stopping:
                if self.sink.local:
                    self.attempt()
                return
            if self._due():
                self.attempt()

    def _may_go(self) -> bool:
        return self._outbox.stopping or (self._due() and self.lacks())

    def _due(self) -> bool:
        return self._urgent or time.monotonic() >= self._retry_at

    def _until_due(self) -> float | None:
        if not self.lacks():
            return None
        return max(0.0, self._retry_at - time.monotonic())

    def attempt(self) -> None:
        """Try once to bring the sink everything it lacks, in this thread."""
        with self._outbox.changed:
            self._urgent = False
        failed = busy = False
        for session in self._outbox.lacking(self.sink.name):
            if self._outbox.stopping and not self.sink.local:
                break
            try:
                self._deliver(session)
            except StoreBusy:
                busy = True
            except StoreUnreachable as exc:
                failed = True
                self._unreachable(session, exc)
                # No other session would fare better.
                break
            except Exception as exc:  # noqa: BLE001 - the thread must outlive a surprise
                failed = True
                self._failed(session, exc)
        self._plan(failed=failed, busy=busy)

    def _deliver(self, session: Session) -> None:
        name = self.sink.name
        version, snapshot = session.snapshot()
        at = self.sink.open(snapshot, session.cursors.of(name))
        if at is not None:
            # Kept step by step: what a kill interrupts is not done again from the beginning.
            session.move(name, at)
            self._outbox.run_known(session)
            at = self.sink.write(snapshot, at)
            session.move(name, at)
            if snapshot.ended and not at.closed:
                session.move(name, self.sink.close(snapshot, at))
        self._outbox.arrived(session, name, version)

    def _plan(self, *, failed: bool, busy: bool) -> None:
        with self._outbox.changed:
            if failed:
                self.failures += 1
                self._retry_at = time.monotonic() + self._retry_after
                self._retry_after = min(_LONGEST_RETRY, self._retry_after * 2)
            else:
                self._retry_at = time.monotonic() + _BUSY_RETRY if busy else 0.0
                self._retry_after = _FIRST_RETRY
            self._outbox.changed.notify_all()

    def _unreachable(self, session: Session, exc: StoreUnreachable) -> None:
        folder = session.journal.path.parent
        kept = f"the session is kept in {folder} and delivered later."
        if session.journal.unsaved:
            kept = (
                f"{folder} does not take the session either: it is in memory alone. Make room there "
                "before you leave the lab."
            )
        self._notify(f"{exc.message.rstrip('.')}; {kept}")

    def _failed(self, session: Session, exc: Exception) -> None:
        # From the beginning, whatever the failed attempt wrote; repeating it does no harm.
        before = session.cursors.of(self.sink.name)
        session.cursors.move(self.sink.name, Cursor(run_id=before.run_id))
        why = exc.message if isinstance(exc, LabError) else type(exc).__name__
        if isinstance(exc, OSError):
            why = exc.strerror or str(exc)
        kept = "in memory alone" if session.journal.unsaved else f"in {session.journal.path}"
        self._notify(
            f"A session could not be saved to {self.sink.place} ({why.rstrip('.')}); it is kept "
            f"{kept} and tried again."
        )
