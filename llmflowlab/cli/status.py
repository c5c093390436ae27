"""The start screen's view of the providers: which are ready, what is missing for the others."""

from __future__ import annotations

import textwrap
from typing import Protocol

from llmflowlab.cli.ui.screen import Tone
from llmflowlab.lab.labels import LABELS
from llmflowlab.providers.base import Readiness

__all__ = ["Checks", "ProviderStatus"]


class Checks(Protocol):
    """The running readiness checks, as `providers.readiness.ReadinessChecks` offers them."""

    def snapshot(self) -> dict[str, Readiness | None]:
        """Return what is known of each provider; None while it is looked at."""
        ...

    @property
    def done(self) -> bool:
        """Whether every provider has been looked at, or its look is late."""
        ...

    @property
    def ended(self) -> bool:
        """Whether no look is under way any more, not even a late one."""
        ...

    def wait(self, seconds: float) -> object:
        """Wait until all checks are done, `seconds` at the most."""
        ...


class ProviderStatus:
    """Turns readiness into lines for a menu."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    @property
    def settled(self) -> bool:
        return self._checks.ended

    def wait(self, seconds: float) -> None:
        self._checks.wait(seconds)

    def lines(self, width: int) -> list[tuple[Tone, str]]:
        """Return a line for each provider, the ready ones first."""
        known = self._checks.snapshot()
        ready = [(n, r) for n, r in known.items() if r is not None and r.ready]
        looking = [n for n, r in known.items() if r is None]
        missing = [(n, r) for n, r in known.items() if r is not None and not r.ready]
        lines: list[tuple[Tone, str]] = []
        for name, state in ready:
            lines += _entry("good", "ready", f"{LABELS[name]}: {state.text}", width)
        for name in looking:
            lines += _entry("quiet", "...", f"{LABELS[name]}: looking", width)
        for name, state in missing:
            lines += _entry("quiet", "not yet", f"{LABELS[name]}: {state.text}", width)
        return lines


def _entry(tone: Tone, mark: str, text: str, width: int) -> list[tuple[Tone, str]]:
    margin = f"  {mark:<9}"
    wrapped = textwrap.wrap(text, max(width - len(margin), 20), break_on_hyphens=False)
    return [
        (tone, (margin if number == 0 else " " * len(margin)) + line)
        for number, line in enumerate(wrapped)
    ]
