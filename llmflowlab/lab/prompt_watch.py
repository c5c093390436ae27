"""Follows the alias of a prompt that is in use: a version it moves to is used a minute later at most."""

from __future__ import annotations

import threading
from collections.abc import Callable

from llmflowlab.errors import LabError
from llmflowlab.lab.prompts_in_use import PromptInUse

__all__ = ["PromptWatch"]

_EVERY = 30.0
"""Seconds between two looks."""


class PromptWatch:
    """Looks in a thread of its own, so that nobody who asks waits for the registry.

    Args:
        load: Loads the prompt anew.
        used: The version in use.
    """

    def __init__(self, load: Callable[[], PromptInUse], used: PromptInUse) -> None:
        self._load = load
        self._used = used
        self._moved: PromptInUse | None = None
        self._told: list[str] = []
        self._last: str | None = used.note
        self._ended = threading.Event()

    def start(self) -> PromptWatch:
        """Begin to look; returns itself."""
        threading.Thread(target=self._work, name="prompt-watch", daemon=True).start()
        return self

    def look(self) -> None:
        """Look once."""
        try:
            found = self._load()
        except LabError as exc:
            said: str | None = f"{self._used.reference} stays in use: {exc.message}"
        else:
            said = found.note
            if found.reference != self._used.reference:
                self._used = self._moved = found
        if said is not None and said != self._last:
            self._told.append(said)
        self._last = said

    def moved(self) -> PromptInUse | None:
        """Take the version that the alias moved to; None where it did not."""
        found, self._moved = self._moved, None
        return found

    def told(self) -> list[str]:
        """Take what is to be said of the registry."""
        found, self._told = self._told, []
        return found

    def stop(self) -> None:
        """End the looking."""
        self._ended.set()

    def _work(self) -> None:
        while not self._ended.wait(_EVERY):
            self.look()
