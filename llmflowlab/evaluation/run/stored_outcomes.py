"""Finished rows as mappings that hold few of them: the rest is read from the ledger when it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome, Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan

__all__ = ["OutcomeSource", "StoredOutcomes"]

T = TypeVar("T")

_PAGE = 64
"""Rows of a candidate that are read together where they are wanted one after another."""
_HELD = 24_000_000
"""Bytes that finished rows may take before the others are read from the ledger.

Figures and files pass over the rows some twenty times; to read a row costs as much as to ask for it.
"""
_ROW, _SCORE = 1500, 700
"""Bytes of an outcome and of a score without their texts."""


class OutcomeSource(Protocol):
    """Where finished rows are: a ledger, or files of a cluster."""

    path: Path

    def outcomes_at(self, evaluation: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return finished rows by where they stand, in any order; those that are not there are left out."""


class StoredOutcomes(Mapping[Cell, Outcome]):
    """An evaluation's finished rows. Not for several threads at once, but for `add`.

    Args:
        plan: The evaluation.
        ledger: Where they are; it may be closed and opened again, but must not lose them.
        room: Bytes that finished rows may take in memory; None: as many as help figures and files.
    """

    def __init__(
        self, plan: EvaluationPlan, ledger: OutcomeSource, *, room: int | None = None
    ) -> None:
        self._evaluation = plan.evaluation_id
        self._shape = (len(plan.candidates), len(plan.dataset.rows), plan.trials)
        self._ledger = ledger
        candidates, rows, trials = self._shape
        self._there = bytearray(candidates * rows * trials)
        self._pages: dict[tuple[int, int], dict[int, Outcome]] = {}
        """Of each candidate and trial the rows read last."""
        self._last: dict[tuple[int, int], int] = {}
        self._held: dict[Cell, Outcome] = {}
        self._room = _HELD if room is None else room

    @classmethod
    def all(cls, plan: EvaluationPlan, ledger: Ledger) -> StoredOutcomes:
        """Return all that the ledger has of an evaluation."""
        found = cls(plan, ledger)
        for key in ledger.outcome_keys(plan.evaluation_id):
            found.add(Cell(*map(int, key.split(":"))))
        return found

    @property
    def answers(self) -> Mapping[Cell, AnswerRecord]:
        """The answers alone."""
        return _Part(self, lambda outcome: outcome.answer)

    @property
    def scores(self) -> Scores:
        """The scores alone."""
        return _Part(self, lambda outcome: outcome.scores)

    def add(self, cell: Cell, outcome: Outcome | None = None) -> None:
        """Take in that a row is in the ledger; safe to call from many threads.

        Args:
            cell: Which.
            outcome: The row itself where it is at hand; kept while there is room.
        """
        if outcome is not None:
            self._hold(outcome)
        self._there[self._place(cell)] = 1

    def __contains__(self, cell: object) -> bool:
        return isinstance(cell, Cell) and bool(self._there[self._place(cell)])

    def __len__(self) -> int:
        return self._there.count(1)

    def __iter__(self) -> Iterator[Cell]:
        candidates, rows, trials = self._shape
        for trial in range(trials):
            for row in range(rows):
                for candidate in range(candidates):
                    if (cell := Cell(candidate, row, trial)) in self:
                        yield cell

    def __getitem__(self, cell: Cell) -> Outcome:
        """Return a row.

        Raises:
            KeyError: It is not finished.
            TrackingError: The ledger cannot be read.
        """
        if (held := self._held.get(cell)) is not None:
            return held
        if cell not in self:
            raise KeyError(cell)
        lane = (cell.candidate, cell.trial)
        page = self._pages.get(lane, {})
        if cell.row not in page:
            # One alone where they are wanted in an order of their own.
            ahead = _PAGE if self._last.get(lane, -1) == cell.row - 1 else 1
            page = self._pages[lane] = self._read(cell, ahead)
        self._last[lane] = cell.row
        return page[cell.row]

    def _read(self, first: Cell, ahead: int) -> dict[int, Outcome]:
        rows = range(first.row, min(first.row + ahead, self._shape[1]))
        cells = [cell for row in rows if (cell := Cell(first.candidate, row, first.trial)) in self]
        found = self._ledger.outcomes_at(self._evaluation, [Outcome.key_of(cell) for cell in cells])
        page = {(done := Outcome.from_json(values)).cell.row: done for values in found}
        if first.row not in page:
            raise TrackingError(f"{self._ledger.path} lost finished rows of {self._evaluation}.")
        for outcome in page.values():
            self._hold(outcome)
        return page

    def _hold(self, outcome: Outcome) -> None:
        if self._room > 0:
            self._held[outcome.cell] = outcome
            self._room -= _size(outcome)

    def _place(self, cell: Cell) -> int:
        return (cell.candidate * self._shape[1] + cell.row) * self._shape[2] + cell.trial


def _size(outcome: Outcome) -> int:
    """Return about how many bytes an outcome takes."""
    texts = len(outcome.answer.text)
    texts += sum(len(score.rationale or "") for score in outcome.scores.values())
    return _ROW + _SCORE * len(outcome.scores) + 2 * texts


class _Part(Mapping[Cell, T]):
    """One side of the rows."""

    def __init__(self, outcomes: StoredOutcomes, pick: Callable[[Outcome], T]) -> None:
        self._outcomes = outcomes
        self._pick = pick

    def __getitem__(self, cell: Cell) -> T:
        return self._pick(self._outcomes[cell])

    def __contains__(self, cell: object) -> bool:
        return cell in self._outcomes

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._outcomes)

    def __len__(self) -> int:
        return len(self._outcomes)
