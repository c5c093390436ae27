"""The one event loop of this process, in a thread of its own, on which SDKs with asynchronous clients are used.

A thread for each call costs more than the call where many are under way: they queue for the locks of
one connection pool. On the loop they wait for nobody, and what is given up is closed at once.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import threading
import weakref
from abc import abstractmethod
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Sequence,
)
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any, Generic, TypeVar

from llmflowlab.messages import Request
from llmflowlab.providers.base import Embeddings, Provider, StreamEvent
from llmflowlab.settings import Settings

__all__ = ["OnLoop", "adopt", "blocking", "in_background", "iterated", "started"]

T = TypeVar("T")
C = TypeVar("C")

_SLICE = 0.1
"""Seconds between two chances for Ctrl-C, which ends no wait for a lock on Windows."""

_CLOSING = 5.0
"""Seconds that a connection may take to be closed before nobody waits for it any more."""

_ENDING = 1.0
"""Seconds that what still reads may take to end at the program's end."""

_lock = threading.RLock()
"""May be taken again: what is let go of while the loop is made wants the loop as well."""
_loop: asyncio.AbstractEventLoop | None = None
_thread: int | None = None
"""The thread it runs in."""
_in_background: set[asyncio.Task[None]] = set()
"""Held here: a loop holds none of its tasks."""


def _running() -> asyncio.AbstractEventLoop:
    global _loop, _thread
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            _loop.set_exception_handler(_unhandled)
            thread = threading.Thread(target=_loop.run_forever, name="calls", daemon=True)
            thread.start()
            _thread = thread.ident
            atexit.register(_wind_up, _loop)
        return _loop


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # Connections that are open when the program ends are closed by the system; aiohttp would say so on
    # the person's screen.
    if not {"client_session", "connector", "client_connection"} & context.keys():
        loop.default_exception_handler(context)


def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    """Have everybody stop reading before Python takes the loop away, and says of each that it was still at it.

    An answer that has ended may still be read to the end of its connection, for which nobody waits.
    """

    async def ended() -> None:
        reading = asyncio.all_tasks() - {asyncio.current_task()}
        for task in reading:
            task.cancel()
        if reading:
            await asyncio.wait(reading, timeout=_ENDING)

    # A second Ctrl-C, or a loop that hangs, keeps nobody here.
    with suppress(Exception, KeyboardInterrupt):
        asyncio.run_coroutine_threadsafe(ended(), loop).result(2 * _ENDING)


def _forget() -> None:
    """A child has none of its parent's threads, the loop's among them."""
    global _loop, _thread, _lock
    atexit.unregister(_wind_up)
    if _loop is not None:
        # What was under way in the parent goes on there.
        _loop.set_exception_handler(lambda loop, context: None)
    _loop, _thread, _lock = None, None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def started(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Begin something on the loop, from any thread; cancelling the future cancels it."""
    return asyncio.run_coroutine_threadsafe(work, _running())


def in_background(work: Coroutine[Any, Any, None]) -> Callable[[], object]:
    """Begin something that nobody waits for on the loop, from any thread; return what cancels it."""
    if on_the_loop():
        # A future that threads may wait for, and a wake through the system, cost more than the task.
        task = asyncio.get_running_loop().create_task(work)
        _in_background.add(task)
        task.add_done_callback(_in_background.discard)
        return task.cancel
    return started(work).cancel


def adopt(loop: asyncio.AbstractEventLoop) -> None:
    """Take the running loop for this one: what serves requests on it then asks models without changing threads.

    To be called in its thread, and before anything is asked: clients of another loop are of no use here.
    """
    global _loop, _thread
    with _lock:
        _loop, _thread = loop, threading.get_ident()


def on_the_loop() -> bool:
    """Tell whether this is the loop's own thread, which cannot wait for itself."""
    return threading.get_ident() == _thread


def blocking(work: Awaitable[T]) -> T:
    """Do something on the loop and wait for it; not to be called on the loop itself.

    Raises:
        BaseException: Whatever it raised; an exception in this thread, Ctrl-C say, cancels it.
    """
    if on_the_loop():
        if isinstance(work, Coroutine):
            work.close()
        raise RuntimeError("The loop of all calls cannot wait for itself.")

    async def whole() -> T:
        return await work

    done = started(whole())
    try:
        while True:
            try:
                return done.result(_SLICE)
            except (TimeoutError, FutureTimeout):
                if done.done():
                    raise
    except BaseException:
        done.cancel()
        raise


class OnLoop(Provider, Generic[C]):
    """A provider whose SDK is used on the loop; it has `astream` where others have `stream`.

    Its client `C` is made at the first use, and closed when nobody has the provider any more.
    """

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(model, settings)
        self._client_made: C | None = None
        self._client_lock = threading.Lock()

    @abstractmethod
    def astream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Do what `Provider.stream` does, on the loop; closing the generator closes the connection."""

    @abstractmethod
    def _make_client(self) -> C:
        """Return the SDK's client, without retries: those are the caller's.

        Raises:
            NotConfigured: The package is missing, or the line cannot be prepared.
        """

    async def aembed(self, texts: Sequence[str]) -> Embeddings:
        """Do what `Provider.embed` does, on the loop."""
        return super().embed(texts)

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        return iterated(self.astream(request))

    def embed(self, texts: Sequence[str]) -> Embeddings:
        return blocking(self.aembed(texts))

    def prepare(self) -> None:
        self._client()

    @property
    def prepared(self) -> bool:
        return self._client_made is not None

    def close(self) -> None:
        with self._client_lock:
            if self._client_made is None:
                return
            # What is let go of may be let go of anywhere, on the loop too: whoever allocates there
            # has Python collect what nobody holds any more.
            if on_the_loop():
                started(self._shut(self._client_made))
            else:
                blocking(self._shut(self._client_made))

    def _client(self) -> C:
        with self._client_lock:
            if self._client_made is None:
                client, shut = self._make_client(), self._shut
                self._client_made = client

                def let_go() -> None:
                    with suppress(RuntimeError):
                        started(shut(client))

                weakref.finalize(self, let_go).atexit = False
            return self._client_made

    @staticmethod
    async def _shut(client: Any) -> None:
        """Close a client's connections."""
        await client.close()


def iterated(events: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Read on the loop what is wanted in this thread; closing the one generator closes the other."""
    items: queue.SimpleQueue[T | BaseException | None] = queue.SimpleQueue()
    begun, closed = threading.Event(), threading.Event()

    async def read() -> None:
        begun.set()
        try:
            async for event in events:
                items.put(event)
            items.put(None)
        except BaseException as exc:  # noqa: BLE001 - raised in the thread that reads
            items.put(exc)
        finally:
            await events.aclose()
            closed.set()

    reading = started(read())
    try:
        while (item := items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        reading.cancel()
        if begun.is_set():
            closed.wait(_CLOSING)
