"""Ends calls gently: what is in flight finishes, what waits for another try is given up."""

from __future__ import annotations

import threading

from llmflowlab.asking.calling import Answer, CallPolicy, Cancellation, WaitNotice, call
from llmflowlab.asking.pacing import Gate
from llmflowlab.errors import ProviderError
from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider

__all__ = ["Stopper"]


class Stopper:
    """Shared by all calls that are to end together; thread-safe."""

    def __init__(self) -> None:
        self.event = threading.Event()
        """Set once nothing more may be sent."""
        self._lock = threading.Lock()
        self._open: set[_Call] = set()

    @property
    def stopped(self) -> bool:
        return self.event.is_set()

    def stop(self) -> None:
        """Send nothing more."""
        self.event.set()
        for call_ in self._calls():
            if call_.waits:
                call_.cancelled.set()

    def abandon(self) -> None:
        """Send nothing more, and give up what is in flight."""
        self.event.set()
        for call_ in self._calls():
            call_.cancelled.set()

    def _calls(self) -> list[_Call]:
        with self._lock:
            return list(self._open)

    def call(
        self, provider: Provider, request: Request, *, policy: CallPolicy, gate: Gate | None = None
    ) -> Answer:
        """Call a model as `providers.calling.call` does; `interrupted` where it was given up.

        Raises:
            ProviderError: As `call`.
            ConfigurationError: As `call`.
        """
        this = _Call(self.event, gate)
        with self._lock:
            self._open.add(this)
        try:
            return call(
                provider,
                request,
                policy=policy,
                on_wait=this.on_wait,
                cancelled=this.cancelled,
                gate=this,
            )
        finally:
            with self._lock:
                self._open.discard(this)


class _Call:
    """One call: knows whether it waits, and lets no try begin after the stop."""

    def __init__(self, stopped: threading.Event, gate: Gate | None) -> None:
        self.cancelled = Cancellation()
        self.waits = False
        self._stopped = stopped
        self._gate = gate

    def on_wait(self, _: WaitNotice) -> None:
        self.waits = True
        if self._stopped.is_set():
            self.cancelled.set()

    def enter(self, stop: threading.Event) -> bool:
        self.waits = False
        if stop.is_set() or self._stopped.is_set():
            return False
        return self._gate is None or self._gate.enter(self._stopped)

    def leave(self, error: ProviderError | None, tokens: int | None) -> None:
        if self._gate is not None:
            self._gate.leave(error, tokens)
