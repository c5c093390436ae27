"""What became of each row of an evaluation, in a byte: whether it ended, whole, and is in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llmflowlab.evaluation.run.outcomes import Entry
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan

__all__ = ["Account", "RowBooks"]

_ENDED, _WHOLE, _LOST = 1, 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A candidate's rows, counted."""

    ended: int
    not_stored: int
    """Those that ended and are not in the store as they should be."""
    left_out: int
    """Those that a stop or the budget left out, wholly or in part."""


class RowBooks:
    """Every row of a plan; 100,000 rows of two candidates are 200 kB.

    Args:
        plan: The evaluation.
        decided: Whether rows that were not asked are none that are missing: a comparison was decided
            without them.
    """

    def __init__(self, plan: EvaluationPlan, *, decided: bool) -> None:
        self._rows, self._trials = len(plan.dataset.rows), plan.trials
        self._decided = decided
        self._states = [bytearray(self._rows * self._trials) for _ in plan.candidates]

    def note(self, entry: Entry, *, stored: bool) -> None:
        """Take down a row that came to an end."""
        cell = entry.cell
        state = _ENDED | (_WHOLE if entry.whole else 0) | (0 if stored else _LOST)
        self._states[cell.candidate][cell.trial * self._rows + cell.row] = state

    def account(self, candidate: int) -> Account:
        """Count a candidate's rows."""
        states = self._states[candidate]
        return Account(
            ended=sum(1 for state in states if state & _ENDED),
            not_stored=sum(1 for state in states if state & _LOST),
            left_out=sum(1 for state in states if self._left_out(state)),
        )

    def missing(self, candidate: int) -> Iterator[Cell]:
        """Yield what a candidate's run lacks, trial after trial, in the order of the file."""
        for place, state in enumerate(self._states[candidate]):
            if state & _LOST or self._left_out(state):
                trial, row = divmod(place, self._rows)
                yield Cell(candidate, row, trial)

    def _left_out(self, state: int) -> bool:
        return not state & _WHOLE if state & _ENDED else not self._decided
