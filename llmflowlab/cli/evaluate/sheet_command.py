"""`evaluate --export-sheet` and `--import-sheet`: answers judged by people in a spreadsheet."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode, InputError

__all__ = ["add_sheet_options", "run_sheet", "wants_sheet"]

_ASKED = "the column verdict with yes or no (or 1 to 5)"


def add_sheet_options(parser: argparse._ActionsContainer) -> None:
    """Declare the options of sheets."""
    add = parser.add_argument
    add(
        "--export-sheet",
        metavar="RUN_OR_ID",
        help="write its answers as a spreadsheet for people to judge (--output FILE, --sample N)",
    )
    add("--show-models", action="store_true", help="with --export-sheet: say who answered")
    add("--import-sheet", type=Path, metavar="FILE", help="record the verdicts of a judged sheet")
    add("--judge-name", metavar="NAME", help="with --import-sheet: who judged")


def wants_sheet(arguments: argparse.Namespace) -> bool:
    """Return whether the command is about a sheet; checks that its options fit together.

    Raises:
        InputError: They do not.
    """
    exporting, importing = arguments.export_sheet is not None, arguments.import_sheet is not None
    if exporting and importing:
        raise InputError("--export-sheet and --import-sheet are two commands; give one of them.")
    if arguments.show_models and not exporting:
        raise InputError("--show-models belongs to --export-sheet.")
    if arguments.judge_name is not None and not importing:
        raise InputError("--judge-name belongs to --import-sheet; --judge names a judging model.")
    if not exporting and not importing:
        return False
    option = "--export-sheet" if exporting else "--import-sheet"
    if arguments.model or arguments.resume is not None:
        raise InputError(f"{option} asks no model; leave --model and --resume out.")
    if importing and not (arguments.judge_name or "").strip():
        raise InputError("Say who judged: --import-sheet FILE --judge-name NAME.")
    return True


def run_sheet(app: App, arguments: argparse.Namespace) -> int:
    """Write or read a sheet; returns the exit code.

    Raises:
        LabError: It cannot be done; nothing was imported in that case.
    """
    # Imported here: other evaluations must not wait for what only sheets need.
    from llmflowlab.cli.review.show_review import show_exported, show_imported
    from llmflowlab.lab.review_sheets import SheetRequest, export_sheet, import_sheet

    if arguments.export_sheet is not None:
        written = export_sheet(
            app.lab,
            SheetRequest(
                name=arguments.export_sheet,
                output=arguments.output,
                sample=arguments.sample,
                seed=arguments.seed,
                stratify=arguments.stratify,
                show_models=arguments.show_models,
            ),
        )
        give(
            arguments.json,
            written.to_json,
            lambda: show_exported(
                app.screen,
                written,
                _ASKED,
                f"evaluate --import-sheet {written.file} --judge-name NAME",
            ),
        )
    else:
        read = import_sheet(app.lab, arguments.import_sheet, arguments.judge_name.strip())
        for sentence in read.warnings:
            app.screen.warn(sentence)
        give(arguments.json, read.to_json, lambda: show_imported(app.screen, read))
    return ExitCode.DONE
