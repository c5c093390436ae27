"""`main.py evaluate`: for scripts and CI."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluation_options import add_evaluation_options
from llmflowlab.cli.evaluate.sheet_command import run_sheet, wants_sheet
from llmflowlab.evaluation.run.recorder_client import RecorderProcess

__all__ = ["declare_options", "run_command"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    add_evaluation_options(parser)
    parser.add_argument(
        "--save-config", type=Path, metavar="FILE", help="write these options to an evaluation file"
    )
    parser.set_defaults(parser=parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Evaluate as the command line says; returns the exit code.

    Raises:
        LabError: Something cannot be used or failed.
    """
    if wants_sheet(arguments):
        return run_sheet(app, arguments)
    recorder = None
    if arguments.harness == "fast" and not arguments.dry_run and "list" not in arguments.scorer:
        recorder = RecorderProcess(app.settings, app.settings.ledger_file)
    try:
        # Imported here: meanwhile the recorder's process loads MLflow, which takes it longer still.
        from llmflowlab.cli.evaluate.evaluating import evaluate

        return evaluate(app, arguments, recorder)
    finally:
        if recorder is not None:
            recorder.abandon()
