"""An evaluation's result from what the ledger holds, without asking or scoring anything again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports import write_files
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.evaluation.run.ending import with_runs
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.pending import await_recording, recorded
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.running import held
from llmflowlab.evaluation.run.stored_outcomes import StoredOutcomes
from llmflowlab.program import program_name
from llmflowlab.settings import Settings

__all__ = ["deliver_left", "evaluation_behind", "repair", "stored_result"]


def evaluation_behind(ledger: Ledger, name: str) -> str:
    """Return the evaluation that a run id or evaluation id belongs to.

    Raises:
        InputError: The ledger of this home knows neither.
    """
    for stored in ledger.evaluations():
        runs = [stored.runs.get("parent"), *(stored.runs.get("candidates") or [])]
        if name == stored.id or name in runs:
            return stored.id
    raise InputError(
        f"{name!r} is neither a run nor an evaluation of this home ({ledger.path.parent}); "
        "look where it was made."
    )


def stored_result(ledger: Ledger, evaluation: str) -> EvaluationResult:
    """Count an evaluation up from its finished rows.

    Raises:
        InputError: There is no such evaluation, or no row of it is finished.
    """
    plan = ledger.plan(evaluation)
    if plan.drawn_from is not None:
        raise InputError(
            f"{evaluation} has {plan.drawn_from:,} rows, of which this home has {len(plan.dataset.rows):,}; its "
            f"figures come from the storage it ran on: {program_name()} evaluate --resume {evaluation} "
            "--runner ray --storage URL."
        )
    outcomes = StoredOutcomes.all(plan, ledger)
    if not outcomes:
        raise InputError(
            f"No row of {evaluation} is finished yet; go on with {program_name()} evaluate --resume {evaluation}."
        )
    reused, whole = [0] * len(plan.candidates), True
    for outcome in outcomes.values():
        reused[outcome.cell.candidate] += outcome.reused
        whole = whole and outcome.whole
    result = build_result(
        plan,
        outcomes.answers,
        outcomes.scores,
        reused=reused,
        interrupted=len(outcomes) < plan.size or not whole,
        exams=ledger.exams(evaluation),
        in_vain=ledger.judged_in_vain(evaluation),
        given_up=ledger.answered_in_vain(evaluation),
        system=ledger.system_use(evaluation),
    )
    if result.decided_early and whole:
        result = replace(result, interrupted=False)
    return replace(result, gates=ledger.gates(evaluation), people=ledger.people(evaluation))


def repair(
    ledger: Ledger, settings: Settings, evaluation: str, *, tick: Callable[[], None]
) -> EvaluationResult:
    """Deliver an evaluation to MLflow once more, from the ledger; asks no model.

    Raises:
        InputError: Nothing is known of it, or another process works on it.
        TrackingError: The store failed again.
    """
    with held(ledger, evaluation):
        return _deliver(ledger, settings, evaluation, tick=tick)


def deliver_left(ledger: Ledger, settings: Settings, evaluation: str) -> None:
    """Deliver what an evaluation left that did not come to its end; its runs do not go on for ever.

    Where no row of it is finished there are no figures, and the runs are ended as they are. To go on
    with it opens them again.

    Raises:
        InputError: The ledger does not have it, or another process works on it.
        TrackingError: The store failed.
    """
    if ledger.outcomes(evaluation, limit=1):
        repair(ledger, settings, evaluation, tick=lambda: None)
        return
    ledger.evaluation(evaluation)
    # Imported here: they import MLflow.
    from llmflowlab.tracking.evaluation_runs import end_runs
    from llmflowlab.tracking.store import open_store

    with held(ledger, evaluation):
        await_recording(settings, evaluation, by="deliverer")
        end_runs(open_store(settings), evaluation)
        recorded(settings, evaluation)


def _deliver(
    ledger: Ledger, settings: Settings, evaluation: str, *, tick: Callable[[], None]
) -> EvaluationResult:
    await_recording(settings, evaluation, by="deliverer")
    result = with_runs(stored_result(ledger, evaluation), ledger.evaluation(evaluation).runs)
    folder = settings.state_dir / "evaluations" / evaluation
    result, files = write_files(result, folder)
    recorder = RecorderProcess(settings, ledger.path)
    try:
        recorder.begin(evaluation)
        named = all(candidate.run_id is not None for candidate in result.candidates)
        problems = recorder.close(
            closing_of(result, files).to_json(), tick, rewrite=None if named else folder
        )
    finally:
        recorder.abandon()
    ledger.set_state(
        evaluation,
        "partial" if problems else "interrupted" if result.interrupted else "finished",
    )
    result = with_runs(result, ledger.evaluation(evaluation).runs)
    return replace(result, problems=tuple(problems), notes=tuple(recorder.notes))
