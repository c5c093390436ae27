"""`main.py data`: check, sample, split, convert and register benchmark files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.cli.context import App
from llmflowlab.cli.data_options import declare_options
from llmflowlab.cli.formatting import plural, shortened
from llmflowlab.cli.options import read_mapping
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Table, Tone
from llmflowlab.errors import ExitCode
from llmflowlab.lab.benchmark_files import (
    Sampled,
    check_file,
    convert_file,
    register_file,
    sample_file,
    split_file,
)
from llmflowlab.program import program_name

if TYPE_CHECKING:
    import argparse

    from llmflowlab.data.findings import DataReport, Finding
    from llmflowlab.tracking.datasets import RegisteredDataset

__all__ = ["declare_options", "run_command"]

_SHOWN = 3
"""Findings of a kind that are shown; --json has them all."""
_WIDTH = 78
_TONES: Mapping[str, Tone] = {"error": "warning", "warning": "warning", "note": "quiet"}


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry out one of the data commands; return the exit code.

    Raises:
        InputError: A file, column or option cannot be used; nothing was written.
        TrackingError: MLflow failed.
    """
    action: Callable[[App, argparse.Namespace], int] = {
        "check": _check,
        "sample": _sample,
        "split": _split,
        "convert": _convert,
        "register": _register,
        "list": _list,
    }[arguments.action]
    return action(app, arguments)


def _check(app: App, arguments: argparse.Namespace) -> int:
    report = check_file(
        app.lab,
        Path(arguments.file),
        mapping=read_mapping(arguments.map),
        with_past=arguments.runs,
        skip_bad=arguments.skip_bad,
    )
    give(arguments.json, report.to_json, lambda: _show(app, report))
    counts = report.counts
    if arguments.strict and counts["error"] + counts["warning"]:
        app.screen.warn(f"Gate not met: {_counted(report)}.")
        return ExitCode.GATE_NOT_MET
    return ExitCode.DONE


def _show(app: App, report: DataReport) -> None:
    from llmflowlab.data.findings import ADVICE

    say = app.screen.say
    say(f"{report.file}: {plural(report.rows, 'row')}", tone="heading")
    say(f"columns: {report.reading}")
    for remark in report.remarks:
        app.screen.note(remark)
    if not report.findings:
        say("Nothing was found.", tone="good")
        return
    for (severity, kind), group in groupby(
        report.findings, key=lambda finding: (finding.severity, finding.kind)
    ):
        found = list(group)
        title, advice = ADVICE[kind]
        say()
        say(f"{severity}: {title} ({len(found):,})", tone=_TONES[severity])
        for finding in found[:_SHOWN]:
            for line in _lines(finding):
                say(line)
        if len(found) > _SHOWN:
            say(f"  ... and {len(found) - _SHOWN:,} more (--json lists them all)", tone="quiet")
        say(f"  {advice}", tone="quiet")
    say()
    say(f"{_counted(report)}.")


def _lines(finding: Finding) -> list[str]:
    # Rows that were refused for their question have none to show.
    lines = [shortened(finding.message, _WIDTH - 2)]
    for ref in finding.rows[:_SHOWN]:
        where = f"row {ref.row}" if ref.line is None else f"line {ref.line}"
        name = "" if ref.id == str(ref.row) else f" ({ref.id})"
        lines.append("  " + shortened(f"{where}{name}: {ref.text}".rstrip(": "), _WIDTH - 4))
    if len(finding.rows) > _SHOWN:
        lines.append(f"  ... and {plural(len(finding.rows) - _SHOWN, 'row')} more")
    return [f"  {line}" for line in lines]


def _counted(report: DataReport) -> str:
    counts = report.counts
    return ", ".join(
        (
            plural(counts["error"], "error"),
            plural(counts["warning"], "warning"),
            plural(counts["note"], "note"),
        )
    )


def _sample(app: App, arguments: argparse.Namespace) -> int:
    drawn = sample_file(
        Path(arguments.file),
        Path(arguments.output),
        arguments.n,
        seed=arguments.seed,
        by=arguments.by,
        force=arguments.force,
        on_notice=app.screen.note,
    )
    give(
        arguments.json,
        lambda: _part(drawn),
        lambda: app.screen.say(f"{drawn.file}: {drawn.rows:,} of {plural(drawn.of, 'row')}"),
    )
    return ExitCode.DONE


def _split(app: App, arguments: argparse.Namespace) -> int:
    parts = split_file(
        Path(arguments.file),
        Path(arguments.output),
        arguments.into,
        seed=arguments.seed,
        by=arguments.by,
        mapping=read_mapping(arguments.map),
        force=arguments.force,
        on_notice=app.screen.note,
    )

    def words() -> None:
        for part in parts:
            app.screen.say(f"{part.file}: {plural(part.rows, 'row')} ({part.rows / part.of:.1%})")

    give(arguments.json, lambda: {"files": [_part(part) for part in parts]}, words)
    return ExitCode.DONE


def _part(drawn: Sampled) -> dict[str, object]:
    return {"file": str(drawn.file), "rows": drawn.rows, "of": drawn.of}


def _convert(app: App, arguments: argparse.Namespace) -> int:
    made = convert_file(
        Path(arguments.file),
        Path(arguments.target),
        force=arguments.force,
        on_notice=app.screen.note,
    )
    give(
        arguments.json,
        lambda: {
            "file": str(made.file),
            "rows": made.rows,
            "spread": {column: list(into) for column, into in made.spread.items()},
            "formulas": made.formulas,
        },
        lambda: app.screen.say(f"{made.file}: {plural(made.rows, 'row')}, every text as it was"),
    )
    for column, into in made.spread.items():
        app.screen.note(f"Several answers of {column!r} stand in the columns {', '.join(into)}.")
    if made.formulas:
        app.screen.note(
            f"Kept as they are: {plural(made.formulas, 'cell')} that a spreadsheet takes for a formula "
            "(beginning with =, +, - or @)."
        )
    return ExitCode.DONE


def _register(app: App, arguments: argparse.Namespace) -> int:
    entry, new = register_file(
        app.lab,
        Path(arguments.file),
        mapping=read_mapping(arguments.map),
        name=arguments.name,
        on_notice=app.screen.note,
    )
    what = "Registered" if new else "Unchanged since"
    rows = plural(entry.rows, "row")
    give(
        arguments.json,
        lambda: {**entry.to_json(), "new": new},
        lambda: app.screen.say(
            f"{what} {entry.name}@{entry.version}: {rows}, digest {entry.digest[:12]}"
        ),
    )
    return ExitCode.DONE


def _list(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.tracking.datasets import list_registered

    entries = list_registered(app.settings)
    give(
        arguments.json,
        lambda: {"datasets": [entry.to_json() for entry in entries]},
        lambda: _show_registered(app, entries),
    )
    return ExitCode.DONE


def _show_registered(app: App, entries: Sequence[RegisteredDataset]) -> None:
    from datetime import datetime

    if not entries:
        app.screen.note(
            f"No dataset is registered; `{program_name()} data register FILE` registers one."
        )
        return

    def when(milliseconds: int | None) -> str | None:
        if milliseconds is None:
            return None
        return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006

    app.screen.table(
        Table(
            title="Registered datasets",
            columns=("dataset", "rows", "digest", "registered"),
            rows=tuple(
                (f"{e.name}@{e.version}", f"{e.rows:,}", e.digest[:12], when(e.created_ms))
                for e in entries
            ),
            numbers=frozenset({1}),
        )
    )
