"""An event loop whose waits take no time: where nothing is left to do, its clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import random
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar
from unittest import mock

from llmflowlab.asking import budget, calling, pump, waiting

__all__ = ["play"]

T = TypeVar("T")

_LOOK = 20.0
"""Seconds between two looks of whoever waits for money or for a stop; more often takes minutes here."""


class _Clock(selectors.DefaultSelector):
    """Counts the time that the loop would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("Everything waits, and nothing will ever come.")
        # A step too small to be added would never pass.
        self.now += max(timeout, 1e-6)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """Has one thread: what others would do is done at once."""

    def _at_once(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = self.create_future()
        done.set_result(func(*args))
        return done

    # The stubs' signatures of these two cannot be repeated.
    run_in_executor: Any = _at_once
    call_soon_threadsafe: Any = asyncio.SelectorEventLoop.call_soon


class _AtOnce:
    """A thread that has done its work before anybody waits for it."""

    def __init__(self, *, target: Callable[..., None], args: Sequence[Any], **more: Any) -> None:
        self._work = partial(target, *args)

    def start(self) -> None:
        self._work()


def play(work: Callable[[], Coroutine[Any, Any, T]], rng: random.Random) -> T:
    """Run what asks models to its end, its providers on the same loop.

    Args:
        work: Asks by `Asker.ask` of providers that are `OnLoop`.
        rng: What is left to chance.

    Raises:
        RuntimeError: It would wait for ever.
    """
    clock = _Clock()
    loop = _Loop(clock)

    def now() -> float:
        return clock.now

    with (
        mock.patch.object(time, "monotonic", now),
        mock.patch.object(pump, "in_background", lambda work: loop.create_task(work).cancel),
        mock.patch.object(threading, "Thread", _AtOnce),
        mock.patch.object(calling, "_JITTER", rng),
        mock.patch.object(waiting, "_LOOK", _LOOK),
        mock.patch.object(budget, "_AGAIN", _LOOK),
    ):
        try:
            return loop.run_until_complete(work())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
