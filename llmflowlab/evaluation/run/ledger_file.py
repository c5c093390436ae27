"""The ledger's file: one connection a thread, and a writer that groups commits.

SQLite in write-ahead mode brings what a journal needs: a torn last record is dropped by its checksums,
several processes may write, a full disk is an error and not a half file. Commits are synchronous and
grouped: a writer thread puts everything that waits into one transaction, so fifty answers that
arrive together cost one disk flush, not fifty.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.errors import LabError, TrackingError
from llmflowlab.files import disk_trouble

__all__ = ["LedgerFile", "Unwritable", "has_rows"]

_RECORDS_FAULT = (
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    ValueError,
    OverflowError,
)
"""What SQLite and its driver raise for a value that they cannot take; the file is well."""


_PATIENCE = 30.0
"""Seconds that another process may hold the file."""
_LOOK = 0.001
"""Seconds between two looks whether it still does."""


class Unwritable(LabError):
    """One record cannot be written down, though the file can be written."""


class LedgerFile:
    """The file under a ledger; safe to use from many threads and processes.

    It is made at the first write, not before: a command that is refused leaves nothing behind.

    Args:
        path: Where it is.
        schema: Statements that make its tables where they are not there.
        what: What it holds, as the beginning of a sentence that goes on with its name.
        meanwhile: What to say where it can be tried again later.

    Raises:
        TrackingError: The file cannot be opened or written; the message says what to do.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        what: str = "The evaluations' memory is",
        meanwhile: str = "; what was answered before is kept for --resume",
    ) -> None:
        self.path = path
        self._schema = schema
        self._what = what
        self._meanwhile = meanwhile
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._making = threading.Lock()
        self._made = False
        self._fixed = path.exists() and _is_fixed(path)
        if path.exists():
            with self._translated():
                self._make()
        self._writer = threading.Thread(target=self._write, name="ledger-writer", daemon=True)
        self._writer.start()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a SELECT.

        Raises:
            TrackingError: The file cannot be read.
        """
        with self._translated():
            if not self._made and not self.path.exists():
                with closing(self._empty()) as empty:
                    return empty.execute(sql, values).fetchall()
            self._make()
            with self._connection() as connection:
                return connection.execute(sql, values).fetchall()

    def execute(self, *statements: tuple[str, Sequence[Any]]) -> None:
        """Carry statements out in one transaction.

        Raises:
            TrackingError: The file cannot be written.
        """
        with self._translated():
            self._make()
            with self._connection() as connection, _writing(connection):
                for sql, values in statements:
                    connection.execute(sql, values)

    def shrink(self) -> None:
        """Give the room of what was deleted back.

        Raises:
            TrackingError: The file cannot be written.
        """
        with self._translated():
            self._make()
            with self._connection() as connection:
                connection.execute("VACUUM")

    def append(self, sql: str, values: tuple[str, ...]) -> Future[None]:
        """Queue a statement; the future is done when it is safely on disk.

        It fails with `Unwritable` where the values are what cannot be written, and with
        `TrackingError` where nothing can.
        """
        write = _Write(sql, values, Future())
        with self._closing:
            if self._closed:
                # A thread that outlives its evaluation must not wait for a writer that is gone.
                write.done.set_exception(TrackingError(f"{self.path} is closed already."))
            else:
                self._queue.put(write)
        return write.done

    def close(self) -> None:
        """Write what waits and close the file."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._writer.join(timeout=30)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _make(self) -> None:
        """Make the file and its tables where they are not there yet."""
        if self._made:
            return
        with self._making:
            if not self._made:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                if not self._fixed:
                    with self._connection() as connection:
                        connection.executescript(self._schema)
                self._made = True

    def _empty(self) -> sqlite3.Connection:
        """Return what a home without a ledger answers from."""
        connection = sqlite3.connect(":memory:")
        connection.executescript(self._schema)
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._closed and threading.current_thread() is not self._writer:
            # A result is read from the file, and is shown when everything is closed.
            with closing(self._opened()) as once, once:
                yield once
            return
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Each thread has its own; `close` runs in another thread than most.
            connection = self._opened()
            self._local.connection = connection
            self._connections.append(connection)
        with connection:
            yield connection

    def _opened(self) -> sqlite3.Connection:
        address = f"{self.path.resolve().as_uri()}?{'immutable=1' if self._fixed else 'mode=rwc'}"
        connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE, check_same_thread=False)
        if not self._fixed:
            # Of several who make a file at once SQLite refuses all but one, without a wait.
            _patiently(connection, "PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise self._error(exc) from exc

    def _error(self, exc: Exception) -> TrackingError:
        if (trouble := disk_trouble(exc)) is None:
            trouble = "another process holds it" if "locked" in str(exc) else f"it fails ({exc})"
        kept = "" if "damaged" in trouble else self._meanwhile
        return TrackingError(f"{self._what} {self.path}: {trouble}{kept}.")

    def _write(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch = [first]
            last = False
            while not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    last = True
                    break
                batch.append(item)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[_Write]) -> None:
        try:
            self._make()
            with self._connection() as connection, _writing(connection):
                for write in batch:
                    connection.execute(write.sql, write.values)
        except _RECORDS_FAULT as exc:
            if len(batch) > 1:
                # One of them is at fault; the others must not fail with it.
                for write in batch:
                    self._commit([write])
                return
            batch[0].done.set_exception(
                Unwritable(f"The record cannot be written down ({type(exc).__name__}).")
            )
        except (sqlite3.Error, OSError) as exc:
            for write in batch:
                write.done.set_exception(self._error(exc))
        else:
            for write in batch:
                write.done.set_result(None)


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the file's one place for a writer.

    SQLite's own wait looks again after up to a tenth of a second. Another process that writes without a
    pause leaves moments between its transactions, which so long a wait misses until that one is done.

    Raises:
        sqlite3.OperationalError: Others held it all the time.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        _patiently(connection, "BEGIN IMMEDIATE")
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000:.0f}")
    yield


def has_rows(path: Path, table: str) -> bool:
    """Tell at once whether a table of a file holds anything; nothing does where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
            found = file.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608 - a table of ours
    except sqlite3.Error:
        return False
    return found is not None


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Execute a statement as soon as nobody else holds the file; raises where somebody does all the time."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > until:
                raise
            time.sleep(_LOOK)


def _is_fixed(path: Path) -> bool:
    """Whether nobody can write to a file, which can then be read without the files that SQLite makes beside it."""
    waiting = path.with_name(f"{path.name}-wal")
    written = waiting.exists() and waiting.stat().st_size > 0
    return not written and not os.access(path.parent, os.W_OK) and not os.access(path, os.W_OK)


@dataclass(frozen=True, slots=True)
class _Write:
    sql: str
    values: tuple[str, ...]
    done: Future[None]
