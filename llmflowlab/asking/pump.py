"""Reads a provider's stream in a thread of its own, so that every deadline and Ctrl-C holds.

An SDK can sit in a read that no signal ends; the caller waits on a queue instead, which signals,
deadlines and a `Cancellation` do end. A stream given up is closed by the thread that reads it as
soon as it moves again (the SDKs' read timeouts see to that); the thread is a daemon, so it never
holds the program's exit up.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import TypeAlias

from llmflowlab.errors import BadAnswer, ProviderError, StreamInterrupted, TimedOut
from llmflowlab.messages import Request
from llmflowlab.providers.base import Finished, Provider, ReasoningDelta, StreamEvent, TextDelta
from llmflowlab.providers.receiving import events_of

__all__ = ["Arrival", "Cancellation", "Pump", "longest_wait"]

_SLICE = 0.1
_LONGEST = 3600.0


def longest_wait(*, polled: bool) -> float:
    """Return how many seconds this thread may wait at a stretch.

    Short where an event has to be looked at in between (`polled`), and in the main thread: a Ctrl-C
    that arrives just before a wait begins does not end it, and on Windows none ever does.
    """
    short = polled or threading.current_thread() is threading.main_thread()
    return _SLICE if short else _LONGEST


class Cancellation(threading.Event):
    """An event that wakes the calls waiting under it at once; a plain one has to be polled."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._wakers: set[Callable[[], None]] = set()

    def set(self) -> None:
        super().set()
        with self._guard:
            wakers = tuple(self._wakers)
        for wake in wakers:
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have `wake` called, in the thread that sets this event, while the context lasts."""
        with self._guard:
            self._wakers.add(wake)
        try:
            yield
        finally:
            with self._guard:
                self._wakers.discard(wake)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came, and when."""

    at: float
    """`time.monotonic` at which the reading thread had it."""
    what: StreamEvent | ProviderError


class _Signal(Enum):
    ENDED = auto()
    """The stream ended without a word of why."""
    LATE = auto()
    WOKEN = auto()


_Item: TypeAlias = "StreamEvent | BaseException | _Signal"


class Pump:
    """One request's stream, from sending it to its end; a context manager that gives it up."""

    def __init__(self, provider: Provider, request: Request) -> None:
        self._provider = provider
        self._queue: queue.SimpleQueue[tuple[float, _Item]] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._thread = threading.Thread(
            target=self._read, args=(request,), name=f"stream-{provider.name}", daemon=True
        )

    def __enter__(self) -> Pump:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._given_up.set()

    def arrivals(
        self, *, first_token_timeout: float, token_timeout: float, stop: threading.Event
    ) -> Generator[Arrival, None, None]:
        """Yield what comes, until `Finished`, a failure (yielded too), or `stop`.

        Args:
            first_token_timeout: Seconds from now to the first piece of text or reasoning.
            token_timeout: Seconds that may pass without an event after that. Time the consumer
                takes between two events is not counted.
            stop: Ends the iteration without a further arrival.

        Raises:
            BaseException: Whatever the provider raised that is not a `ProviderError`.
        """
        deadline = time.monotonic() + first_token_timeout
        begun = False
        with stop.waking(self._wake) if isinstance(stop, Cancellation) else nullcontext():
            while True:
                item = self._next(deadline, stop)
                if item is None:
                    return
                at, what = item
                if isinstance(what, _Signal):
                    late = what is _Signal.LATE
                    what = (
                        self._timed_out(token_timeout if begun else first_token_timeout, begun)
                        if late
                        else self._unfinished(begun)
                    )
                elif isinstance(what, BaseException) and not isinstance(what, ProviderError):
                    raise what
                yield Arrival(at, what)
                if isinstance(what, Finished | ProviderError):
                    # What goes wrong after `Finished` (a reset while closing, say) changes nothing.
                    return
                begun = begun or (isinstance(what, TextDelta | ReasoningDelta) and bool(what.text))
                if begun:
                    deadline = time.monotonic() + token_timeout

    def _next(self, deadline: float, stop: threading.Event) -> tuple[float, _Item] | None:
        """Return the next item, a timeout included; None where `stop` was set."""
        longest = longest_wait(polled=not isinstance(stop, Cancellation))
        while not stop.is_set():
            left = max(deadline - time.monotonic(), 0.0)
            try:
                item = self._queue.get(timeout=min(left, longest))
            except queue.Empty:
                now = time.monotonic()
                if now >= deadline:
                    return now, _Signal.LATE
                continue
            if item[1] is not _Signal.WOKEN:
                return item
        return None

    def _timed_out(self, seconds: float, begun: bool) -> TimedOut:
        name = self._provider.display_name
        message = (
            f"{name} sent nothing more for {seconds:g} s "
            "(LLMFLOWLAB_TOKEN_TIMEOUT sets this limit)."
            if begun
            else f"{name} sent no first token within {seconds:g} s "
            "(LLMFLOWLAB_FIRST_TOKEN_TIMEOUT sets this limit)."
        )
        return TimedOut(
            message,
            provider=self._provider.name,
            model=self._provider.model,
            stage="between_tokens" if begun else "first_token",
        )

    def _unfinished(self, begun: bool) -> ProviderError:
        kind = StreamInterrupted if begun else BadAnswer
        return kind(
            f"{self._provider.display_name} ended its answer without saying that it was finished.",
            provider=self._provider.name,
            model=self._provider.model,
        )

    def _read(self, request: Request) -> None:
        end: _Item = _Signal.ENDED
        try:
            # A stream is lazy: one given up before this point has sent nothing.
            stream = events_of(self._provider, request)
            try:
                if self._given_up.is_set():
                    return
                first = True
                for event in stream:
                    self._queue.put((time.monotonic(), event))
                    if first and isinstance(event, TextDelta | ReasoningDelta):
                        # Lets the waiting thread run now: busy with what else is there already, this
                        # one would keep the interpreter's lock, and the first token, for milliseconds.
                        time.sleep(0)
                        first = False
                    # After `Finished` the stream is let run out, so that its connection can be reused.
                    if self._given_up.is_set() and not isinstance(event, Finished):
                        return
            finally:
                stream.close()
        except BaseException as exc:  # noqa: BLE001
            # Not handled here: carried over to the thread that waits, and raised there.
            end = exc
        self._queue.put((time.monotonic(), end))

    def _wake(self) -> None:
        self._queue.put((time.monotonic(), _Signal.WOKEN))
