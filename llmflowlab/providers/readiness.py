"""Which providers are ready: looked up beside the menu, each with a deadline, never delaying it."""

from __future__ import annotations

import threading
import time

from llmflowlab.providers.base import Readiness
from llmflowlab.providers.factory import PROVIDERS, provider_class
from llmflowlab.settings import Settings

__all__ = ["ReadinessChecks"]

_GRACE = 0.25
"""Seconds a check may take beyond its deadline before it is told for it: its last step may run over."""


class ReadinessChecks:
    """One look at every provider, each in a thread of its own.

    Args:
        settings: The configuration.
        timeout: Seconds each look may take.
    """

    def __init__(self, settings: Settings, timeout: float = 1.0) -> None:
        self._settings = settings
        self._timeout = timeout
        self._found: dict[str, Readiness] = {}
        self._changed = threading.Condition()
        self._deadline: float | None = None

    def start(self) -> None:
        """Start looking, where nobody has yet; returns at once."""
        with self._changed:
            if self._deadline is not None:
                return
            self._deadline = time.monotonic() + self._timeout + _GRACE
        for name in PROVIDERS:
            self.look_again(name)

    def look_again(self, name: str) -> None:
        """Start looking at one provider, of which something was changed; returns at once."""
        threading.Thread(
            target=self._look, args=(name,), name=f"readiness-{name}", daemon=True
        ).start()

    def snapshot(self) -> dict[str, Readiness | None]:
        """Return what is known now, in the order of `PROVIDERS`; None while a look is under way."""
        late = Readiness(False, f"no answer within {self._timeout:g} s") if self._late() else None
        with self._changed:
            return {name: self._found.get(name, late) for name in PROVIDERS}

    @property
    def done(self) -> bool:
        """Whether `snapshot` holds no None any more."""
        with self._changed:
            return len(self._found) == len(PROVIDERS) or self._late()

    @property
    def ended(self) -> bool:
        """Whether every look has come to its end; one that is late may still change what is known."""
        with self._changed:
            return len(self._found) == len(PROVIDERS)

    def wait(self, seconds: float) -> bool:
        """Look, and wait at most so long until all is known; return `done`."""
        self.start()
        assert self._deadline is not None
        until = min(time.monotonic() + seconds, self._deadline)
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._found) == len(PROVIDERS), max(0.0, until - time.monotonic())
            )
        return self.done

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _look(self, name: str) -> None:
        try:
            found = provider_class(name).readiness(self._settings, self._timeout)
        except Exception as exc:  # noqa: BLE001
            # A provider's look never raises; should one do so all the same, its thread must neither
            # write over the menu nor leave it waiting.
            found = Readiness(False, f"could not be looked up ({type(exc).__name__})")
        with self._changed:
            self._found[name] = found
            self._changed.notify_all()
