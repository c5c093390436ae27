"""A log of numbered events in shared storage, which one writer at a time can extend.

Each event is created under the next number. Whoever begins a log writes an event of its own first, so
that a writer from before, asleep or cut off, finds its next number taken and knows that it was followed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from llmflowlab.cluster.storage import Storage
from llmflowlab.errors import TrackingError

__all__ = ["EventLog", "Fenced", "coordinator_log"]

_KEPT = 500
"""Events after which the log is begun anew with their sum."""


class Fenced(TrackingError):
    """Another writer has taken the log over."""


class EventLog:
    """The events of one folder, oldest first.

    Args:
        storage: Where.
        folder: Under which key.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage = storage
        self._folder = folder
        self._next = 0
        self._first = 0
        self._begun: set[int] = set()
        """Numbers under which a writer began: there the one before it looks, so they stay."""

    def begin(self) -> list[dict[str, Any]]:
        """Take the log over from whoever wrote it, and return its events.

        Raises:
            TrackingError: It cannot be read or written.
        """
        while True:
            events = self.replay()
            # The one before may have gone on meanwhile.
            with suppress(Fenced):
                self.append({"begun": True})
                return events

    def replay(self) -> list[dict[str, Any]]:
        """Return the events there are, from the last that sums up all before it.

        Raises:
            TrackingError: One cannot be read.
        """
        events: list[dict[str, Any]] = []
        for key in self._storage.keys(self._folder):
            number = int(key.rsplit("/", 1)[1].partition(".")[0])
            data = self._storage.read(key)
            if data is None:
                # Summed up and deleted meanwhile.
                continue
            event = json.loads(data)
            if "begun" in event:
                self._begun.add(number)
            if "sum" in event or not events:
                events, self._first = [], number
            events.append(event)
            self._next = number + 1
        return events

    def append(self, event: dict[str, Any]) -> None:
        """Write an event down.

        Raises:
            Fenced: Another writer has written under its number.
            TrackingError: It cannot be written.
        """
        data = json.dumps(event).encode()
        if not self._storage.create(self._key(self._next), data):
            raise Fenced(f"{self._storage.place} has another coordinator by now; this one ends.")
        if "begun" in event:
            self._begun.add(self._next)
        self._next += 1

    @property
    def long(self) -> bool:
        """Whether it is time to sum up."""
        return self._next - self._first > _KEPT

    def sum_up(self, state: dict[str, Any]) -> None:
        """Begin the log anew with what all its events came to.

        Raises:
            Fenced: As in `append`.
            TrackingError: It cannot be written.
        """
        first, self._first = self._first, self._next
        self.append({"sum": state})
        gone = (number for number in range(first, self._first) if number not in self._begun)
        self._storage.delete(map(self._key, gone))

    def _key(self, number: int) -> str:
        return f"{self._folder}/{number:010d}.json"


def coordinator_log(storage: Storage, evaluation: str) -> EventLog:
    """Return what the coordinators of an evaluation write down; `evaluation` is its folder."""
    return EventLog(storage, f"{evaluation}/coordinator")
