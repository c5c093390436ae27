"""`main.py repair`: an evaluation, delivered to MLflow again."""

from __future__ import annotations

import argparse

from llmflowlab.cli.context import App
from llmflowlab.errors import ExitCode
from llmflowlab.lab.upkeep import evaluation_named, repair
from llmflowlab.program import program_name

__all__ = ["declare_options", "run_command"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument("evaluation", metavar="RUN_OR_EVALUATION")


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Deliver it; returns the exit code.

    Raises:
        InputError: Nothing is known of it, or another process works on it.
        TrackingError: The store failed.
    """
    evaluation = evaluation_named(app.lab, arguments.evaluation)
    with app.screen.progress(f"repair {evaluation}"):
        result = repair(app.lab, evaluation)
    app.screen.say(f"{evaluation}: delivered to MLflow again, from what is kept here.")
    for candidate in result.candidates:
        recorded = candidate.rows - candidate.failed.get("not_reached", 0)
        app.screen.say(
            f"{candidate.spec.label}: {recorded} of {candidate.rows} answers with their scores, "
            f"run {candidate.run_id}"
        )
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
