"""`main.py repair`: an evaluation, delivered to MLflow again."""

from __future__ import annotations

import argparse
from typing import Any

from llmflowlab.cli.context import App
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode
from llmflowlab.evaluation.conclude.results import CandidateResult, EvaluationResult
from llmflowlab.lab.upkeep import evaluation_named, repair
from llmflowlab.program import program_name

__all__ = ["declare_options", "run_command"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument("evaluation", metavar="RUN_OR_EVALUATION")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Deliver it; returns the exit code.

    Raises:
        InputError: Nothing is known of it, or another process works on it.
        TrackingError: The store failed.
    """
    evaluation = evaluation_named(app.lab, arguments.evaluation)
    with app.screen.progress(f"repair {evaluation}"):
        result = repair(app.lab, evaluation)
    give(arguments.json, lambda: _document(result), lambda: _show(app, result))
    for note in result.notes:
        app.screen.note(note)
    for problem in result.problems:
        app.screen.warn(problem)
    if result.problems:
        app.screen.warn("MLflow still lacks something; try again when it is well.")
        return ExitCode.PROVIDER_FAILED
    if result.interrupted:
        app.screen.note(
            f"Some rows were not asked yet; go on with: {program_name()} evaluate --resume {evaluation}"
        )
    return ExitCode.DONE


def _document(result: EvaluationResult) -> dict[str, Any]:
    return {
        "evaluation_id": result.plan.evaluation_id,
        "delivered": not result.problems,
        "interrupted": result.interrupted,
        "candidates": [
            {
                "model": candidate.spec.label,
                "run_id": candidate.run_id,
                "rows": candidate.rows,
                "recorded": _recorded(candidate),
            }
            for candidate in result.candidates
        ],
        "problems": list(result.problems),
    }


def _show(app: App, result: EvaluationResult) -> None:
    evaluation = result.plan.evaluation_id
    app.screen.say(f"{evaluation}: delivered to MLflow again, from what is kept here.")
    for candidate in result.candidates:
        app.screen.say(
            f"{candidate.spec.label}: {_recorded(candidate)} of {candidate.rows} answers with their "
            f"scores, run {candidate.run_id}"
        )


def _recorded(candidate: CandidateResult) -> int:
    return candidate.rows - candidate.failed.get("not_reached", 0)
