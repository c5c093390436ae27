"""The one thread of a worker that works on the database, many requests' work to a transaction.

Requests do not wait for one another's commits: what has come while one was made goes into the next.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from llmflowlab.errors import LabError, TrackingError
from llmflowlab.service.store.service_database import writing

__all__ = ["Desk", "Work"]

T = TypeVar("T")

Work = Callable[[Connection], T]
"""A piece of work in a transaction; carried out again where its transaction failed by another's fault."""

_TOGETHER = 256
_MOST = 20_000
"""Pieces that may wait; where a database stands still, more are refused."""
_AGAIN = 0.5
"""Seconds between two tries of what must not be lost."""

_Piece = tuple["Work[Any]", "Future[Any]", bool]


class Desk:
    """Does work on a database, in the order in which it comes.

    Args:
        engine: The database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self.trouble: str | None = None
        """Why the last transaction failed; None where it did not, and nothing is stuck."""
        self._stuck: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self._serve, name="desk", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pieces that nobody has begun."""
        return self._queue.qsize()

    @property
    def stuck(self) -> bool:
        """Whether something that must not be lost could not be done yet, and is tried again and again."""
        return bool(self._stuck)

    def put(self, work: Work[T], *, lasting: bool = False) -> Future[T]:
        """Have work done; from any thread.

        Args:
            work: What to do.
            lasting: Whether it is tried until it succeeds: what was answered and paid is not given up.

        Raises:
            TrackingError: Too much waits, and this may be refused.
        """
        if not lasting and self._queue.qsize() > _MOST:
            raise TrackingError("The service's database does not keep up; try again in a moment.")
        done: Future[T] = Future()
        self._queue.put((work, done, lasting))
        return done

    async def do(self, work: Work[T], *, lasting: bool = False) -> T:
        """Have work done and wait for it, on an event loop.

        Raises:
            TrackingError: The database failed.
        """
        return await asyncio.wrap_future(self.put(work, lasting=lasting))

    def close(self) -> None:
        """Do what waits and end; returns when it has."""
        self._closed.set()
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        ended = False
        while not ended or not self._queue.empty():
            pieces: list[_Piece] = []
            item = self._queue.get()
            while True:
                if item is None:
                    ended = True
                else:
                    pieces.append(item)
                if len(pieces) == _TOGETHER:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if pieces:
                self._carry_out(pieces)
            if self._stuck:
                self._closed.wait(_AGAIN)

    def _carry_out(self, pieces: Sequence[_Piece]) -> None:
        try:
            results = self._in_one(pieces)
        except Exception as exc:  # noqa: BLE001 - this thread outlives whatever a piece raises
            if len(pieces) > 1:
                # One of them may be at fault: each for itself, so that it fails alone.
                for piece in pieces:
                    self._carry_out([piece])
                return
            self._failed(pieces[0], exc)
            return
        self._stuck.difference_update(done for _, done, _ in pieces)
        if not self._stuck:
            self.trouble = None
        for (_, done, _), result in zip(pieces, results, strict=True):
            _tell(done, result)

    def _in_one(self, pieces: Sequence[_Piece]) -> list[Any]:
        with writing(self._engine) as connection:
            return [work(connection) for work, _, _ in pieces]

    def _failed(self, piece: _Piece, exc: Exception) -> None:
        work, done, lasting = piece
        if isinstance(exc, LabError):
            self.trouble = exc.message
            if lasting and not self._closed.is_set():
                self._stuck.add(done)
                self._queue.put((work, done, lasting))
                return
        self._stuck.discard(done)
        with suppress(Exception):
            done.set_exception(exc)


def _tell(done: Future[Any], result: Any) -> None:
    # Cancelled where nobody waits any more; the work was done all the same.
    if done.set_running_or_notify_cancel():
        done.set_result(result)
