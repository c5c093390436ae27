"""The files of a past evaluation, written again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports import write_files
from llmflowlab.evaluation.run.ending import with_runs
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import evaluation_behind, stored_result
from llmflowlab.lab.lab import Lab

__all__ = ["Report", "result_of", "write_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was written."""

    evaluation_id: str
    files: Sequence[Path]
    plots: Sequence[Path]
    plots_folder: Path
    whole: bool
    """Whether every row was asked and scored."""


def write_report(lab: Lab, name: str, folder: Path | None = None) -> Report:
    """Write an evaluation's files once more, plots included; asks nobody.

    Args:
        lab: The parts.
        name: A run or an evaluation of this home.
        folder: Where to; None means the evaluation's own folder.

    Raises:
        InputError: Nothing is known of it, or no row is finished.
        TrackingError: A file cannot be written.
    """
    with closing(lab.existing_ledger()) as ledger:
        evaluation = evaluation_behind(ledger, name)
        folder = folder or lab.settings.state_dir / "evaluations" / evaluation
        result, written = write_files(result_of(ledger, evaluation), folder)
    plots = [file for file in written if file.suffix == ".svg"]
    return Report(
        evaluation_id=evaluation,
        files=[file for file in written if file not in plots],
        plots=plots,
        plots_folder=folder / "plots",
        whole=not result.interrupted,
    )


def result_of(ledger: Ledger, evaluation: str) -> EvaluationResult:
    """Count an evaluation up and name its runs.

    Raises:
        InputError: There is no such evaluation, or no row of it is finished.
    """
    return with_runs(stored_result(ledger, evaluation), ledger.evaluation(evaluation).runs)
