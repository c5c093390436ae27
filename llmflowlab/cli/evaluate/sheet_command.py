"""`evaluate --export-sheet` and `--import-sheet`: answers judged by people in a spreadsheet."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.review_sheets import (
    ExportedSheet,
    HumanAgreement,
    HumanMean,
    ImportedSheet,
    SheetRequest,
    export_sheet,
    import_sheet,
)
from llmflowlab.program import program_name

__all__ = ["add_sheet_options", "run_sheet", "wants_sheet"]


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
        give(arguments.json, written.to_json, lambda: _show_written(app, written))
    else:
        read = import_sheet(app.lab, arguments.import_sheet, arguments.judge_name.strip())
        give(arguments.json, read.to_json, lambda: _show_read(app, read))
    return ExitCode.DONE


def _show_written(app: App, sheet: ExportedSheet) -> None:
    app.screen.say(f"{plural(sheet.answers, 'answer')} to judge: {sheet.file}")
    app.screen.say(
        "Fill the column verdict with yes or no (or 1 to 5), comment as you like, save as CSV, "
        f"then: {program_name()} evaluate --import-sheet {sheet.file} --judge-name NAME"
    )


def _show_read(app: App, sheet: ImportedSheet) -> None:
    app.screen.say(
        f"{plural(sheet.verdicts, 'verdict')} by {sheet.person}: {sheet.new} new, "
        f"{sheet.changed} changed, {sheet.as_before} as before; {sheet.not_judged} not judged."
    )
    if sheet.waiting is not None:
        app.screen.warn(sheet.waiting)
    app.screen.table(_means_table(sheet.means))
    app.screen.table(_agreement_table(sheet.agreement))


def _means_table(means: Sequence[HumanMean]) -> Table:
    return Table(
        title="Judged by people",
        columns=("who", "model", "mean", "95 % interval", "n"),
        rows=tuple(
            (
                mean.person,
                mean.candidate,
                None if mean.mean is None else f"{mean.mean:.1%}",
                None
                if mean.interval is None
                else f"{mean.interval.low:.1%} to {mean.interval.high:.1%}",
                str(mean.n),
            )
            for mean in means
        ),
        numbers=frozenset({2, 3, 4}),
    )


def _agreement_table(found: Sequence[HumanAgreement]) -> Table:
    return Table(
        title="Agreement",
        columns=("who", "with", "same", "kappa", "95 % interval", "n"),
        rows=tuple(
            (
                entry.person,
                entry.other,
                None if entry.same is None else f"{entry.same:.0%}",
                None if entry.kappa is None else f"{entry.kappa:.2f}",
                None
                if entry.interval is None
                else f"{entry.interval.low:.2f} to {entry.interval.high:.2f}",
                str(entry.n),
            )
            for entry in found
        ),
        numbers=frozenset({2, 3, 4, 5}),
        notes=("Cohen's kappa: 1 is full agreement, 0 what chance would bring.",),
    )
