"""The evaluation's memory on disk: every answer and judgement, before it counts.

One SQLite file in write-ahead mode, `.llmflowlab/evaluations.db`, shared by all evaluations of a
home: SQLite brings what a journal needs (a torn last record is dropped by its checksums, several
processes may write, a full disk is an error and not a half file). Commits are synchronous and
grouped: a writer thread puts everything that waits into one transaction, so fifty answers that
arrive together cost one disk flush, not fifty.

An answer is kept under what produced it (`EvaluationPlan.answer_key`) and the evaluation that paid
for it, so that a later evaluation can reuse it and `--fresh` can decline to.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmflowlab.data.dataset import Dataset
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.run.plan import EvaluationPlan, dataset_from_json, dataset_to_json
from llmflowlab.text.digests import digest_of

__all__ = ["EvaluationState", "Ledger", "StoredEvaluation"]

EvaluationState: TypeAlias = Literal["running", "interrupted", "partial", "finished"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS evaluations (
  id TEXT PRIMARY KEY, created TEXT NOT NULL, state TEXT NOT NULL, plan TEXT NOT NULL,
  runs TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS datasets (digest TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, evaluation TEXT NOT NULL,
  record TEXT NOT NULL, UNIQUE (evaluation, key)
);
CREATE INDEX IF NOT EXISTS answers_by_key ON answers (key);
CREATE TABLE IF NOT EXISTS outcomes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, evaluation TEXT NOT NULL,
  record TEXT NOT NULL, UNIQUE (evaluation, key)
);
CREATE TABLE IF NOT EXISTS judgements (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, evaluation TEXT NOT NULL,
  record TEXT NOT NULL, UNIQUE (evaluation, key)
);
CREATE INDEX IF NOT EXISTS judgements_by_key ON judgements (key);
CREATE TABLE IF NOT EXISTS adjustments (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, evaluation TEXT NOT NULL, concurrency INTEGER, budget TEXT
);
CREATE TABLE IF NOT EXISTS gates (evaluation TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS feedback (
  evaluation TEXT NOT NULL, judge TEXT NOT NULL, key TEXT NOT NULL, record TEXT NOT NULL,
  UNIQUE (evaluation, judge, key)
);
"""

Table: TypeAlias = Literal["answers", "judgements", "outcomes"]


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """An evaluation as the ledger knows it."""

    id: str
    created: str
    state: EvaluationState
    plan: dict[str, Any]
    runs: dict[str, Any]
    """What recording has made in MLflow so far (run ids by candidate)."""


def _dataset_key(dataset: Dataset) -> str:
    # The digest covers what is asked; name and extra columns belong to the reports.
    return digest_of([dataset.digest, dataset_to_json(dataset)])


class Ledger:
    """The open ledger of one home; safe to use from many threads and processes.

    A home without one gets its file at the first write, not before: a command that is refused leaves
    nothing behind.

    Raises:
        TrackingError: The file cannot be opened or written; the message says what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._making = threading.Lock()
        self._made = False
        if path.exists():
            with self._translated():
                self._make()
        self._writer = threading.Thread(target=self._write, name="ledger-writer", daemon=True)
        self._writer.start()

    # Evaluations

    def begin(self, plan: EvaluationPlan, created: str) -> None:
        """Write an evaluation down before its first call, its questions included."""
        dataset = plan.dataset
        content = _text(dataset_to_json(dataset))
        self._execute(
            "INSERT OR IGNORE INTO datasets (digest, content) VALUES (?, ?)",
            (_dataset_key(dataset), content),
        )
        self._execute(
            "INSERT OR IGNORE INTO evaluations (id, created, state, plan) VALUES (?, ?, ?, ?)",
            (
                plan.evaluation_id,
                created,
                "running",
                json.dumps(
                    {**plan.describe(), "dataset_key": _dataset_key(dataset)}, ensure_ascii=False
                ),
            ),
        )

    def plan(self, evaluation: str) -> EvaluationPlan:
        """Return the plan of an evaluation as it was begun, whatever became of its file.

        Raises:
            InputError: The ledger does not have it.
        """
        stored = self.evaluation(evaluation).plan
        content = self._rows(
            "SELECT content FROM datasets WHERE digest = ?", (stored["dataset_key"],)
        )
        return EvaluationPlan.from_json(stored, dataset_from_json(json.loads(content[0][0])))

    def set_state(self, evaluation: str, state: EvaluationState) -> None:
        self._execute("UPDATE evaluations SET state = ? WHERE id = ?", (state, evaluation))

    def set_runs(self, evaluation: str, runs: dict[str, Any]) -> None:
        self._execute(
            "UPDATE evaluations SET runs = ? WHERE id = ?", (json.dumps(runs), evaluation)
        )

    def evaluation(self, evaluation: str) -> StoredEvaluation:
        """Return one evaluation.

        Raises:
            InputError: The ledger does not have it.
        """
        found = [e for e in self.evaluations() if e.id == evaluation]
        if not found:
            raise InputError(f"There is no evaluation {evaluation!r} in {self.path.parent}.")
        return found[0]

    def evaluations(self) -> list[StoredEvaluation]:
        """Return all evaluations, newest first."""
        rows = self._rows(
            "SELECT id, created, state, plan, runs FROM evaluations ORDER BY created DESC, rowid DESC"
        )
        return [
            StoredEvaluation(id_, created, state, json.loads(plan), json.loads(runs))
            for id_, created, state, plan, runs in rows
        ]

    def set_gates(self, evaluation: str, gates: Iterable[Mapping[str, Any]]) -> None:
        """Keep what the gates said, so that a later delivery says it too."""
        self._execute(
            "REPLACE INTO gates (evaluation, record) VALUES (?, ?)",
            (evaluation, json.dumps(list(gates), ensure_ascii=False)),
        )

    def gates(self, evaluation: str) -> list[dict[str, Any]]:
        """Return what the gates of an evaluation said; empty where it had none."""
        found = self._rows("SELECT record FROM gates WHERE evaluation = ?", (evaluation,))
        return list(json.loads(found[0][0])) if found else []

    # Answers and judgements

    def append(
        self, table: Table, evaluation: str, key: str, record: dict[str, Any]
    ) -> Future[None]:
        """Queue a record; the future is done when it is safely on disk.

        The first record of an evaluation under a key stays: a cell is paid for once. Outcomes are
        replaced instead, and move to the end: a row that was done again is recorded again.
        """
        write = _Write(table, (key, evaluation, _text(record)), Future())
        with self._closing:
            if self._closed:
                # A thread that outlives its evaluation must not wait for a writer that is gone.
                write.done.set_exception(TrackingError(f"{self.path} is closed already."))
            else:
                self._queue.put(write)
        return write.done

    def load(
        self,
        table: Table,
        keys: Iterable[str],
        *,
        evaluation: str | None = None,
        prefer: str | None = None,
    ) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the records under these keys as key → (evaluation, record).

        Args:
            table: Which kind of record.
            keys: Content keys.
            evaluation: Take only this evaluation's own records; otherwise any, the newest first.
            prefer: Where this evaluation has a record of its own, that one is taken.
        """
        wanted = list(dict.fromkeys(keys))
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            sql = f"SELECT key, evaluation, record FROM {table} WHERE key IN ({marks})"  # noqa: S608
            values: list[str] = list(part)
            if evaluation is not None:
                sql += " AND evaluation = ?"
                values.append(evaluation)
            for key, owner, record in self._rows(sql + " ORDER BY seq", tuple(values)):
                if key not in found or found[key][0] != prefer:
                    found[key] = (owner, json.loads(record))
        return found

    def outcomes(
        self, evaluation: str, *, after: int = 0, limit: int = -1
    ) -> list[tuple[int, dict[str, Any]]]:
        """Return finished rows in the order they came, as (sequence number, record).

        Args:
            evaluation: Whose.
            after: Only those behind this sequence number.
            limit: At most so many; all by default.
        """
        rows = self._rows(
            "SELECT seq, record FROM outcomes WHERE evaluation = ? AND seq > ? ORDER BY seq LIMIT ?",
            (evaluation, after, limit),
        )
        return [(seq, json.loads(record)) for seq, record in rows]

    def spent(self, evaluation: str) -> Decimal:
        """Return the USD an evaluation has paid so far, as far as prices were known."""
        total = Decimal(0)
        for table in ("answers", "judgements"):
            sql = f"SELECT record FROM {table} WHERE evaluation = ?"  # noqa: S608
            for (text,) in self._rows(sql, (evaluation,)):
                record = json.loads(text)
                total += Decimal(record.get("cost_usd") or 0)
                total += Decimal(record.get("wasted_usd") or 0)
        return total

    def counts(self) -> dict[str, int]:
        """Return how many answers and judgements are kept."""
        return {
            table: int(self._rows(f"SELECT COUNT(*) FROM {table}")[0][0])  # noqa: S608
            for table in ("answers", "judgements")
        }

    # For the modules that look after the file (`steering.py`, `upkeep.py`)

    def query(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Return the rows of a SELECT.

        Raises:
            TrackingError: The file cannot be read.
        """
        return self._rows(sql, values)

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> None:
        """Carry out one statement in a transaction of its own.

        Raises:
            TrackingError: The file cannot be written.
        """
        self._execute(sql, values)

    def close(self) -> None:
        """Write what waits and close the file."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._writer.join(timeout=30)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    # Inside

    def _make(self) -> None:
        """Make the file and its tables where they are not there yet."""
        if self._made:
            return
        with self._making:
            if not self._made:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self._connection() as connection:
                    connection.executescript(_SCHEMA)
                self._made = True

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Each thread has its own; `close` runs in another thread than most.
            connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._local.connection = connection
            self._connections.append(connection)
        with connection:
            yield connection

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._translated():
            if not self._made and not self.path.exists():
                with closing(_empty()) as empty:
                    return empty.execute(sql, values).fetchall()
            self._make()
            with self._connection() as connection:
                return connection.execute(sql, values).fetchall()

    def _execute(self, sql: str, values: tuple[Any, ...]) -> None:
        with self._translated():
            self._make()
            with self._connection() as connection:
                connection.execute(sql, values)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise self._error(exc) from exc

    def _error(self, exc: Exception) -> TrackingError:
        return TrackingError(
            f"{self.path} cannot be written ({exc}). Free some space or mend the file, then go on "
            "with --resume: what was answered before is kept."
        )

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
            with self._connection() as connection:
                for write in batch:
                    verb = "REPLACE" if write.table == "outcomes" else "INSERT OR IGNORE"
                    connection.execute(
                        f"{verb} INTO {write.table} (key, evaluation, record) VALUES (?, ?, ?)",
                        write.values,
                    )
        except (sqlite3.Error, OSError) as exc:
            for write in batch:
                write.done.set_exception(self._error(exc))
        else:
            for write in batch:
                write.done.set_result(None)


def _text(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Half a character in an answer, which SQLite refuses as it is.
        text = json.dumps(record)
    return text


def _empty() -> sqlite3.Connection:
    """Return what a home without a ledger answers from."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(_SCHEMA)
    return connection


@dataclass(frozen=True, slots=True)
class _Write:
    table: Table
    values: tuple[str, str, str]
    done: Future[None]
