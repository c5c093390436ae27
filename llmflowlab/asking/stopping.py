"""Ends calls gently: what is in flight finishes, what waits for another try is given up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llmflowlab.asking.waiting import Cancellation

__all__ = ["OpenCall", "Stopper"]


class Stopper:
    """Shared by all calls that are to end together; thread-safe."""

    def __init__(self) -> None:
        self.event = threading.Event()
        """Set once nothing more may be sent."""
        self._lock = threading.Lock()
        self._open: set[OpenCall] = set()

    @property
    def stopped(self) -> bool:
        return self.event.is_set()

    def stop(self) -> None:
        """Send nothing more."""
        self.event.set()
        for call in self._calls():
            if call.waits:
                call.cancelled.set()

    def abandon(self) -> None:
        """Send nothing more, and give up what is in flight."""
        self.event.set()
        for call in self._calls():
            call.cancelled.set()

    def _calls(self) -> list[OpenCall]:
        with self._lock:
            return list(self._open)

    @contextmanager
    def opened(self) -> Iterator[OpenCall]:
        """Have a call end with the others while the context lasts."""
        call = OpenCall(self.event)
        with self._lock:
            self._open.add(call)
        try:
            yield call
        finally:
            with self._lock:
                self._open.discard(call)


class OpenCall:
    """One call: knows whether it waits for another try."""

    def __init__(self, stopped: threading.Event) -> None:
        self.cancelled = Cancellation()
        """Gives this call up."""
        self.waits = False
        self._stopped = stopped

    def wait(self) -> None:
        """Note that nothing is in flight until the next try."""
        self.waits = True
        # The stop may have come before anybody could know that this call would wait.
        if self._stopped.is_set():
            self.cancelled.set()
