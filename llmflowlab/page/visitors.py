"""Who is signed in at the page; their keys are in this process's memory, and nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextvars import ContextVar

from llmflowlab.page.service_calls import CallRefused, ServiceCalls

__all__ = ["ANYBODY", "Visitors"]

ANYBODY = "anybody"
"""Who comes where the service asks for no key."""


class Visitors:
    """The visitors of a page.

    Args:
        service: Knows which keys hold.
        near: Whether the page is meant for this machine alone: only then anybody may come in where the
            service asks for no key.
    """

    def __init__(self, service: ServiceCalls, *, near: bool) -> None:
        self._service = service
        self._near = near
        self._keys: dict[str, str] = {}
        self._current: ContextVar[str | None] = ContextVar("visitor", default=None)
        self.open = False
        """Whether the service asks for no key; as it was when it was last asked."""
        self.on_look: Callable[[], None] = lambda: None
        """Told when that was found out."""

    @property
    def keyed(self) -> bool:
        """Whether who comes must sign in."""
        return not (self.open and self._near)

    @property
    def current(self) -> str | None:
        """Whose request this is; None: nobody's who is signed in."""
        return self._current.get()

    @property
    def key(self) -> str | None:
        """The key of whose request this is; None where none is needed, or there is none."""
        return self._keys.get(self.current or "")

    def come(self, visitor: str | None) -> None:
        """Take what follows for this visitor's, unless they are not signed in."""
        known = visitor in self._keys or (visitor == ANYBODY and not self.keyed)
        self._current.set(visitor if known else None)

    async def look(self) -> None:
        """Find out whether the service asks for a key; it stays as it was where it cannot be reached."""
        try:
            await self._service.models(None)
        except CallRefused as exc:
            if exc.code == "missing_key":
                self.open = False
        else:
            self.open = True
        self.on_look()

    async def sign_in(self, key: str) -> str | None:
        """Let somebody in with a key; returns the visitor, None where the key does not hold.

        Raises:
            CallRefused: The service cannot say.
        """
        await self.look()
        if self.open:
            # It would take any word for a key.
            return None
        try:
            await self._service.models(key)
        except CallRefused as exc:
            if exc.code in {"invalid_key", "missing_key"}:
                return None
            raise
        visitor = "key-" + hashlib.sha256(key.encode()).hexdigest()[:12]
        self._keys[visitor] = key
        return visitor

    def refused(self, refusal: CallRefused) -> None:
        """Note that a key holds no longer, or that one is needed by now: the next request signs in anew."""
        if refusal.code == "missing_key":
            self.open = False
        elif refusal.code == "invalid_key":
            self._keys.pop(self.current or "", None)
