"""How earlier evaluations answered the questions of a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container

from llmflowlab.data.past import PastRow, row_key
from llmflowlab.errors import LabError
from llmflowlab.evaluation.judging.exam import doubts_of
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scorers.ranking import ranked, says_right

__all__ = ["past_rows"]


def past_rows(ledger: Ledger) -> dict[str, PastRow]:
    """Gather what all evaluations of a home have seen, by `row_key`.

    Raises:
        TrackingError: The ledger cannot be read.
    """
    found: dict[str, PastRow] = defaultdict(PastRow)
    for stored in reversed(ledger.evaluations()):
        try:
            plan = ledger.plan(stored.id)
        except (LabError, LookupError, TypeError, ValueError):
            # Written by another version of the lab: what cannot be read has no say.
            continue
        doubted = doubts_of(ledger.exams(stored.id))
        keys = [row_key(row) for row in plan.dataset.rows]
        for _, record in ledger.outcomes(stored.id):
            outcome = Outcome.from_json(record)
            right = _right(plan, outcome, doubted)
            if right is not None:
                who = (plan.candidates[outcome.cell.candidate].digest, outcome.cell.trial)
                answers = found[keys[outcome.cell.row]].answers
                answers[who] = (right, outcome.answer.text or "")
    return dict(found)


def _right(plan: EvaluationPlan, outcome: Outcome, doubted: Container[str]) -> bool | None:
    """Return what the first scorer that can tell says of the answer; None where none does."""
    for name in ranked(name for name in plan.scorers if name not in doubted):
        score = outcome.scores.get(name)
        if score is not None and score.value is not None and says_right(plan.spec(name).kind):
            return score.value >= 0.5
    return None
