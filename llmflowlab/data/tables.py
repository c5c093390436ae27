"""Files of rows as text cells: CSV, JSON Lines, JSON arrays, Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.data.csv_text import decode, read_csv
from llmflowlab.errors import DatasetError, InputError

__all__ = ["Record", "Table", "read_table"]

_CSV = frozenset({".csv", ".tsv", ".txt"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_PARQUET = frozenset({".parquet", ".pq"})

# Signatures of files that are often taken for text.
_SIGNATURES = {
    b"PK\x03\x04": "a spreadsheet or zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands in the file."""

    line: int | None
    """Physical line on which it begins, from 1; None where the format has none."""
    cells: dict[str, str]
    lists: frozenset[str] = frozenset()
    """Columns in which the file holds several values; their cells are JSON arrays."""


@dataclass(frozen=True, slots=True)
class Table:
    """A whole file."""

    columns: tuple[str, ...]
    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()


def read_table(path: Path, *, numbers: bool = False) -> Table:
    """Read a file of rows.

    Args:
        path: The file; its ending says what it is.
        numbers: Leave numbers inside JSON objects and arrays numbers. Otherwise they are texts, as
            they were written, so that 1.0 stays "1.0".

    Raises:
        InputError: It is missing, no file, unreadable, or of a kind that is not read.
        DatasetError: Its content is broken.
    """
    kind = path.suffix.lower()
    content = _read(path)
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            raise InputError(f"{path} is {what}; export it as CSV, JSON Lines or Parquet first.")
    if kind in _PARQUET or content.startswith(b"PAR1"):
        return _parquet(path)
    if kind in _JSON_LINES:
        return _json_lines(content, path.name, numbers)
    if kind == ".json":
        return _json(content, path.name, numbers)
    if kind in _CSV:
        columns, rows, warnings = read_csv(content, file=path.name, tab=kind == ".tsv")
        return Table(columns, tuple(Record(line, cells) for line, cells in rows), warnings)
    raise InputError(
        f"{path} ends in {kind or 'nothing'!r}, which is no kind of benchmark file; use "
        ".csv, .tsv, .jsonl, .json or .parquet."
    )


def _read(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"There is no file {path}; check the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a file; name a CSV, JSON Lines, JSON or Parquet file.")
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror or exc}).") from exc


def _json_lines(content: bytes, file: str, numbers: bool) -> Table:
    text, warnings = decode(content, file=file)
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            value = _parse(line, file, number, numbers)
            records.append(_record(value, file, number))
    return _table(records, warnings)


def _json(content: bytes, file: str, numbers: bool) -> Table:
    text, warnings = decode(content, file=file)
    if not text.strip():
        raise DatasetError("is empty; add at least one question.", file=file)
    try:
        value = _loads(text, numbers)
    except json.JSONDecodeError as exc:
        if exc.msg == "Extra data":
            # One object after another: JSON Lines under the other ending.
            return _json_lines(content, file, numbers)
        reason = f"invalid JSON: {exc.msg} (column {exc.colno})."
        raise DatasetError(reason, file=file, line=exc.lineno) from exc
    except RecursionError as exc:
        raise DatasetError("the JSON is nested too deeply.", file=file) from exc
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        # {"rows": [...]} and the like; a lone object without a list is one row.
        value = (
            lists[0] if len(lists) == 1 and all(isinstance(i, dict) for i in lists[0]) else [value]
        )
    if not isinstance(value, list):
        raise DatasetError("must be an array of objects, one for each row.", file=file)
    records = []
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            reason = f"row {index + 1} is {_kind(item)}, not an object with a question."
            raise DatasetError(reason, file=file)
        records.append(_record(item, file, None))
    return _table(records, warnings)


def _parse(line: str, file: str, number: int, numbers: bool) -> dict[str, Any]:
    try:
        value = _loads(line, numbers)
    except json.JSONDecodeError as exc:
        reason = f"invalid JSON: {exc.msg} (column {exc.colno})."
        raise DatasetError(reason, file=file, line=number) from exc
    except RecursionError as exc:
        raise DatasetError("the JSON is nested too deeply.", file=file, line=number) from exc
    if not isinstance(value, dict):
        reason = f"holds {_kind(value)}, not an object with a question."
        raise DatasetError(reason, file=file, line=number)
    return value


class _Literal(str):
    """A JSON number as it was written, so that 1.0 stays "1.0" and 007 is never made."""

    __slots__ = ()


def _loads(text: str, numbers: bool) -> Any:
    if numbers:
        return json.loads(text)
    return json.loads(text, parse_float=_Literal, parse_int=_Literal, parse_constant=_Literal)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, _Literal):
        return "a number"
    return {str: "a text", bool: "true or false", list: "an array"}.get(type(value), "a value")


def _record(value: dict[str, Any], file: str, line: int | None) -> Record:
    # MLflow's own datasets nest: {"inputs": {"question": …}, "expectations": {…}}.
    flat: dict[str, Any] = {}
    for key, item in value.items():
        nested = key in {"inputs", "expectations"} and isinstance(item, dict)
        for name, inner in item.items() if nested else ((key, item),):
            if name in flat:
                raise DatasetError(f"{name!r} stands twice in one row.", file=file, line=line)
            flat[name] = inner
    several = frozenset(
        key for key, item in flat.items() if isinstance(item, list) and len(item) > 1
    )
    cells = {key: _text(_alone(item)) for key, item in flat.items()}
    return Record(line, cells, several)


def _alone(value: Any) -> Any:
    """Return the text of an array that holds nothing else, as many datasets write their answers."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value) and len(value) < 2:
        return "".join(value)
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _table(records: list[Record], warnings: tuple[str, ...]) -> Table:
    columns: dict[str, None] = {}
    for record in records:
        columns.update(dict.fromkeys(record.cells))
    return Table(tuple(columns), tuple(records), warnings)


def _parquet(path: Path) -> Table:
    # Imported here: only this format needs it, and it takes a moment.
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with path.open("rb") as source:
            rows = parquet.read_table(source).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise DatasetError("cannot be read as Parquet; write it again.", file=path.name) from exc
    return _table(list(_parquet_records(rows, path.name)), ())


def _parquet_records(rows: list[dict[str, Any]], file: str) -> Iterator[Record]:
    for index, row in enumerate(rows):
        for key, value in row.items():
            # NaN is how pandas writes a missing text.
            if isinstance(value, float) and value != value:
                row[key] = None
            elif isinstance(value, bytes):
                try:
                    row[key] = value.decode("utf-8")
                except UnicodeDecodeError as exc:
                    reason = f"row {index + 1}: column {key!r} holds bytes that are not UTF-8 text."
                    raise DatasetError(reason, file=file) from exc
        row.pop("__index_level_0__", None)
        yield _record(row, file, None)
