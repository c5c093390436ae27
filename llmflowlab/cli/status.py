"""The start screen's view of the providers: which are ready, and how many are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from llmflowlab.cli.formatting import shortened
from llmflowlab.cli.ui.screen import Tone
from llmflowlab.lab.labels import LABELS
from llmflowlab.providers.base import Readiness

__all__ = ["Checks", "ProviderStatus"]

_READY = "  ready  "
_NEAR = "  to fetch  "
_HOW = "see `doctor`"


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
        """Return a line for each provider that is ready or one command away, and one for all others."""
        known = self._checks.snapshot()
        ready = [(n, r) for n, r in known.items() if r is not None and r.ready]
        looking = [LABELS[n] for n, r in known.items() if r is None]
        waiting = {n: r for n, r in known.items() if r is not None and not r.ready}
        near = {n: r for n, r in waiting.items() if r.to_pull is not None}
        missing = [LABELS[n] for n in waiting if n not in near]
        lines: list[tuple[Tone, str]] = [
            ("good", _READY + shortened(f"{LABELS[name]}: {state.text}", width - len(_READY)))
            for name, state in ready
        ]
        for name, state in near.items():
            said = f"{LABELS[name]}: {state.to_pull} (Chat offers it)"
            lines.append(("quiet", _NEAR + shortened(said, width - len(_NEAR))))
        if looking:
            lines.append(("quiet", _folded("  looking at ", looking, " ...", width)))
        if missing:
            begin = f"  {len(missing)} not set up: "
            lines.append(("quiet", _folded(begin, missing, f" · {_HOW}", width)))
        return lines


def _folded(begin: str, names: Sequence[str], end: str, width: int) -> str:
    """Set names between a beginning and an end that stay whole."""
    return begin + shortened(", ".join(names), width - len(begin) - len(end)) + end
