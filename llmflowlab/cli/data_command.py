"""`main.py data`: check, sample, split, convert and register benchmark files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.cli.context import App
from llmflowlab.cli.data_options import declare_options
from llmflowlab.cli.formatting import plural, shortened
from llmflowlab.cli.options import read_mapping
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Table, Tone
from llmflowlab.errors import ExitCode, InputError

if TYPE_CHECKING:
    import argparse

    from llmflowlab.data.findings import DataReport, Finding
    from llmflowlab.data.tables import DataTable
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
    from llmflowlab.data.doctor import examine

    past = None
    if arguments.runs:
        past = _past(app)
    report = examine(
        Path(arguments.file),
        mapping=read_mapping(arguments.map),
        detect=lambda text: app.lab.detector.detect(text).code,
        past=past,
        skip_bad=arguments.skip_bad,
    )
    give(arguments.json, report.to_json, lambda: _show(app, report))
    counts = report.counts
    worse = counts["error"] + counts["warning"]
    if arguments.strict and worse:
        app.screen.warn(f"Gate not met: {_counted(report)}.")
        return ExitCode.GATE_NOT_MET
    return ExitCode.DONE


def _past(app: App) -> Any:
    from llmflowlab.history.past_answers import past_rows

    if not app.lab.has_evaluations:
        return {}
    with closing(app.lab.ledger()) as ledger:
        return past_rows(ledger)


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
    from llmflowlab.data.converting import write_table
    from llmflowlab.data.splitting import sample_table

    table, file = _read(app, arguments.file)
    drawn = sample_table(
        table, arguments.n, seed=arguments.seed, by=arguments.by, file=Path(file).name
    )
    write_table(drawn, Path(arguments.output), force=arguments.force)
    total = plural(len(table.records), "row")
    app.screen.say(f"{arguments.output}: {len(drawn.records):,} of {total}")
    return ExitCode.DONE


def _split(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.data.converting import FORMATS, refuse_taken, write_table
    from llmflowlab.data.splitting import parse_parts, split_table

    parts = parse_parts(arguments.into)
    table, file = _read(app, arguments.file)
    suffix = Path(file).suffix.lower()
    ending = suffix if suffix in FORMATS else ".csv"
    folder = Path(arguments.output).expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder with -o.")
    files = {name: folder / f"{name}{ending}" for name in parts}
    refuse_taken(list(files.values()), force=arguments.force)
    divided = split_table(
        table,
        parts,
        seed=arguments.seed,
        by=arguments.by,
        mapping=read_mapping(arguments.map),
        file=Path(file).name,
    )
    for name, part in divided.items():
        write_table(part, files[name], force=arguments.force)
        share = len(part.records) / len(table.records)
        app.screen.say(f"{files[name]}: {plural(len(part.records), 'row')} ({share:.1%})")
    return ExitCode.DONE


def _convert(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.data.converting import formula_cells, spread_columns, write_table

    table, _ = _read(app, arguments.file)
    target = Path(arguments.target)
    write_table(table, target, force=arguments.force)
    app.screen.say(f"{target}: {plural(len(table.records), 'row')}, every text as it was")
    for column, into in spread_columns(table, target).items():
        app.screen.note(f"Several answers of {column!r} stand in the columns {', '.join(into)}.")
    formulas = formula_cells(table) if target.suffix.lower() in {".csv", ".tsv"} else 0
    if formulas:
        app.screen.note(
            f"Kept as they are: {plural(formulas, 'cell')} that a spreadsheet takes for a formula "
            "(beginning with =, +, - or @)."
        )
    return ExitCode.DONE


def _register(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.data.dataset import load_dataset
    from llmflowlab.tracking.datasets import register_dataset

    dataset = load_dataset(Path(arguments.file), mapping=read_mapping(arguments.map))
    for warning in dataset.warnings:
        app.screen.note(warning)
    entry, new = register_dataset(app.settings, dataset, name=arguments.name)
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
        app.screen.note("No dataset is registered; `data register FILE` registers one.")
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


def _read(app: App, file: str) -> tuple[DataTable, str]:
    from llmflowlab.data.tables import read_table

    table = read_table(Path(file).expanduser())
    for warning in table.warnings:
        app.screen.note(warning)
    if not table.records:
        raise InputError(f"{file} has no rows.")
    return table, file
