"""Waiting in a thread or on an event loop: one coroutine, two ways to drive it.

A call is a coroutine that waits through a `Waits` alone. With `THREADS` none of these waits suspends:
they block, and the coroutine runs from begin to end in the thread that calls it (`run`), where its
callbacks run and Ctrl-C arrives too. With `Loop` the same coroutine is awaited and blocks nobody.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import Any, Protocol, TypeAlias, TypeVar

__all__ = [
    "THREADS",
    "AnyOf",
    "Cancellation",
    "Changes",
    "Inbox",
    "Look",
    "Loop",
    "Stop",
    "Waits",
    "run",
    "waking",
]

T = TypeVar("T")

_SLICE = 0.1
_LONGEST = 3600.0
_LOOK = 0.2
"""Seconds between two looks at something whose change may have gone by, a stop above all."""

Look: TypeAlias = "Callable[[], bool | float]"
"""Says under the lock how a wait ends; a float is the seconds after which to look again."""


class Stop(Protocol):
    """What ends a wait: an event, or something that can be asked like one."""

    def is_set(self) -> bool: ...


class AnyOf:
    """Set as soon as one of several stops is."""

    def __init__(self, *stops: Stop) -> None:
        self._stops = stops

    def is_set(self) -> bool:
        return any(stop.is_set() for stop in self._stops)


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


def waking(stop: Stop, wake: Callable[[], None]) -> AbstractContextManager[None]:
    """Return what has `wake` called when `stop` is set, where that can be told without polling."""
    return stop.waking(wake) if isinstance(stop, Cancellation) else nullcontext()


class Changes(threading.Condition):
    """A condition for which coroutines can wait as well as threads."""

    def __init__(self) -> None:
        super().__init__()
        self._wakers: set[Callable[[], None]] = set()

    def notify(self, n: int = 1) -> None:
        super().notify(n)
        for wake in self._wakers:
            wake()

    @asynccontextmanager
    async def told(self) -> AsyncIterator[asyncio.Event]:
        """Yield an event of the running loop that is set at every change."""
        event = asyncio.Event()
        wake = _ringing(event)
        with self:
            self._wakers.add(wake)
        try:
            yield event
        finally:
            with self:
                self._wakers.discard(wake)


class Inbox(Protocol):
    """Where a reading thread leaves what it has; the thread never waits."""

    def put(self, item: Any) -> None: ...

    async def get(self, seconds: float, *, polled: bool) -> Any | None:
        """Return the next item; None where none came within the time, or sooner.

        `polled` says that something else has to be looked at every now and then.
        """


class Waits(Protocol):
    """How a coroutine waits."""

    def inbox(self) -> Inbox: ...

    async def pause(self, stop: threading.Event, seconds: float) -> float:
        """Wait unless stopped; return the seconds that it took."""

    async def until(self, changes: Changes, look: Look) -> bool:
        """Look again at every change until `look` gives a verdict."""

    async def apart(self, work: Callable[[], T]) -> T:
        """Do something that may block."""


class _ThreadInbox:
    """A queue of one reader whose wait a signal never makes endless.

    `queue.SimpleQueue` (CPython 3.11) waits for ever where a signal is handled while its time runs out:
    the rest of the time is negative then, which it takes for none. A lock's own wait has no such fault,
    and neither side of this can be caught holding anything by a handler that rings it.
    """

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()

    def put(self, item: Any) -> None:
        self._items.append(item)
        # Rung already: whoever waits looks at all that is there.
        with suppress(RuntimeError):
            self._bell.release()

    async def get(self, seconds: float, *, polled: bool) -> Any | None:
        if not self._items:
            self._bell.acquire(timeout=min(seconds, _longest_wait(polled=polled)))
        return self._items.popleft() if self._items else None


class _Threads:
    """Waits that block the calling thread; a coroutine under them never suspends."""

    def inbox(self) -> Inbox:
        return _ThreadInbox()

    async def pause(self, stop: threading.Event, seconds: float) -> float:
        return pause(stop, seconds)

    async def until(self, changes: Changes, look: Look) -> bool:
        with changes:
            while not isinstance(verdict := look(), bool):
                changes.wait(timeout=min(verdict, _LOOK))
            return verdict

    async def apart(self, work: Callable[[], T]) -> T:
        return work()


THREADS: Waits = _Threads()
"""For callers with a thread to spare."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Carry a coroutine that waits by `THREADS` out in this thread and return what it returns."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coroutine.close()
    raise RuntimeError(
        "A coroutine under THREADS has suspended; it must wait by its `Waits` alone."
    )


def pause(stop: threading.Event, seconds: float) -> float:
    """Block this thread unless stopped; return the seconds that it took."""
    begun = time.monotonic()
    longest = _longest_wait(polled=False)
    left = seconds
    while left > 0 and not stop.wait(min(left, longest)):
        left = seconds - (time.monotonic() - begun)
    return time.monotonic() - begun


def _longest_wait(*, polled: bool) -> float:
    """Return how many seconds this thread may wait at a stretch.

    Short where an event has to be looked at in between (`polled`), and in the main thread: a Ctrl-C
    that arrives just before a wait begins does not end it, and on Windows none ever does.
    """
    short = polled or threading.current_thread() is threading.main_thread()
    return _SLICE if short else _LONGEST


class _LoopInbox:
    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._there = asyncio.Event()
        self._ring = _ringing(self._there)

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._ring()

    async def get(self, seconds: float, *, polled: bool) -> Any | None:
        if not self._items:
            self._there.clear()
            # Between the look and the clearing something may have come.
            if not self._items:
                await _told(self._there, min(seconds, _SLICE if polled else _LONGEST))
        return self._items.popleft() if self._items else None


class Loop:
    """Waits on the running event loop."""

    def inbox(self) -> Inbox:
        return _LoopInbox()

    async def pause(self, stop: threading.Event, seconds: float) -> float:
        begun = time.monotonic()
        woken = asyncio.Event()
        longest = _LONGEST if isinstance(stop, Cancellation) else _SLICE
        left = seconds
        with waking(stop, _ringing(woken)):
            while left > 0:
                woken.clear()
                if stop.is_set():
                    break
                await _told(woken, min(left, longest))
                left = seconds - (time.monotonic() - begun)
        return time.monotonic() - begun

    async def until(self, changes: Changes, look: Look) -> bool:
        async with changes.told() as changed:
            while True:
                changed.clear()
                with changes:
                    verdict = look()
                if isinstance(verdict, bool):
                    return verdict
                await _told(changed, min(verdict, _LOOK))

    async def apart(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)


def _ringing(event: asyncio.Event) -> Callable[[], None]:
    """Return what sets an event of the running loop from any thread."""
    loop, here = asyncio.get_running_loop(), threading.get_ident()

    def ring() -> None:
        # Whoever waits clears it before a last look at what is there.
        if event.is_set():
            return
        # A stream that was given up moves again late: its loop may be closed, and nobody waits there.
        with suppress(RuntimeError):
            # In a task of the loop itself there is nobody to wake; a signal's handler, which runs in this
            # thread too, may have come while the loop slept.
            if threading.get_ident() == here and asyncio.current_task() is not None:
                event.set()
            else:
                loop.call_soon_threadsafe(event.set)

    return ring


async def _told(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, which is set once the time is over: those who wait look for themselves.

    `asyncio.wait_for` makes a task of every wait, which is most of what a piece of an answer costs.
    """
    alarm = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        alarm.cancel()
