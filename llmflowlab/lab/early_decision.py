"""Comparisons that may end early: what they need, and what cannot be gone on with."""

from __future__ import annotations

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.deciding import sequential_of
from llmflowlab.evaluation.conclude.table import plan_traits
from llmflowlab.evaluation.judging.exam import doubts_of
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scorers.ranking import main_scorer

__all__ = ["refuse_decided", "refuse_undecidable"]


def refuse_undecidable(plan: EvaluationPlan, *, harness: str) -> None:
    """Refuse a comparison that cannot end early.

    Raises:
        InputError: It is not of two candidates, asks its rows several times, or is not scored row by
            row while it runs.
    """
    if plan.until_decided is None:
        return
    reason = None
    if len(plan.candidates) != 2:
        reason = f"compares two candidates, not {len(plan.candidates)}"
    elif plan.trials > 1:
        reason = "asks every question once; leave --trials out"
    elif harness != "fast":
        reason = "needs scores while it runs; leave --harness mlflow out"
    elif plan_traits(plan)[main_scorer(plan.scorers)].figure is not None:
        reason = f"needs a score for each row; {main_scorer(plan.scorers)} is of the whole dataset"
    if reason is not None:
        raise InputError(f"--until-decided {reason}.")


def refuse_decided(plan: EvaluationPlan, ledger: Ledger) -> None:
    """Refuse to go on with a comparison that has come to its end.

    Raises:
        InputError: It is decided.
    """
    if plan.until_decided is None or ledger.evaluation(plan.evaluation_id).state != "finished":
        return
    outcomes = [Outcome.from_json(values) for _, values in ledger.outcomes(plan.evaluation_id)]
    state = sequential_of(
        plan,
        main_scorer(plan.scorers),
        {outcome.cell: outcome.answer for outcome in outcomes},
        {outcome.cell: outcome.scores for outcome in outcomes},
        believed=main_scorer(plan.scorers) not in doubts_of(ledger.exams(plan.evaluation_id)),
    )
    if state is not None and state.verdict is not None:
        raise InputError(
            f"{plan.evaluation_id} was decided after {state.looked_at} of {state.of} rows; begin a "
            "new one without --until-decided to ask them all."
        )
