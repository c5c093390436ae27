"""`main.py report`: an evaluation's files, written again."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode
from llmflowlab.lab.report import Report, write_report
from llmflowlab.lab.upkeep import evaluation_named
from llmflowlab.program import program_name

__all__ = ["declare_options", "run_command"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument("evaluation", metavar="RUN_OR_EVALUATION")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder; default: its own")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Write the files; returns the exit code.

    Raises:
        InputError: Nothing is known of the evaluation.
        TrackingError: A file cannot be written.
    """
    evaluation = evaluation_named(app.lab, arguments.evaluation)
    with app.screen.progress(f"report {evaluation}"):
        report = write_report(app.lab, evaluation, arguments.output)
    give(arguments.json, lambda: _document(report), lambda: _show(app, report))
    return ExitCode.DONE


def _document(report: Report) -> object:
    names = {file.name.replace(".", "_"): str(file) for file in report.files}
    return {
        "evaluation_id": report.evaluation_id,
        "files": {**names, "plots": [str(plot) for plot in report.plots]},
    }


def _show(app: App, report: Report) -> None:
    for file in report.files:
        app.screen.say(str(file))
    app.screen.say(f"{report.plots_folder} ({plural(len(report.plots), 'plot')})")
    if not report.whole:
        app.screen.note(
            "Not every row was asked or scored; the report covers those that were. "
            f"Go on with: {program_name()} evaluate --resume {report.evaluation_id}"
        )
