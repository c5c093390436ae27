"""The evaluation's memory on disk: every answer and judgement, before it counts.

One SQLite file, `.llmflowlab/evaluations.db` (`ledger_file.py`), shared by all evaluations of a home.
All of its SQL stands here.

An answer is kept under what produced it (`EvaluationPlan.answer_key`) and the evaluation that paid
for it, so that a later evaluation can reuse it and `--fresh` can decline to.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.people_estimates import PeopleEstimate
from llmflowlab.evaluation.judging.exam import Exam
from llmflowlab.evaluation.run.ledger_file import LedgerFile
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.stored_dataset import dataset_from_text, dataset_key, dataset_text
from llmflowlab.evaluation.scores import Score
from llmflowlab.evaluation.system_use import SystemUse
from llmflowlab.program import program_name

__all__ = ["DamagedRecord", "EvaluationState", "Ledger", "StoredEvaluation", "Vector"]

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
CREATE TABLE IF NOT EXISTS exams (evaluation TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS people (evaluation TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS feedback (
  evaluation TEXT NOT NULL, judge TEXT NOT NULL, key TEXT NOT NULL, record TEXT NOT NULL,
  UNIQUE (evaluation, judge, key)
);
CREATE TABLE IF NOT EXISTS system_use (evaluation TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector TEXT NOT NULL);
"""

Table: TypeAlias = Literal["answers", "judgements", "outcomes"]
Vector: TypeAlias = "tuple[float, ...]"

_BELONGING = (
    "answers",
    "judgements",
    "outcomes",
    "adjustments",
    "gates",
    "exams",
    "people",
    "feedback",
    "system_use",
)
"""Tables whose rows belong to one evaluation."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """An evaluation as the ledger knows it."""

    id: str
    created: str
    state: EvaluationState
    plan: dict[str, Any]
    runs: dict[str, Any]
    """What recording has made in MLflow so far (run ids by candidate)."""


class DamagedRecord(TrackingError):
    """A record of the ledger is not what was written there."""


_SHAPES: Mapping[str, Mapping[str, type]] = {
    "answers": {"text": str},
    "judgements": {"scorer": str},
    "outcomes": {"cell": list, "answer": dict, "scores": list},
    "plans": {"dataset": dict, "candidates": list, "dataset_key": str},
}
"""What a record of each kind has at least."""


class Ledger:
    """The open ledger of one home; safe to use from many threads and processes.

    A home without one gets its file at the first write, not before: a command that is refused leaves
    nothing behind.

    Raises:
        TrackingError: The file cannot be opened or written; the message says what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = LedgerFile(path, _SCHEMA)

    def close(self) -> None:
        """Write what waits and close the file."""
        self._file.close()

    # Evaluations

    def begin(self, plan: EvaluationPlan, created: str) -> None:
        """Write an evaluation down before its first call, its questions included."""
        key = dataset_key(plan.dataset)
        if not self._file.rows("SELECT 1 FROM datasets WHERE digest = ?", (key,)):
            self._do(
                "INSERT OR IGNORE INTO datasets (digest, content) VALUES (?, ?)",
                (key, dataset_text(plan.dataset, _text)),
            )
        self._do(
            "INSERT OR IGNORE INTO evaluations (id, created, state, plan) VALUES (?, ?, ?, ?)",
            (
                plan.evaluation_id,
                created,
                "running",
                json.dumps({**plan.describe(), "dataset_key": key}, ensure_ascii=False),
            ),
        )

    def plan(self, evaluation: str) -> EvaluationPlan:
        """Return the plan of an evaluation as it was begun, whatever became of its file.

        Raises:
            InputError: The ledger does not have it.
        """
        stored = self.evaluation(evaluation).plan
        content = self._file.rows(
            "SELECT content FROM datasets WHERE digest = ?", (stored["dataset_key"],)
        )
        try:
            return EvaluationPlan.from_json(stored, dataset_from_text(content[0][0]))
        except (ValueError, TypeError, LookupError, AttributeError) as exc:
            raise self._damaged(evaluation) from exc

    def set_state(self, evaluation: str, state: EvaluationState) -> None:
        self._do("UPDATE evaluations SET state = ? WHERE id = ?", (state, evaluation))

    def set_runs(self, evaluation: str, runs: dict[str, Any]) -> None:
        self._do("UPDATE evaluations SET runs = ? WHERE id = ?", (json.dumps(runs), evaluation))

    def evaluation(self, evaluation: str) -> StoredEvaluation:
        """Return one evaluation.

        Raises:
            InputError: The ledger does not have it.
        """
        rows = self._file.rows(
            "SELECT id, created, state, plan, runs FROM evaluations WHERE id = ?", (evaluation,)
        )
        if not rows:
            raise InputError(f"There is no evaluation {evaluation!r} in {self.path.parent}.")
        return self._stored(rows[0])

    def knows(self, evaluation: str) -> bool:
        """Whether the ledger has an evaluation, readable or not."""
        return bool(self._file.rows("SELECT 1 FROM evaluations WHERE id = ?", (evaluation,)))

    def evaluations(self) -> list[StoredEvaluation]:
        """Return all evaluations, newest first."""
        rows = self._file.rows(
            "SELECT id, created, state, plan, runs FROM evaluations ORDER BY created DESC, rowid DESC"
        )
        return [self._stored(row) for row in rows]

    def _stored(self, row: tuple[Any, ...]) -> StoredEvaluation:
        id_, created, state, plan, runs = row
        return StoredEvaluation(
            id_, created, state, self._read(id_, plan, "plans"), self._read(id_, runs)
        )

    def set_gates(self, evaluation: str, gates: Iterable[Mapping[str, Any]]) -> None:
        """Keep what the gates said, so that a later delivery says it too."""
        self._do(
            "REPLACE INTO gates (evaluation, record) VALUES (?, ?)",
            (evaluation, json.dumps(list(gates), ensure_ascii=False)),
        )

    def gates(self, evaluation: str) -> list[dict[str, Any]]:
        """Return what the gates of an evaluation said; empty where it had none."""
        found = self._file.rows("SELECT record FROM gates WHERE evaluation = ?", (evaluation,))
        return list(self._read(evaluation, found[0][0], kind=list)) if found else []

    def set_exams(self, evaluation: str, exams: Iterable[Exam]) -> None:
        """Keep what the examinations of an evaluation's judges said."""
        record = _text([exam.to_json() for exam in exams])
        self._do("REPLACE INTO exams (evaluation, record) VALUES (?, ?)", (evaluation, record))

    def exams(self, evaluation: str) -> list[Exam]:
        """Return what they said; empty where no judge was examined."""
        found = self._file.rows("SELECT record FROM exams WHERE evaluation = ?", (evaluation,))
        kept = self._read(evaluation, found[0][0], kind=list) if found else []
        return [Exam.from_json(values) for values in kept]

    def set_people(self, evaluation: str, estimates: Iterable[PeopleEstimate]) -> None:
        """Keep what people think of an evaluation's candidates, so that every page says it."""
        record = _text([estimate.to_json() for estimate in estimates])
        self._do("REPLACE INTO people (evaluation, record) VALUES (?, ?)", (evaluation, record))

    def people(self, evaluation: str) -> list[PeopleEstimate]:
        """Return what they think; empty where nobody judged anything."""
        found = self._file.rows("SELECT record FROM people WHERE evaluation = ?", (evaluation,))
        kept = self._read(evaluation, found[0][0], kind=list) if found else []
        return [PeopleEstimate.from_json(values) for values in kept]

    def add_system_use(self, evaluation: str, found: Mapping[int, SystemUse]) -> None:
        """Keep what candidates took of this machine, beside what earlier starts of it took."""
        before = self.system_use(evaluation)
        taken = {**before, **{i: before[i] + u if i in before else u for i, u in found.items()}}
        record = json.dumps({str(index): use.to_json() for index, use in taken.items()})
        self._do("REPLACE INTO system_use (evaluation, record) VALUES (?, ?)", (evaluation, record))

    def system_use(self, evaluation: str) -> dict[int, SystemUse]:
        """Return by candidate what its model took of this machine, where that was measured."""
        if not self._file.rows("SELECT 1 FROM sqlite_master WHERE name = 'system_use'"):
            # A file of an earlier version that cannot be written.
            return {}
        found = self._file.rows("SELECT record FROM system_use WHERE evaluation = ?", (evaluation,))
        kept = self._read(evaluation, found[0][0]) if found else {}
        return {int(index): SystemUse.from_json(values) for index, values in kept.items()}

    # Answers and judgements

    def append(
        self, table: Table, evaluation: str, key: str, record: dict[str, Any]
    ) -> Future[None]:
        """Queue a record; the future is done when it is safely on disk.

        The first record of an evaluation under a key stays: a cell is paid for once. Outcomes are
        replaced instead, and move to the end: a row that was done again is recorded again.
        """
        verb = "REPLACE" if table == "outcomes" else "INSERT OR IGNORE"
        return self._file.append(
            f"{verb} INTO {table} (key, evaluation, record) VALUES (?, ?, ?)",
            (key, evaluation, _text(record)),
        )

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
        chosen = self._chosen(table, "record", keys, evaluation, prefer)
        return {key: (owner, self._read(owner, text, table)) for key, owner, text in chosen}

    def owners(
        self,
        table: Table,
        keys: Iterable[str],
        *,
        evaluation: str | None = None,
        prefer: str | None = None,
    ) -> dict[str, str]:
        """Return whose records `load` would return, as key → evaluation, without reading them."""
        chosen = self._chosen(table, "NULL", keys, evaluation, prefer)
        return {key: owner for key, owner, _ in chosen}

    def _chosen(
        self,
        table: Table,
        column: Literal["record", "NULL"],
        keys: Iterable[str],
        evaluation: str | None,
        prefer: str | None,
    ) -> Iterator[tuple[str, str, Any]]:
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _PAGE):
            part = wanted[start : start + _PAGE]
            marks = ",".join("?" * len(part))
            sql = f"SELECT key, evaluation, {column} FROM {table} WHERE key IN ({marks})"  # noqa: S608 - a column and a table of ours, and marks
            if evaluation is not None:
                sql += " AND evaluation = ?"
                part.append(evaluation)
            found: dict[str, tuple[str, Any]] = {}
            for key, owner, value in self._file.rows(sql + " ORDER BY seq", part):
                if key not in found or found[key][0] != prefer:
                    found[key] = (owner, value)
            yield from ((key, owner, value) for key, (owner, value) in found.items())

    def outcomes(
        self, evaluation: str, *, after: int = 0, limit: int = -1
    ) -> list[tuple[int, dict[str, Any]]]:
        """Return finished rows in the order they came, as (sequence number, record).

        Args:
            evaluation: Whose.
            after: Only those behind this sequence number.
            limit: At most so many; all by default.
        """
        rows = self._file.rows(
            "SELECT seq, record FROM outcomes WHERE evaluation = ? AND seq > ? ORDER BY seq LIMIT ?",
            (evaluation, after, limit),
        )
        return [(seq, self._read(evaluation, record, "outcomes")) for seq, record in rows]

    def outcomes_at(self, evaluation: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return finished rows by where they stand, in any order; those that are not there are left out."""
        marks = ",".join("?" * len(keys))
        rows = self._file.rows(
            f"SELECT record FROM outcomes WHERE evaluation = ? AND key IN ({marks})",  # noqa: S608 - marks alone
            (evaluation, *keys),
        )
        return [self._read(evaluation, record, "outcomes") for (record,) in rows]

    def outcome_keys(self, evaluation: str) -> list[str]:
        """Return where an evaluation's finished rows stand."""
        rows = self._file.rows("SELECT key FROM outcomes WHERE evaluation = ?", (evaluation,))
        return [key for (key,) in rows]

    def spent(self, evaluation: str) -> Decimal:
        """Return the USD an evaluation has paid so far, as far as prices were known."""
        total = Decimal(0)
        for record in self._records("answers", evaluation):
            total += AnswerRecord.from_json(record).known_spent
        for record in self._records("judgements", evaluation):
            total += Decimal(record.get("cost_usd") or 0)
        return total

    def answered_in_vain(self, evaluation: str) -> dict[str, list[AnswerRecord]]:
        """Return what an evaluation paid for and has to ask for again, by the answer's key."""
        found: dict[str, list[AnswerRecord]] = {}
        for key, text in self._file.rows(
            "SELECT key, record FROM answers WHERE evaluation = ? AND key LIKE '%#%' ORDER BY seq",
            (evaluation,),
        ):
            record = AnswerRecord.from_json(self._read(evaluation, text, "answers"))
            found.setdefault(key.partition("#")[0], []).append(replace(record, text=""))
        return found

    def judged_in_vain(self, evaluation: str) -> list[Score]:
        """Return the judgements that an evaluation paid for and that brought no verdict."""
        rows = self._file.rows(
            "SELECT record FROM judgements WHERE evaluation = ? AND key LIKE '%#%' ORDER BY seq",
            (evaluation,),
        )
        return [Score.from_json(self._read(evaluation, text, "judgements")) for (text,) in rows]

    def _records(self, table: Table, evaluation: str) -> Iterator[dict[str, Any]]:
        sql = f"SELECT record FROM {table} WHERE evaluation = ?"  # noqa: S608 - one of three names
        for (text,) in self._file.rows(sql, (evaluation,)):
            yield self._read(evaluation, text, table)

    def all_records(self, table: Table) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every record of a kind, oldest first, with the evaluation that paid for it."""
        seen = 0
        sql = f"SELECT seq, evaluation, record FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - one of three names
        while page := self._file.rows(sql, (seen, _PAGE)):
            seen = page[-1][0]
            for _, evaluation, text in page:
                yield evaluation, self._read(evaluation, text, table)

    def latest_outcomes(self, evaluation: str, candidate: int, limit: int) -> list[dict[str, Any]]:
        """Return a candidate's finished rows, the latest first."""
        rows = self._file.rows(
            "SELECT record FROM outcomes WHERE evaluation = ? AND key LIKE ? "
            "ORDER BY seq DESC LIMIT ?",
            (evaluation, f"{candidate}:%", limit),
        )
        return [self._read(evaluation, record, "outcomes") for (record,) in rows]

    def counts(self) -> dict[str, int]:
        """Return how many answers and judgements are kept."""
        return {
            table: int(self._file.rows(f"SELECT COUNT(*) FROM {table}")[0][0])  # noqa: S608
            for table in ("answers", "judgements")
        }

    # Vectors

    def vectors(self, keys: Collection[str]) -> dict[str, Vector]:
        """Return the vectors that are kept under these keys."""
        wanted = list(keys)
        found: dict[str, Vector] = {}
        for start in range(0, len(wanted), _PAGE):
            part = wanted[start : start + _PAGE]
            marks = ",".join("?" * len(part))
            sql = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 - marks alone
            found |= {key: tuple(json.loads(v)) for key, v in self._file.rows(sql, part)}
        return found

    def keep_vectors(self, found: Mapping[str, Vector]) -> None:
        """Keep vectors; those there already stay."""
        self._file.execute(
            *(
                (
                    "INSERT OR IGNORE INTO vectors (key, vector) VALUES (?, ?)",
                    (key, json.dumps(vector)),
                )
                for key, vector in found.items()
            )
        )

    def forget_vectors(self) -> None:
        """Forget all vectors: they belong to no evaluation."""
        self._do("DELETE FROM vectors", ())

    # What is changed while an evaluation runs

    def adjust(self, evaluation: str, concurrency: int | None, budget: Decimal | None) -> None:
        """Leave a wish for an evaluation; what is None stays as it is."""
        self._do(
            "INSERT INTO adjustments (evaluation, concurrency, budget) VALUES (?, ?, ?)",
            (evaluation, concurrency, None if budget is None else str(budget)),
        )

    def adjustments(
        self, evaluation: str, after: int
    ) -> list[tuple[int, int | None, Decimal | None]]:
        """Return the wishes left behind a number, as (number, concurrency, budget in USD)."""
        rows = self._file.rows(
            "SELECT seq, concurrency, budget FROM adjustments "
            "WHERE evaluation = ? AND seq > ? ORDER BY seq",
            (evaluation, after),
        )
        return [(seq, many, None if usd is None else Decimal(usd)) for seq, many, usd in rows]

    def last_adjustment(self) -> int:
        """Return the number of the latest wish of all, 0 where there is none."""
        return int(self._file.rows("SELECT COALESCE(MAX(seq), 0) FROM adjustments")[0][0])

    def budget(self, evaluation: str) -> Decimal | None:
        """Return the budget in USD that an evaluation was last given, None where it has none."""
        rows = self._file.rows(
            "SELECT budget FROM adjustments WHERE evaluation = ? AND budget IS NOT NULL "
            "ORDER BY seq DESC LIMIT 1",
            (evaluation,),
        )
        return Decimal(rows[0][0]) if rows else None

    # What people say

    def feedback(self, evaluation: str | None) -> list[tuple[str, str, dict[str, Any]]]:
        """Return what people said before words had a store, as (evaluation, person, record), by person.

        Args:
            evaluation: Only of its answers; None: of all.
        """
        rows = self._file.rows(
            "SELECT evaluation, judge, record FROM feedback WHERE ? IS NULL OR evaluation = ? "
            "ORDER BY evaluation, judge, rowid",
            (evaluation, evaluation),
        )
        return [(owner, person, self._read(owner, text)) for owner, person, text in rows]

    # Room

    def forget(self, evaluation: str) -> None:
        """Forget an evaluation with all that belongs to it, and questions that no other one needs."""
        self._file.execute(
            *((f"DELETE FROM {table} WHERE evaluation = ?", (evaluation,)) for table in _BELONGING),  # noqa: S608 - the names above
            ("DELETE FROM evaluations WHERE id = ?", (evaluation,)),
        )
        try:
            needed = {stored.plan["dataset_key"] for stored in self.evaluations()}
        except DamagedRecord:
            # Which questions it needs cannot be told.
            return
        for (digest,) in self._file.rows("SELECT digest FROM datasets"):
            if digest not in needed:
                self._do("DELETE FROM datasets WHERE digest = ?", (digest,))

    def compact(self) -> None:
        """Give the room of what was forgotten back to the disk."""
        self._file.shrink()
        self._file.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _read(self, evaluation: str, text: Any, table: str | None = None, kind: type = dict) -> Any:
        """Return a record.

        Raises:
            DamagedRecord: It is not what was written.
        """
        try:
            record = json.loads(text)
        except (ValueError, TypeError, RecursionError) as exc:
            raise self._damaged(evaluation) from exc
        right = isinstance(record, kind)
        if right and table is not None:
            right = all(isinstance(record.get(n), type_) for n, type_ in _SHAPES[table].items())
        if not right:
            raise self._damaged(evaluation)
        return record

    def _damaged(self, evaluation: str) -> DamagedRecord:
        return DamagedRecord(
            f"A record of {evaluation} in {self.path} is damaged; put a copy of the file back, or forget "
            f"that evaluation with {program_name()} cache --clear {evaluation}: what MLflow has of it stays."
        )

    def _do(self, sql: str, values: tuple[Any, ...]) -> None:
        self._file.execute((sql, values))


def _text(record: dict[str, Any] | list[dict[str, Any]]) -> str:
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Half a character in an answer, which SQLite refuses as it is.
        text = json.dumps(record)
    return text
