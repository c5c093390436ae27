"""Where people's words are kept: one file a home, in which nothing is ever overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.run.ledger_file import LedgerFile
from llmflowlab.people.words import TargetKind, Word

__all__ = ["WordStore"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS words (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, within TEXT NOT NULL,
  record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS words_by_place ON words (kind, within);
CREATE TABLE IF NOT EXISTS delivered (within TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""

Earlier: TypeAlias = "Callable[[str | None], Sequence[Word]]"


class WordStore:
    """The words of a home; safe to use from many threads and processes.

    Args:
        path: The file.
        earlier: Returns the words on one evaluation's answers, or on all, that were kept elsewhere before
            there was this file; they are older than all of its own.

    Raises:
        TrackingError: The file cannot be opened.
    """

    def __init__(self, path: Path, earlier: Earlier = lambda within: ()) -> None:
        self.path = path
        self._earlier = earlier
        self._file = LedgerFile(
            path,
            _SCHEMA,
            what="What people said is kept in",
            meanwhile="; what was said before is kept",
        )

    def keep(self, words: Iterable[Word]) -> None:
        """Write words down, all of them or none; they are on disk when this returns.

        Raises:
            TrackingError: The file cannot be written.
        """
        rows = [
            (word.target.kind, word.target.within, json.dumps(word.to_json(), ensure_ascii=False))
            for word in words
        ]
        if rows:
            insert = "INSERT INTO words (kind, within, record) VALUES (?, ?, ?)"
            self._file.execute(*((insert, row) for row in rows))

    def words(self, kind: TargetKind, within: str | None = None) -> list[Word]:
        """Return what holds: each person's last word to each question on each thing, in that order.

        What was taken back is not among them.

        Args:
            kind: What they are about.
            within: Only those of one evaluation, run or arena.

        Raises:
            TrackingError: The file cannot be read, or a record of it is damaged.
        """
        last: dict[tuple[str, ...], Word] = {}
        for word in self.history(kind, within):
            place = (word.target.within, word.target.key, word.person, word.question)
            # Taken out first: an answer that was judged again stands where its last word stands.
            last.pop(place, None)
            if word.said is not None:
                last[place] = word
        return list(last.values())

    def history(self, kind: TargetKind, within: str | None = None) -> list[Word]:
        """Return everything that was ever said, replaced words and withdrawals too, in order.

        Raises:
            TrackingError: The file cannot be read, or a record of it is damaged.
        """
        rows = self._file.rows(
            "SELECT record FROM words WHERE kind = ? AND (? IS NULL OR within = ?) ORDER BY seq",
            (kind, within, within),
        )
        before = self._earlier(within) if kind == "answer" else ()
        try:
            return [*before, *(Word.from_json(json.loads(record)) for (record,) in rows)]
        except (ValueError, KeyError, TypeError) as exc:
            raise TrackingError(
                f"{self.path} holds a record that is not what was written there; restore it from a "
                "copy, or move it away to begin a new one."
            ) from exc

    # What MLflow has of them

    def undelivered(self) -> dict[str, int]:
        """Return the evaluations on whose answers something was said that MLflow was not told.

        Each with the number up to which it was said, for `delivered`.

        Raises:
            TrackingError: The file cannot be read.
        """
        rows = self._file.rows(
            "SELECT w.within, MAX(w.seq) AS last FROM words w LEFT JOIN delivered d "
            "ON d.within = w.within WHERE w.kind = 'answer' GROUP BY w.within "
            "HAVING last > COALESCE(MAX(d.seq), 0) ORDER BY last"
        )
        return {within: int(last) for within, last in rows}

    def delivered(self, evaluation: str, upto: int) -> None:
        """Note that MLflow was told what was said of an evaluation's answers up to a number.

        Raises:
            TrackingError: The file cannot be written.
        """
        self._file.execute(
            ("REPLACE INTO delivered (within, seq) VALUES (?, ?)", (evaluation, upto))
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()
