"""What people's words come to, kept beside the evaluation so that every page says it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports import write_files
from llmflowlab.evaluation.run.closing import exam_tags, people_metrics
from llmflowlab.evaluation.run.ending import with_runs
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.people.answer_words import kept_verdicts
from llmflowlab.people.combined import people_estimates
from llmflowlab.people.word_store import WordStore
from llmflowlab.tracking.run_figures import write_run_figures
from llmflowlab.tracking.store import Store

__all__ = ["deliver_figures", "keep_figures"]


def keep_figures(ledger: Ledger, words: WordStore, evaluation: str) -> EvaluationResult:
    """Count up what people said of an evaluation, keep it, and return the evaluation with it.

    Its files, where they stand in its own folder, are written again with what is new.

    Raises:
        InputError: No row of it is finished.
        TrackingError: Something cannot be read or kept.
    """
    result = stored_result(ledger, evaluation)
    people = people_estimates(result, kept_verdicts(words, evaluation))
    runs = ledger.evaluation(evaluation).runs
    found = with_runs(replace(result, people=people), runs)
    if people != list(result.people):
        ledger.set_people(evaluation, people)
        folder = ledger.path.parent / "evaluations" / evaluation
        if (folder / "report.html").exists():
            # What was said is kept; `report` writes a page that could not be replaced.
            with suppress(TrackingError):
                write_files(found, folder)
    return found


def deliver_figures(store: Store, result: EvaluationResult) -> None:
    """Bring an evaluation's figures of people, and whose judges are believed, to its runs.

    Raises:
        TrackingError: The store failed.
    """
    for index, candidate in enumerate(result.candidates):
        if candidate.run_id is not None:
            write_run_figures(
                store,
                candidate.run_id,
                metrics=people_metrics(result, index),
                tags=exam_tags(result),
            )
