"""Benchmark files as rows of questions and expected answers.

A file is taken whole or refused with its name, line and reason, before any call is made. Texts stay
what they are in the file: "001", "NA" and "1.0" are never turned into numbers or gaps.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmflowlab.data.file_records import BadRow, DataTable, refusal
from llmflowlab.data.layout import Layout, layout_of
from llmflowlab.data.remarks import left_out, remarks_on
from llmflowlab.data.rows import Row, read_row
from llmflowlab.data.stored_rows import kept_rows
from llmflowlab.data.tables import read_table
from llmflowlab.errors import DatasetError, InputError

__all__ = [
    "Dataset",
    "Row",
    "digest_of_rows",
    "left_out",
    "load_dataset",
    "sample",
    "subset",
    "usable_rows",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A benchmark: rows in the file's order and what they came from."""

    name: str
    rows: Sequence[Row]
    """In memory or in a file; see `stored_rows.py`."""
    digest: str
    """SHA-256, hexadecimal, over what the rows ask and expect, in order; the same whatever the
    file's format, encoding and column names."""
    path: Path
    columns: tuple[str, ...]
    """The file's columns, in its order."""
    warnings: tuple[str, ...] = ()
    """Sentences for the person, such as a guessed encoding."""
    reading: str = ""
    """Which column is what and which are unused, as one sentence."""
    answered: str | None = None
    """The column that looks like answers already given."""

    @property
    def described(self) -> str:
        """What to say of the columns before anything is paid."""
        return f"columns: {self.reading}" if self.reading else ""

    @property
    def given(self) -> tuple[str, ...]:
        """The columns whose answers are to be scored as they are."""
        return tuple(self.rows[0].given_answers) if self.rows else ()


def load_dataset(
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    name: str | None = None,
    skip_bad: bool = False,
    answers: Sequence[str] = (),
) -> Dataset:
    """Load a benchmark from CSV, JSON Lines, JSON, Parquet or an Excel workbook.

    Columns are recognised by their usual names, without regard to case; see
    `llmflowlab.data.names`. Well-known shapes of answers, options and conversations are understood;
    see `llmflowlab.data.shapes` and `llmflowlab.data.choices`.

    Args:
        path: The file; its ending says what it is (`.csv .tsv .txt`, `.jsonl .ndjson`, `.json`,
            `.parquet`, `.xlsx`).
        mapping: Column of the file for each role that its usual names do not find, as in
            `{"question": "Frage"}`.
        name: The dataset's name; the file's name without ending by default.
        skip_bad: Leave out rows that cannot be used, with a warning that names them.
        answers: Columns of answers that are to be scored as they are.

    Raises:
        InputError: The file is missing, unreadable or of an unknown kind, or `mapping` or `answers` is
            wrong.
        DatasetError: A row cannot be used, or no column or more than one can be the question.
    """
    path = Path(path).expanduser()
    file = path.name
    table = read_table(path, keep_bad=True)
    if not table.columns and table.bad:
        raise refusal(table.bad, file)
    layout = layout_of(table, mapping or {}, file, answers)
    rows, bad = usable_rows(table, layout)
    if bad and not skip_bad:
        raise refusal(bad, file)
    if not rows:
        raise DatasetError("has no rows; add at least one question.", file=file)
    _refuse_repeated_ids(rows, layout.columns.id, file)
    return Dataset(
        name=name or path.stem,
        rows=kept_rows(rows),
        digest=digest_of_rows(rows),
        path=path,
        columns=table.columns,
        warnings=(
            *table.warnings,
            *layout.remarks,
            *left_out(bad),
            *remarks_on(rows, layout),
        ),
        reading=layout.sentence(),
        answered=layout.columns.given,
    )


def usable_rows(
    table: DataTable, layout: Layout, *, gapless: bool = True
) -> tuple[tuple[Row, ...], tuple[BadRow, ...]]:
    """Return the rows of a file that can be asked, and those that cannot, each with its reason.

    Args:
        table: The file, its bad rows kept.
        layout: How it is read.
        gapless: Count `Row.index` over the usable rows; else over all, as people count.
    """
    rows: list[Row] = []
    bad = list(table.bad)
    unread = {one.row for one in bad}
    number = 0
    for record in table.records:
        number += 1
        while number in unread:
            number += 1
        try:
            row = read_row(number - 1, record, layout)
        except InputError as exc:
            bad.append(BadRow(record.line, number, exc.message))
        else:
            rows.append(replace(row, index=len(rows)) if gapless else row)
    return tuple(rows), tuple(sorted(bad, key=lambda one: one.row))


def sample(dataset: Dataset, n: int, seed: int) -> Dataset:
    """Draw a simple random sample without replacement, kept in the file's order.

    Rows keep their line, id and source; `index` and the digest are those of the sample.

    Args:
        dataset: What to draw from.
        n: How many rows; all of them where there are no more.
        seed: The same seed draws the same rows from the same number of rows.

    Raises:
        InputError: `n` is below 1.
    """
    if n < 1:
        raise InputError(f"A sample of {n} rows is none; ask for at least 1.")
    if n >= len(dataset.rows):
        return dataset
    # Reproducible on purpose: nothing here needs to be unguessable.
    drawn = sorted(random.Random(seed).sample(range(len(dataset.rows)), n))  # noqa: S311
    return subset(dataset, drawn)


def subset(dataset: Dataset, places: Sequence[int]) -> Dataset:
    """Return a dataset of the rows at these places; `index` and the digest are its own."""
    rows = kept_rows(replace(dataset.rows[i], index=index) for index, i in enumerate(places))
    return replace(dataset, rows=rows, digest=digest_of_rows(rows))


def _refuse_repeated_ids(rows: tuple[Row, ...], column: str | None, file: str) -> None:
    if column is None:
        return
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.id, row)
        if earlier is not row:
            where = f"line {earlier.line}" if earlier.line else f"row {earlier.index + 1}"
            reason = f"the id {row.id!r} stands already in {where}; ids must differ."
            raise DatasetError(reason, file=file, line=row.line)


def digest_of_rows(rows: Iterable[Row]) -> str:
    """Return `Dataset.digest` of rows."""
    total = hashlib.sha256()
    for row in rows:
        # What decides the outcome of an evaluation; ids, categories and extra columns do not.
        parts: list[Any] = [
            row.question,
            row.expected,
            row.context,
            list(row.guidelines),
            row.language,
        ]
        if row.conversation is not None:
            parts.append(row.conversation.to_json())
        if row.alternatives:
            # Only then, so that the digests of files without them stay what they were.
            parts.append({"alternatives": row.alternatives})
        if row.facts:
            parts.append({"facts": row.facts})
        total.update(json.dumps(parts, ensure_ascii=False).encode("utf-8") + b"\n")
    return total.hexdigest()
