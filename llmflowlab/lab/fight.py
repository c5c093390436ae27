"""Two calls beside each other, heard by one view; what each came to is kept as it ends."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from llmflowlab.asking.calling import WaitNotice
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.asking.stopping import Stopper
from llmflowlab.messages import Request
from llmflowlab.providers.base import StreamEvent

__all__ = ["PLACES", "BattleView", "Place", "ask_both"]

Place: TypeAlias = Literal["left", "right"]

PLACES: tuple[Place, Place] = ("left", "right")
_Heard: TypeAlias = "queue.SimpleQueue[tuple[Place, Any]]"
_LOOK = 0.1
_LAST_WORDS = 5.0
"""Seconds that calls which are given up get to say what they cost."""


class BattleView(Protocol):
    """Where a battle is shown while it goes on; it knows of no names."""

    def begin(self, number: int, prompt: str) -> None:
        """Two answers are about to come."""

    def event(self, place: Place, event: StreamEvent) -> None:
        """Show a piece of an answer."""

    def wait(self, place: Place, notice: WaitNotice) -> None:
        """Say what is waited for before the next try."""

    def ended(self, place: Place) -> None:
        """One side has said all it will."""

    def tick(self) -> None:
        """Nothing came for a moment; what is raised here ends the battle."""

    def close(self) -> None:
        """Finish the display."""


def ask_both(
    calls: Sequence[tuple[Asker, Request]],
    view: BattleView,
    keep: Callable[[Place, Paid, int], None],
) -> None:
    """Have both calls answer at once, and return when both have ended.

    Ctrl-C, and whatever the view or `keep` raises, gives both up, keeps what they took, and passes on.

    Args:
        calls: The left one and the right one.
        view: Closed in any case.
        keep: Told what came of a side, and when its call began, in milliseconds since the epoch.
    """
    heard: _Heard = queue.SimpleQueue()
    stopper = Stopper()
    for place, (asker, request) in zip(PLACES, calls, strict=True):
        _Call(asker, request, stopper, heard, place).start()
    left = set(PLACES)
    try:
        while left:
            try:
                # In pieces: a wait without end cannot be interrupted everywhere.
                place, what = heard.get(timeout=_LOOK)
            except queue.Empty:
                view.tick()
                continue
            if isinstance(what, _Over):
                left.remove(place)
                keep(place, what.paid(), what.began_ms)
                view.ended(place)
            elif isinstance(what, WaitNotice):
                view.wait(place, what)
            else:
                view.event(place, what)
    except BaseException:
        stopper.abandon()
        _last_words(heard, left, keep)
        raise
    finally:
        view.close()


def _last_words(heard: _Heard, left: set[Place], keep: Callable[[Place, Paid, int], None]) -> None:
    until = time.monotonic() + _LAST_WORDS
    while left and (seconds := until - time.monotonic()) > 0:
        try:
            place, what = heard.get(timeout=seconds)
        except queue.Empty:
            return
        if isinstance(what, _Over):
            left.remove(place)
            if what.error is None:
                keep(place, what.paid(), what.began_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Over:
    """The end of a call."""

    began_ms: int
    came: Paid | None
    error: BaseException | None = None

    def paid(self) -> Paid:
        """Return what came of it.

        Raises:
            BaseException: What befell its thread.
        """
        if self.error is not None:
            raise self.error
        assert self.came is not None
        return self.came


class _Call(threading.Thread):
    """One side's call, beside the other's."""

    def __init__(
        self,
        asker: Asker,
        request: Request,
        stopper: Stopper,
        heard: _Heard,
        place: Place,
    ) -> None:
        super().__init__(name=f"arena-{place}", daemon=True)
        self._asker, self._request, self._stopper = asker, request, stopper
        self._heard, self._place = heard, place

    def run(self) -> None:
        began_ms = int(time.time() * 1000)
        tell = self._tell
        try:
            paid = self._asker.ask_blocking(
                self._request, on_event=tell, on_wait=tell, stopper=self._stopper
            )
        except BaseException as exc:  # noqa: BLE001 - carried over to who waits, raised there
            tell(_Over(began_ms=began_ms, came=None, error=exc))
        else:
            tell(_Over(began_ms=began_ms, came=paid))

    def _tell(self, what: StreamEvent | WaitNotice | _Over) -> None:
        self._heard.put((self._place, what))
