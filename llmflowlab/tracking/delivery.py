"""Brings sessions from their journals to every sink, beside the chat and again after every crash.

What is remembered is written once, into a journal; each sink delivers from it at its own speed, in a
thread of its own. Where a sink is down the others go on, and a journal stays until all have it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from llmflowlab.settings import Settings
from llmflowlab.tracking.lanes import Lane
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.outbox import Outbox
from llmflowlab.tracking.recovery import left_behind, recovered
from llmflowlab.tracking.sessions import RecoveredSession, Session
from llmflowlab.tracking.sinks.base import Sink
from llmflowlab.tracking.sinks.sink_table import Wiring, make_sinks

__all__ = ["Delivery"]

_STOP_PATIENCE = 2.0
"""Seconds `stop` waits for the threads; one that hangs in a request is left behind."""


class Delivery:
    """Delivers all sessions of this home that no other process holds.

    Args:
        settings: Names the home and the store.
        package: What is registered after a session; None registers nothing.
        on_notice: Told in one sentence, once for each cause, what went wrong and whether it mended.
        sinks: Where to; None: all of the table.
        only_local: Deliver to the sinks of this machine alone; the others are left to a deliverer, as
            are the sessions of dead processes.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        package: ModelPackage | None = None,
        on_notice: Callable[[str], None] | None = None,
        sinks: Sequence[Sink] | None = None,
        only_local: bool = False,
    ) -> None:
        self._settings = settings
        self._on_notice = on_notice
        self._noticed: set[str] = set()
        self._noticing = threading.Lock()
        self.recovered: list[RecoveredSession] = []
        """Sessions found without an end, left by processes that died."""
        if sinks is None:
            wiring = Wiring(settings=settings, package=package, on_notice=self.notify)
            sinks = make_sinks(wiring)
        self._outbox = Outbox([sink.name for sink in sinks])
        self._outbox.searched = only_local
        self._lanes = [
            Lane(sink, self._outbox, self.notify) for sink in sinks if sink.local or not only_local
        ]
        self._started = False

    def start(self) -> None:
        """Start the threads; the first looks for what dead processes left."""
        with self._outbox.changed:
            if self._started:
                return
            self._started = True
        for number, lane in enumerate(self._lanes):
            lane.start(first=None if number or self._outbox.searched else self.look)

    def submit(self, session: Session) -> None:
        """Take a session, or note that it has more to deliver."""
        self._outbox.put([session])

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every sink has everything, or an attempt made since has failed for good.

        Args:
            timeout: Seconds; None waits as long as attempts succeed. Before `start` nothing is
                waited for.

        Returns:
            Whether everything is delivered.
        """
        return self._wait(self._lanes, timeout) and not self._outbox.pending()

    def wait_for_files(self, timeout: float) -> bool:
        """Wait until the sinks that need nothing but this machine have everything.

        Returns:
            Whether they do.
        """
        return self._wait([lane for lane in self._lanes if lane.sink.local], timeout)

    def _wait(self, lanes: Sequence[Lane], timeout: float | None) -> bool:
        outbox = self._outbox

        def over() -> bool:
            return outbox.searched and not any(lane.lacks() for lane in lanes)

        with outbox.changed:
            if not self._started:
                return not any(lane.lacks() for lane in lanes)
            before = {lane: lane.failures for lane in lanes}
            for lane in lanes:
                lane.hurry()
            outbox.changed.notify_all()
            outbox.changed.wait_for(
                lambda: (
                    outbox.stopping
                    or over()
                    or (
                        outbox.searched
                        and all(lane.failures > before[lane] or not lane.lacks() for lane in lanes)
                    )
                ),
                timeout,
            )
            return over()

    def pending(self) -> int:
        """Count the sessions of which something has not arrived yet."""
        return len(self.lacking())

    def lacking(self) -> list[Session]:
        """Return those sessions."""
        return self._outbox.pending()

    def unsaved(self) -> int:
        """Count the sessions of which the disk lacks something, so that they end with this process."""
        return sum(session.journal.unsaved > 0 for session in self._outbox.sessions())

    def run_id(self, session_id: str) -> str | None:
        """Return a session's run, where this process has delivered it or begun to."""
        return self._outbox.run_id(session_id)

    def deliver_once(self) -> None:
        """Try once to bring every sink everything, in this thread; for a delivery not started."""
        before = [lane.failures for lane in self._lanes]
        for lane in self._lanes:
            lane.attempt()
        # What one sink made known, its run, is news for the others.
        for lane, failures in zip(self._lanes, before, strict=True):
            if lane.lacks() and lane.failures == failures:
                lane.attempt()

    def stop(self) -> None:
        """End the threads, the local files whole; what else is not delivered is left for later."""
        with self._outbox.changed:
            self._outbox.stopping = True
            self._outbox.changed.notify_all()
        until = time.monotonic() + _STOP_PATIENCE
        # A sink that lacks nothing has nothing to end, whatever its thread still loads.
        at_work = [lane for lane in self._lanes if lane.sink.local or lane.lacks()]
        ended = [lane.join(max(0.0, until - time.monotonic())) for lane in at_work]
        if all(ended):
            for session in self._outbox.sessions():
                session.journal.release()

    def notify(self, sentence: str) -> None:
        """Pass a sentence on, unless it was said before."""
        with self._noticing:
            if sentence in self._noticed:
                return
            self._noticed.add(sentence)
        if self._on_notice is not None:
            self._on_notice(sentence)

    def look(self) -> None:
        """Take the sessions that dead processes left."""
        try:
            left = left_behind(self._settings, self.notify)
            self.recovered += [recovered(session) for session in left if session.crashed]
            self._outbox.put(left)
        except Exception as exc:  # noqa: BLE001 - the thread must outlive a surprise
            self.notify(f"Earlier sessions could not be looked for ({type(exc).__name__}: {exc}).")
        with self._outbox.changed:
            self._outbox.searched = True
            self._outbox.changed.notify_all()
