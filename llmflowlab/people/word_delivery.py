"""What people said of answers, brought to MLflow as feedback on the traces; nothing waits for it."""

from __future__ import annotations

from contextlib import closing

from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.people.answer_words import ASIDE, cell_of, open_words
from llmflowlab.people.people_figures import deliver_figures, keep_figures
from llmflowlab.people.word_store import WordStore
from llmflowlab.settings import Settings
from llmflowlab.tracking.feedback import HumanFeedback, write_feedback
from llmflowlab.tracking.store import open_store

__all__ = ["deliver_words"]


def deliver_words(settings: Settings, evaluation: str) -> int:
    """Bring what people said of an evaluation's answers to MLflow; safe to repeat.

    Returns:
        How many of the answers MLflow does not have.

    Raises:
        TrackingError: The store failed; what was said stays to be delivered.
    """
    with closing(open_words(settings)) as words, closing(Ledger(settings.ledger_file)) as ledger:
        upto = words.undelivered().get(evaluation)
        # Of an evaluation that was forgotten nothing tells the traces.
        lacking = 0
        if ledger.knows(evaluation):
            given = _feedback(ledger, words, evaluation)
            # Words on answers of which no row is finished come to no figure yet.
            done = bool(ledger.outcomes(evaluation, limit=1))
            figures = keep_figures(ledger, words, evaluation) if done else None
            if given or (figures is not None and figures.people):
                store = open_store(settings)
                lacking = write_feedback(store, given)
                if figures is not None:
                    deliver_figures(store, figures)
        if upto is not None:
            words.delivered(evaluation, upto)
        return lacking


def _feedback(ledger: Ledger, words: WordStore, evaluation: str) -> list[HumanFeedback]:
    """Return everybody's last words, those that were taken back too."""
    plan = ledger.plan(evaluation)
    last = {
        (word.person, word.question, word.target.key): word
        for word in words.history("answer", evaluation)
        # What was said on MLflow's pages stands there.
        if word.question not in ASIDE and word.details.get("from") != "mlflow"
    }
    return [
        HumanFeedback(
            trace_id=plan.trace_id(cell_of(word.target)),
            person=word.person,
            question=word.question,
            value=int(word.said) if word.said and word.said.isdecimal() else word.said,
            comment=word.comment,
        )
        for word in last.values()
    ]
