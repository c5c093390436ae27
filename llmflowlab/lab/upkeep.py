"""Looking after evaluations past and running: what is kept, changed, delivered again, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run import replay
from llmflowlab.evaluation.run.ledger import DamagedRecord
from llmflowlab.evaluation.run.ledger_upkeep import (
    KeptEvaluation,
    clear,
    compact,
    kept_evaluations,
    size,
)
from llmflowlab.evaluation.run.pending import pending_evaluations
from llmflowlab.evaluation.run.steering import Adjustment, ask_for
from llmflowlab.lab.lab import Lab
from llmflowlab.program import program_name

if TYPE_CHECKING:
    from llmflowlab.evaluation.run.verify import FigureCheck

__all__ = [
    "Adjustment",
    "Cleared",
    "KeptEvaluation",
    "KeptFile",
    "adjust",
    "clear_damaged",
    "clear_evaluations",
    "evaluation_named",
    "is_damaged",
    "kept_file",
    "named_evaluations",
    "repair",
    "runs_of",
    "verify",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """The ledger of this home."""

    path: Path
    size: int
    """Bytes on disk."""
    evaluations: Sequence[KeptEvaluation]
    """The newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What came of forgetting."""

    evaluations: int
    compacted: bool
    """False where an evaluation was running, which keeps the file at its size."""


def kept_file(lab: Lab) -> KeptFile | None:
    """Return what is kept; None where no evaluation was ever made here."""
    if not lab.has_evaluations:
        return None
    with closing(lab.ledger()) as ledger:
        return KeptFile(path=ledger.path, size=size(ledger), evaluations=kept_evaluations(ledger))


def named_evaluations(lab: Lab, what: str) -> list[KeptEvaluation]:
    """Return the evaluations that an id, or `all`, means and that may be cleared.

    Raises:
        InputError: There is no such evaluation, none was ever made, or one of them is running.
    """
    with closing(lab.existing_ledger()) as ledger:
        kept = kept_evaluations(ledger)
    chosen = [entry for entry in kept if what in {"all", entry.stored.id}]
    if not chosen and what != "all":
        raise InputError(
            f"There is no evaluation {what!r} here; `{program_name()} cache` lists those there are."
        )
    running = [entry.stored.id for entry in chosen if entry.state == "running"]
    if running:
        raise InputError(f"{running[0]} is running; stop it or wait for its end.")
    return chosen


def is_damaged(lab: Lab, what: str) -> bool:
    """Whether this is an evaluation with a record that cannot be read.

    Raises:
        DamagedRecord: One of another evaluation cannot be read.
    """
    with closing(lab.existing_ledger()) as ledger:
        try:
            kept_evaluations(ledger)
        except DamagedRecord:
            if not ledger.knows(what):
                raise
            return True
    return False


def clear_damaged(lab: Lab, evaluation: str) -> None:
    """Forget an evaluation that cannot be read.

    Raises:
        InputError: It is running by now.
        TrackingError: The ledger cannot be written.
    """
    with closing(lab.existing_ledger()) as ledger:
        clear(ledger, evaluation)


def clear_evaluations(lab: Lab, chosen: Sequence[KeptEvaluation]) -> Cleared:
    """Forget evaluations with all they paid for; MLflow keeps what it has.

    Raises:
        InputError: One of them is running by now.
        TrackingError: The ledger cannot be written.
    """
    with closing(lab.existing_ledger()) as ledger:
        for entry in chosen:
            clear(ledger, entry.stored.id)
        left = kept_evaluations(ledger)
        if not left:
            # Vectors belong to texts, not to an evaluation; with the last one they are forgotten.
            ledger.forget_vectors()
        compacted = all(entry.state != "running" for entry in left)
        if compacted:
            compact(ledger)
    return Cleared(evaluations=len(chosen), compacted=compacted)


def adjust(lab: Lab, evaluation: str, change: Adjustment) -> None:
    """Change an evaluation that is running elsewhere.

    Raises:
        InputError: It is not running, or has no budget to change.
    """
    with closing(lab.existing_ledger()) as ledger:
        ask_for(ledger, evaluation, change)


def evaluation_named(lab: Lab, name: str) -> str:
    """Return the evaluation that a run or an evaluation id belongs to.

    Raises:
        InputError: This home knows neither.
    """
    with closing(lab.existing_ledger()) as ledger:
        return replay.evaluation_behind(ledger, name)


def repair(lab: Lab, evaluation: str, tick: Callable[[], None] = lambda: None) -> EvaluationResult:
    """Deliver an evaluation to MLflow again, from what is kept here; asks no model.

    Raises:
        InputError: Nothing is known of it, or another process works on it.
        TrackingError: The store failed again.
    """
    with closing(lab.existing_ledger()) as ledger:
        result = replay.repair(ledger, lab.settings, evaluation, tick=tick)
    if lab.settings.people_file.exists():
        # Imported here: of most evaluations nobody said anything.
        from llmflowlab.people.word_delivery import deliver_words

        deliver_words(lab.settings, evaluation)
    return result


def runs_of(lab: Lab, name: str) -> list[str] | None:
    """Return the candidates' runs of an evaluation id; None where it is none of this home.

    Raises:
        TrackingError: MLflow has no run of it yet.
    """
    if not lab.has_evaluations:
        return None
    with closing(lab.ledger()) as ledger:
        found = [stored for stored in ledger.evaluations() if stored.id == name]
    if not found:
        return None
    runs: list[str] = found[0].runs.get("candidates") or []
    if not runs:
        raise TrackingError(
            f"MLflow has no run of {name} yet; deliver it with: {program_name()} repair {name}"
        )
    return runs


def verify(
    lab: Lab, name: str, runs: Sequence[str] | None
) -> list[tuple[str, Sequence[FigureCheck]]]:
    """Recompute every figure of a run, or of an evaluation's runs, from MLflow's traces.

    Args:
        lab: The parts.
        name: A run or an evaluation.
        runs: From `runs_of`.

    Returns:
        Each run with what was compared.

    Raises:
        InputError: MLflow knows no such run.
        TrackingError: The store failed, or the evaluation is still on its way to it.
    """
    if name in pending_evaluations(lab.settings):
        raise TrackingError(f"{name} is still on its way to MLflow; try again in a moment.")
    # Imported here: it imports MLflow.
    from llmflowlab.evaluation.run.verify import candidate_runs, verify_run

    store = lab.store()
    named = candidate_runs(store, name) if runs is None else runs
    return [(run, verify_run(store, run)) for run in named]
