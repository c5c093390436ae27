"""The answers that need not be asked for, because they were paid for before."""

from __future__ import annotations

from dataclasses import dataclass

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan

__all__ = ["Reusable", "find_reusable", "reusable_answers"]


@dataclass(frozen=True, slots=True)
class Reusable:
    """The answers that need not be asked for."""

    answers: dict[Cell, AnswerRecord]
    borrowed: frozenset[Cell]
    """Those that another evaluation paid for; the others are this one's own, from before a stop."""
    given: dict[Cell, AnswerRecord]
    """What the data file gives, as it is going to be taken up."""

    @property
    def known(self) -> dict[Cell, AnswerRecord]:
        """All answers that are known before anybody is asked: judgements of them may be there as well."""
        return {**self.given, **self.answers}


def find_reusable(plan: EvaluationPlan, ledger: Ledger) -> Reusable:
    """Return the answers that need not be asked for; only whole ones, what failed is asked again.

    They are this evaluation's own, and those of earlier ones too unless the plan is fresh. Answers that
    the data file gives are nobody else's.
    """
    own = plan.evaluation_id
    cells = {plan.answer_key(cell): cell for cell in plan.cells()}
    kept = ledger.load("answers", cells, evaluation=own if plan.fresh else None, prefer=own)
    answers: dict[Cell, AnswerRecord] = {}
    borrowed: set[Cell] = set()
    for key, (owner, values) in kept.items():
        record = AnswerRecord.from_json(values)
        if record.reusable and (owner == own or not record.given):
            answers[cells[key]] = record
            if owner != own:
                borrowed.add(cells[key])
    given = {
        cell: AnswerRecord.of_given(text, at_ms=0)
        for cell in cells.values()
        if (text := plan.given(cell)) is not None
    }
    return Reusable(answers, frozenset(borrowed), given)


def reusable_answers(plan: EvaluationPlan, ledger: Ledger) -> dict[Cell, AnswerRecord]:
    """Return the answers of `find_reusable`, whoever paid for them."""
    return find_reusable(plan, ledger).answers
