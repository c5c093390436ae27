"""Threads that take jobs in turn, and of which there can be more while they work.

`ThreadPoolExecutor` fixes their number when it is made; and it keeps the program from ending while a
job is under way, which is not meant here: what matters of a job is on disk.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

__all__ = ["Workers"]


class Workers:
    """A pool of daemon threads, started as they are needed.

    Args:
        count: Threads at most.
        name: What their names begin with.
    """

    def __init__(self, count: int, *, name: str) -> None:
        self._most = count
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = 0
        """Jobs that wait or are under way."""
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, job: Callable[[], None]) -> Future[None]:
        """Have a job done; the future holds what it raised.

        Raises:
            RuntimeError: The pool is closed.
        """
        done: Future[None] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the workers were dismissed")
            self._open += 1
            self._jobs.put(partial(self._do, job, done))
            self._hire()
        return done

    def grow_to(self, count: int) -> None:
        """Allow more threads; fewer are never made of them."""
        with self._lock:
            self._most = max(self._most, count)
            if not self._closed:
                self._hire()

    @property
    def open(self) -> int:
        """Jobs that wait or are under way."""
        return self._open

    def close(self, *, wait: bool = True) -> None:
        """Let the threads end once every job is done.

        Args:
            wait: Return only then.
        """
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _hire(self) -> None:
        while len(self._threads) < min(self._most, self._open):
            thread = threading.Thread(
                target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _do(self, job: Callable[[], None], done: Future[None]) -> None:
        try:
            job()
        except BaseException as exc:  # noqa: BLE001 - handed to whoever waits for the job
            self._finished()
            done.set_exception(exc)
        else:
            self._finished()
            done.set_result(None)

    def _finished(self) -> None:
        with self._lock:
            self._open -= 1
