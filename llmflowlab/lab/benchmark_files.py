"""What is done with benchmark files: check, sample, split, convert and register them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.data.converting import (
    FORMATS,
    formula_cells,
    refuse_taken,
    spread_columns,
    write_table,
)
from llmflowlab.data.dataset import load_dataset
from llmflowlab.data.findings import DataReport
from llmflowlab.data.splitting import parse_parts, sample_table, split_table
from llmflowlab.data.tables import DataTable, read_table
from llmflowlab.errors import InputError
from llmflowlab.lab.lab import Lab
from llmflowlab.tracking.datasets import RegisteredDataset, register_dataset

__all__ = [
    "Converted",
    "Sampled",
    "check_file",
    "convert_file",
    "register_file",
    "sample_file",
    "split_file",
]

OnNotice = Callable[[str], None]
"""Hears what was found while a file was read, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A file of some rows of another."""

    file: Path
    rows: int
    of: int
    """Rows of the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A file in another format."""

    file: Path
    rows: int
    spread: Mapping[str, Sequence[str]]
    """Columns of several answers, with the columns in which these stand now."""
    formulas: int
    """Cells that a spreadsheet takes for a formula."""


def check_file(
    lab: Lab, file: Path, *, mapping: Mapping[str, str], with_past: bool, skip_bad: bool
) -> DataReport:
    """Look for everything that makes a file's figures worth less.

    Args:
        lab: The parts.
        file: The benchmark.
        mapping: What columns are, where their names do not say so.
        with_past: Whether what earlier evaluations answered counts too.
        skip_bad: Whether bad rows are left out.

    Raises:
        InputError: The file cannot be used.
    """
    # Imported here: only a check needs what finds near duplicates.
    from llmflowlab.data.check import examine
    from llmflowlab.history.past_answers import past_rows

    past = None
    if with_past:
        past = {}
        if lab.has_evaluations:
            with closing(lab.ledger()) as ledger:
                past = past_rows(ledger)
    return examine(
        file,
        mapping=mapping,
        detect=lambda text: lab.detector.detect(text).code,
        past=past,
        skip_bad=skip_bad,
    )


def sample_file(
    file: Path,
    target: Path,
    rows: int,
    *,
    seed: int,
    by: str | None,
    force: bool,
    on_notice: OnNotice,
) -> Sampled:
    """Draw rows of a file into another, from every value of a column alike where one is named.

    Raises:
        InputError: A file or column cannot be used; nothing was written.
    """
    table = _read(file, on_notice)
    drawn = sample_table(table, rows, seed=seed, by=by, file=file.name)
    write_table(drawn, target, force=force)
    return Sampled(file=target, rows=len(drawn.records), of=len(table.records))


def split_file(
    file: Path,
    folder: Path,
    into: str,
    *,
    seed: int,
    by: str | None,
    mapping: Mapping[str, str],
    force: bool,
    on_notice: OnNotice,
) -> list[Sampled]:
    """Divide a file into parts, as in `train=80,test=20`, each a file of the same format in a folder.

    Raises:
        InputError: A file, column or part cannot be used; nothing was written.
    """
    parts = parse_parts(into)
    table = _read(file, on_notice)
    suffix = file.suffix.lower()
    ending = suffix if suffix in FORMATS else ".csv"
    folder = folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder with -o.")
    files = {name: folder / f"{name}{ending}" for name in parts}
    refuse_taken(list(files.values()), force=force)
    divided = split_table(table, parts, seed=seed, by=by, mapping=mapping, file=file.name)
    for name, part in divided.items():
        write_table(part, files[name], force=force)
    return [
        Sampled(file=files[name], rows=len(part.records), of=len(table.records))
        for name, part in divided.items()
    ]


def convert_file(file: Path, target: Path, *, force: bool, on_notice: OnNotice) -> Converted:
    """Write a file in the format that the target's ending names.

    Raises:
        InputError: A file cannot be used, or the format would lose something; nothing was written.
    """
    table = _read(file, on_notice)
    write_table(table, target, force=force)
    return Converted(
        file=target,
        rows=len(table.records),
        spread=spread_columns(table, target),
        formulas=formula_cells(table) if target.suffix.lower() in {".csv", ".tsv"} else 0,
    )


def register_file(
    lab: Lab, file: Path, *, mapping: Mapping[str, str], name: str | None, on_notice: OnNotice
) -> tuple[RegisteredDataset, bool]:
    """Register a benchmark in MLflow; returns it, and whether it was not there before.

    Raises:
        InputError: The file cannot be used.
        TrackingError: MLflow failed.
    """
    dataset = load_dataset(file, mapping=mapping)
    for warning in dataset.warnings:
        on_notice(warning)
    return register_dataset(lab.settings, dataset, name=name)


def _read(file: Path, on_notice: OnNotice) -> DataTable:
    table = read_table(file.expanduser())
    for warning in table.warnings:
        on_notice(warning)
    if not table.records:
        raise InputError(f"{file} has no rows.")
    return table
