"""`evaluate --export-sheet` and `--import-sheet`: answers judged by people in a spreadsheet."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import evaluation_behind, stored_result
from llmflowlab.files import write_atomically
from llmflowlab.people.human import (
    Agreement,
    HumanMean,
    agreement,
    human_means,
    keep_verdicts,
    kept_verdicts,
)
from llmflowlab.people.sheets import read_sheet, sheet_text
from llmflowlab.tracking.feedback import HumanFeedback, write_feedback

__all__ = ["add_sheet_arguments", "run_sheet", "wants_sheet"]


def add_sheet_arguments(parser: argparse.ArgumentParser) -> None:
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
    path = app.settings.state_dir / "evaluations.db"
    if not path.exists():
        raise InputError(f"No evaluation was made in {app.settings.home} yet.")
    with closing(Ledger(path)) as ledger:
        if arguments.export_sheet is not None:
            return _export(app, arguments, ledger)
        return _import(app, arguments, ledger)


def _export(app: App, arguments: argparse.Namespace, ledger: Ledger) -> int:
    named = arguments.export_sheet
    evaluation = evaluation_behind(ledger, named)
    runs = ledger.evaluation(evaluation).runs.get("candidates") or []
    text, count = sheet_text(
        stored_result(ledger, evaluation),
        candidate=runs.index(named) if named in runs else None,
        n=arguments.sample,
        seed=arguments.seed,
        stratify=arguments.stratify,
        named=arguments.show_models,
    )
    file = (arguments.output or Path(f"sheet-{evaluation}.csv")).expanduser()
    if file.is_dir():
        file = file / f"sheet-{evaluation}.csv"
    try:
        # With a byte order mark, without which Excel misreads every accent.
        write_atomically(file, text.encode("utf-8-sig", errors="replace"))
    except OSError as exc:
        raise InputError(f"{file} cannot be written ({exc.strerror}).") from exc
    if arguments.json:
        _print_json({"evaluation_id": evaluation, "file": str(file), "answers": count})
    else:
        app.screen.say(f"{plural(count, 'answer')} to judge: {file}")
        app.screen.say(
            "Fill the column verdict with yes or no (or 1 to 5), comment as you like, save as CSV, "
            f"then: evaluate --import-sheet {file} --judge-name NAME"
        )
    return ExitCode.DONE


def _import(app: App, arguments: argparse.Namespace, ledger: Ledger) -> int:
    person = arguments.judge_name.strip()
    sheet = read_sheet(arguments.import_sheet, ledger)
    if not sheet.verdicts:
        raise InputError(f"{arguments.import_sheet} has no verdict; fill its column verdict first.")
    result = stored_result(ledger, sheet.evaluation)
    keep_verdicts(ledger, sheet.evaluation, person, sheet.verdicts)
    # Imported here: everything up to this line is checked without MLflow.
    from llmflowlab.tracking.store import open_store

    given = [
        HumanFeedback(
            trace_id=result.plan.trace_id(verdict.cell),
            value=int(verdict.said) if verdict.said.isdigit() else verdict.said,
            comment=verdict.comment,
        )
        for verdict in sheet.verdicts
    ]
    counts = write_feedback(open_store(app.settings), person, given)
    verdicts = kept_verdicts(ledger, sheet.evaluation)
    means, found = human_means(result, verdicts), agreement(result, verdicts)
    if arguments.json:
        _print_json(
            {
                "evaluation_id": sheet.evaluation,
                "judge_name": person,
                "verdicts": len(sheet.verdicts),
                **counts,
                "not_judged": sheet.empty,
                "means": [mean.to_json() for mean in means],
                "agreement": [entry.to_json() for entry in found],
            }
        )
        return ExitCode.DONE
    app.screen.say(
        f"{plural(len(sheet.verdicts), 'verdict')} by {person}: {counts['new']} new, "
        f"{counts['changed']} changed, {counts['as_before']} as before; {sheet.empty} not judged."
    )
    app.screen.table(_means_table(means))
    app.screen.table(_agreement_table(found))
    return ExitCode.DONE


def _means_table(means: list[HumanMean]) -> Table:
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


def _agreement_table(found: list[Agreement]) -> Table:
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


def _print_json(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
