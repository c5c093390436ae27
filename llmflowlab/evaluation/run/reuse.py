"""The answers that need not be asked for, because they were paid for before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan

__all__ = ["Reusable", "find_reusable", "reusable_answers"]

_PAGE = 64
"""Answers that are read together where they are wanted one after another."""


@dataclass(frozen=True, slots=True)
class Reusable:
    """The answers that need not be asked for."""

    answers: Mapping[Cell, AnswerRecord]
    """In the order of the plan's cells; read from the ledger when they are needed."""
    borrowed: frozenset[Cell]
    """Those that another evaluation paid for; the others are this one's own, from before a stop."""
    given: dict[Cell, AnswerRecord]
    """What the data file gives, as it is going to be taken up."""


class _StoredAnswers(Mapping[Cell, AnswerRecord]):
    """Answers in the ledger. Not for several threads at once.

    Args:
        ledger: Where they are.
        evaluation: Whose finished rows are looked at.
        places: For each cell the answer's key and the evaluation that paid for it; None where that was
            forgotten, and the finished row alone still has it.
    """

    def __init__(
        self, ledger: Ledger, evaluation: str, places: Mapping[Cell, tuple[str, str | None]]
    ) -> None:
        self._ledger, self._own = ledger, evaluation
        self._cells = list(places)
        self._places = list(places.values())
        self._numbers = {cell: number for number, cell in enumerate(self._cells)}
        self._page: dict[int, AnswerRecord] = {}
        self._last = -1

    def __contains__(self, cell: object) -> bool:
        return cell in self._numbers

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, cell: Cell) -> AnswerRecord:
        """Return an answer.

        Raises:
            KeyError: It has to be asked for.
            TrackingError: The ledger cannot be read, or lost it.
        """
        number = self._numbers[cell]
        if number not in self._page:
            # One alone where they are wanted in an order of their own.
            self._page = self._read(number, _PAGE if self._last == number - 1 else 1)
        self._last = number
        return self._page[number]

    def _read(self, first: int, count: int) -> dict[int, AnswerRecord]:
        wanted = range(first, min(first + count, len(self._places)))
        page: dict[int, AnswerRecord] = {}
        for owner in {self._places[number][1] for number in wanted}:
            of_owner = [number for number in wanted if self._places[number][1] == owner]
            if owner is None:
                cells = [self._cells[number] for number in of_owner]
                page |= {self._numbers[c]: r for c, r in _in_rows(self._ledger, self._own, cells)}
                continue
            keys = {self._places[number][0]: number for number in of_owner}
            for key, (_, values) in self._ledger.load("answers", keys, evaluation=owner).items():
                page[keys[key]] = AnswerRecord.from_json(values)
        if first not in page:
            raise TrackingError(
                f"{self._ledger.path} lost answers of {self._places[first][1] or self._own} while they were "
                "to be used again; start once more, and they are asked for."
            )
        return page


def _in_rows(
    ledger: Ledger, evaluation: str, cells: Sequence[Cell]
) -> Iterator[tuple[Cell, AnswerRecord]]:
    """Yield the answers in an evaluation's finished rows."""
    if not cells:
        return
    for values in ledger.outcomes_at(evaluation, [Outcome.key_of(cell) for cell in cells]):
        outcome = Outcome.from_json(values)
        yield outcome.cell, outcome.answer


def find_reusable(plan: EvaluationPlan, ledger: Ledger, *, part: bool = False) -> Reusable:
    """Return the answers that need not be asked for; only whole ones, what failed is asked again.

    They are this evaluation's own, and those of earlier ones too unless the plan is fresh. What stands in
    this one's finished rows is there whoever paid for it, and whatever became of them. Answers that the
    data file gives are nobody else's.

    Args:
        plan: Whose.
        ledger: Where they are.
        part: Whether the plan has some of its evaluation's rows alone, under numbers of their own: what
            stands in the evaluation's finished rows is of others then.
    """
    own = plan.evaluation_id
    only = own if plan.fresh else None
    cells = {plan.answer_key(cell): cell for cell in plan.cells()}
    keys = list(cells)
    places: dict[Cell, tuple[str, str | None]] = {}
    for start in range(0, len(keys), _PAGE):
        some = keys[start : start + _PAGE]
        kept = ledger.load("answers", some, evaluation=only, prefer=own)
        for key in some:
            owner, values = kept.get(key, (own, None))
            record = None if values is None else AnswerRecord.from_json(values)
            if record is not None and record.reusable and (owner == own or not record.given):
                places[cells[key]] = (key, owner)
        left = [] if part else [cells[key] for key in some if cells[key] not in places]
        for cell, record in _in_rows(ledger, own, left):
            if record.reusable and not record.given:
                places[cell] = (plan.answer_key(cell), None)
    given = {
        cell: AnswerRecord.of_given(text, at_ms=0)
        for cell in cells.values()
        if (text := plan.given(cell)) is not None
    }
    borrowed = frozenset(cell for cell, (_, owner) in places.items() if owner != own)
    return Reusable(_StoredAnswers(ledger, own, places), borrowed, given)


def reusable_answers(plan: EvaluationPlan, ledger: Ledger) -> Mapping[Cell, AnswerRecord]:
    """Return the answers of `find_reusable`, whoever paid for them."""
    return find_reusable(plan, ledger).answers
