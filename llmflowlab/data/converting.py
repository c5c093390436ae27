"""Files of rows written in another format, every text exactly as it was."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmflowlab.data.dataset import digest_of_rows, usable_rows
from llmflowlab.data.file_records import DataTable, Record
from llmflowlab.data.layout import layout_of
from llmflowlab.data.tables import read_table
from llmflowlab.errors import InputError
from llmflowlab.files import write_atomically
from llmflowlab.text.sanitize import is_formula

__all__ = ["FORMATS", "formula_cells", "refuse_taken", "spread_columns", "write_table"]

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
"""Endings of the files that can be written."""

_FLAT = frozenset({".csv", ".tsv"})


def write_table(table: DataTable, path: Path, *, force: bool = False, shared: bool = True) -> None:
    """Write rows to a file in the format that its ending names.

    The bytes are read back and compared before they take their place: what a format cannot hold is an
    error, never a silent change, and questions with their accepted answers must be the same by the
    dataset's digest. Nothing is escaped for spreadsheets, for this is data. Several accepted answers
    become columns of their own in CSV (`answer`, `answer_2`), and lists in Parquet.

    Args:
        table: What to write. A missing cell is an empty one in formats that know no other.
        path: Where to.
        force: Replace a file that is there.
        shared: Whether others may read a new one.

    Raises:
        InputError: The ending is unknown, the file exists, cannot be written, or cannot hold a text.
    """
    path = Path(path).expanduser()
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise InputError(
            f"{path} ends in {kind or 'nothing'!r}; write to one of {', '.join(FORMATS)}."
        )
    refuse_taken([path], force=force)
    before = _digest(table)
    if kind in _FLAT:
        table = _spread(table, path)
    try:
        data = _encoded(table, kind)
    except UnicodeEncodeError as exc:
        raise InputError(
            "A text holds half a character (a lone surrogate), which no file can hold; mend it first."
        ) from exc
    except csv.Error as exc:
        # Python 3.10's csv cannot write a NUL; later ones can.
        raise InputError(
            f"A text holds a NUL, which {kind} cannot hold on this Python; write .jsonl or .parquet."
        ) from exc
    _verify(data, kind, table, path, before)
    try:
        write_atomically(path, data, shared=shared)
    except OSError as exc:
        raise InputError(
            f"{path} cannot be written ({exc.strerror or exc}); make room there, or its folder writable, or "
            "name another file."
        ) from exc


def refuse_taken(paths: Sequence[Path], *, force: bool) -> None:
    """Refuse to replace files unless that is wanted.

    Raises:
        InputError: One is there already, or is a folder.
    """
    for path in paths:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file in it.")
        if path.exists() and not force:
            raise InputError(f"{path} exists already; choose another name or give --force.")


def formula_cells(table: DataTable) -> int:
    """Count the cells that a spreadsheet would take for a formula."""
    return sum(
        is_formula(cell) and not _is_number(cell)
        for record in table.records
        for cell in record.cells.values()
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _encoded(table: DataTable, kind: str) -> bytes:
    rows = [[record.cells.get(column, "") for column in table.columns] for record in table.records]
    if kind == ".parquet":
        return _parquet(table)
    if kind in _FLAT:
        text = io.StringIO(newline="")
        writer = csv.writer(
            text,
            delimiter="\t" if kind == ".tsv" else ",",
            quoting=csv.QUOTE_ALL,
            lineterminator="\n",
        )
        writer.writerow(table.columns)
        writer.writerows(rows)
        return text.getvalue().encode("utf-8")
    objects = [_object(table, record) for record in table.records]
    if kind == ".json":
        return (json.dumps(objects, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    return "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects).encode("utf-8")


def _object(table: DataTable, record: Record) -> dict[str, Any]:
    return {
        column: record.values.get(column, record.cells.get(column, "")) for column in table.columns
    }


def _parquet(table: DataTable) -> bytes:
    # Imported here: only this format needs it.
    import pyarrow as pa
    from pyarrow import parquet

    listed = _text_lists(table)
    arrays = []
    for column in table.columns:
        cells = [record.cells.get(column, "") for record in table.records]
        if column in listed:
            lists = [
                r.values.get(column, [cell] if cell else [])
                for r, cell in zip(table.records, cells, strict=True)
            ]
            arrays.append(pa.array(lists, type=pa.list_(pa.string())))
        else:
            arrays.append(pa.array(cells, type=pa.string()))
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(arrays, names=list(table.columns)), sink)
    return sink.getvalue()


def _text_lists(table: DataTable) -> set[str]:
    """Return the columns whose every list or object is a list of texts."""
    found = {column for record in table.records for column in record.values}
    return found - {
        column
        for record in table.records
        for column, value in record.values.items()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value)
    }


def spread_columns(table: DataTable, path: Path) -> dict[str, list[str]]:
    """Return, by its column, the columns among which several accepted answers are spread in a file."""
    if Path(path).suffix.lower() not in _FLAT:
        return {}
    try:
        answer = layout_of(table, {}, "").columns.answer
    except InputError:
        return {}
    if answer is None or answer not in _text_lists(table):
        return {}
    most = max(len(record.values.get(answer, ())) for record in table.records)
    return {answer: [answer, *(f"{answer}_{i}" for i in range(2, most + 1))]} if most > 1 else {}


def _spread(table: DataTable, path: Path) -> DataTable:
    """Return a table in which several accepted answers stand in columns of their own.

    Raises:
        InputError: A column of that name is there already.
    """
    columns = table.columns
    records = list(table.records)
    for answer, into in spread_columns(table, path).items():
        if taken := next((name for name in into[1:] if name in columns), None):
            raise InputError(
                f"The column {answer!r} holds several answers, and {taken!r} is there too; choose "
                ".jsonl."
            )
        for i, record in enumerate(records):
            texts = list(record.values.get(answer, [record.cells.get(answer, "")]))
            texts += [""] * (len(into) - len(texts))
            values = {name: value for name, value in record.values.items() if name != answer}
            cells = {**record.cells, **dict(zip(into, texts, strict=True))}
            records[i] = Record(record.line, cells, values)
        place = columns.index(answer)
        columns = (*columns[:place], *into, *columns[place + 1 :])
    return DataTable(columns, tuple(records), table.warnings)


def _digest(table: DataTable) -> str | None:
    """Return the digest of what a table asks and expects; None where it is no benchmark."""
    try:
        rows, bad = usable_rows(table, layout_of(table, {}, ""))
    except InputError:
        return None
    return None if bad else digest_of_rows(rows)


def _verify(data: bytes, kind: str, table: DataTable, path: Path, before: str | None) -> None:
    handle, name = tempfile.mkstemp(suffix=kind)
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        try:
            back = read_table(written)
        except InputError as exc:
            reason = exc.message.replace(written.name, path.name)
            raise InputError(f"{kind} cannot hold this file as it is: {reason}") from exc
    finally:
        written.unlink(missing_ok=True)
    if back.columns != table.columns and table.records:
        raise InputError(f"{kind} cannot hold the column names as they are; rename them first.")
    if len(back.records) != len(table.records):
        lost = len(table.records) - len(back.records)
        raise InputError(f"{kind} cannot hold {lost} empty rows; remove them first.")
    for number, (old, new) in enumerate(zip(table.records, back.records, strict=True), start=1):
        for column in table.columns:
            if old.cells.get(column, "") != new.cells.get(column, ""):
                raise InputError(
                    f"{kind} cannot hold row {number}, column {column!r} as it is; choose .jsonl."
                )
    if before is not None and _digest(back) != before:
        raise InputError(
            f"{kind} cannot hold this file's questions and accepted answers as they are; choose .jsonl."
        )
