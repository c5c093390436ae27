"""What people said of the same answers elsewhere: an answer that is used again keeps its words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.decide import weigh
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.people.answer_words import (
    ASIDE,
    CORRECT,
    QUALITY,
    HumanVerdict,
    kept_verdicts,
    was_picked,
)
from llmflowlab.people.human import table_by_people
from llmflowlab.people.word_store import WordStore

__all__ = ["PairedVerdict", "paired_verdict", "verdicts_on_same_answers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedVerdict:
    """What people think of two candidates, on the rows on which they judged both."""

    question: str
    n: int
    """Questions of which both answers were judged."""
    difference: float | None
    """Mean of the second minus mean of the first; None without any."""
    lower: float | None
    """One-sided 95 % bound."""
    upper: float | None

    @property
    def contradicts(self) -> bool:
        """Whether people were shown to find the second one worse."""
        return self.upper is not None and self.upper < 0

    def to_json(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "n": self.n,
            "difference": self.difference,
            "lower_bound": self.lower,
            "upper_bound": self.upper,
        }


def verdicts_on_same_answers(
    ledger: Ledger, words: WordStore, result: EvaluationResult
) -> list[HumanVerdict]:
    """Return what people said of a result's answers, in this evaluation and wherever else they stood.

    An answer is the same where the same was asked of the same candidate (`EvaluationPlan.answer_key`) and the
    same was said. What was said of it in this evaluation comes first.

    Raises:
        TrackingError: Something cannot be read.
    """
    plan = result.plan
    found = kept_verdicts(words, plan.evaluation_id)
    known = {(verdict.person, verdict.question, verdict.cell) for verdict in found}
    cells = {plan.answer_key(cell): cell for cell in result.answers}
    others = dict.fromkeys(word.target.within for word in words.words("answer"))
    for name in reversed([name for name in others if name != plan.evaluation_id]):
        # One that was forgotten, or of which no row is finished, has no answers to compare with.
        with suppress(InputError):
            before = stored_result(ledger, name)
            for verdict in kept_verdicts(words, name):
                cell = _same(before, verdict.cell, cells, result)
                place = (verdict.person, verdict.question, cell)
                if cell is not None and place not in known:
                    known.add((verdict.person, verdict.question, cell))
                    found.append(replace(verdict, cell=cell))
    return found


def _same(
    before: EvaluationResult, cell: Cell, cells: dict[str, Cell], result: EvaluationResult
) -> Cell | None:
    here = cells.get(before.plan.answer_key(cell))
    if here is None or cell not in before.answers:
        return None
    return here if before.answers[cell].text == result.answers[here].text else None


def paired_verdict(
    result: EvaluationResult,
    verdicts: Sequence[HumanVerdict],
    *,
    first: int,
    second: int,
    margin: float,
) -> PairedVerdict:
    """Hold two candidates against each other by what people said of both.

    By whether answers are correct where anybody was asked that, else by their quality. Answers that were
    picked because judges disagree about them are left out. One and the same candidate differs by nothing.
    """
    usable = [v for v in verdicts if v.value is not None and not was_picked(v)]
    asked = {v.question for v in usable if v.question not in ASIDE}
    question = next((q for q in (CORRECT, QUALITY, *sorted(asked)) if q in asked), CORRECT)
    own = [v for v in usable if v.question == question]
    table, name = table_by_people(result, own)
    judged = [{v.cell.row for v in own if v.cell.candidate == c} for c in (first, second)]
    both = judged[0] & judged[1]
    evidence = None
    if both:
        pairs = table.rows(both).pairs(name, first, second)
        evidence = weigh(pairs, margin=margin, floor=0.0)
    paired = None if evidence is None or first == second else evidence.paired
    return PairedVerdict(
        question=question,
        n=evidence.paired.n if evidence else 0,
        difference=paired.difference if paired else None,
        lower=paired.lower_bound if paired else None,
        upper=paired.upper_bound if paired else None,
    )
