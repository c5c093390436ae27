"""Rows in JSON: one object a line, an array of them, or any layout in which pandas writes a frame."""

from __future__ import annotations

import json
from typing import Any

from llmflowlab.data.decoding import decode
from llmflowlab.data.documents import rows_of
from llmflowlab.data.file_records import BadRow, DataTable, Record, make_record, make_table
from llmflowlab.data.values import DoubledKeyError, kind_of, loads
from llmflowlab.errors import DatasetError

__all__ = ["read_json", "read_json_lines"]

_EMPTY = "is empty; add at least one question."
_DEEP = "the JSON is nested too deeply."


def read_json_lines(content: bytes, file: str) -> DataTable:
    """Read one object a line; a whole document under the ending of lines is read as what it is.

    Raises:
        DatasetError: The text is in no encoding. A line that cannot be used is a bad row.
    """
    text, warnings = decode(content, file=file)
    if not text.strip():
        raise DatasetError(_EMPTY, file=file)
    document = _document(text)
    # A lone object is a document only if it holds rows; as a row it keeps its line.
    several = "\n" in text.strip()
    if document is not None and (several or rows_of(document, file) != [document]):
        return _table(document, file, warnings)
    return _lines(text, file, warnings)


def read_json(content: bytes, file: str) -> DataTable:
    """Read a document: an array of objects, or an object that holds rows.

    Raises:
        DatasetError: It is no JSON, or holds no rows.
    """
    text, warnings = decode(content, file=file)
    if not text.strip():
        raise DatasetError(_EMPTY, file=file)
    try:
        value = loads(text)
    except json.JSONDecodeError as exc:
        if exc.msg == "Extra data":
            # One object after another: JSON Lines under the other ending.
            return _lines(text, file, warnings)
        line = None if isinstance(exc, DoubledKeyError) else exc.lineno
        raise DatasetError(_invalid(exc), file=file, line=line) from exc
    except RecursionError as exc:
        raise DatasetError(_DEEP, file=file) from exc
    return _table(value, file, warnings)


def _document(text: str) -> Any:
    """Return the value of a text that is one array or object over several lines, or the only line."""
    lines = [line for line in text.split("\n", 2_000) if line.strip()]
    if not lines:
        return None
    start = lines[0].lstrip()[:1]
    opened = start == "[" or (
        start == "{" and len(lines) > 1 and not lines[0].rstrip().endswith("}")
    )
    if not opened and not (start == "{" and len(lines) == 1):
        return None
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        return None
    # A list of anything else is a broken line, and is refused as one.
    return value if isinstance(value, dict) or any(isinstance(i, dict) for i in value) else None


def _lines(text: str, file: str, warnings: tuple[str, ...]) -> DataTable:
    records: list[Record] = []
    bad: list[BadRow] = []
    row = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row += 1
        value, reason = _parsed(line)
        if reason is None:
            records.append(make_record(value, number))
        else:
            bad.append(BadRow(number, row, reason))
    return make_table(records, warnings, file, tuple(bad))


def _invalid(exc: json.JSONDecodeError) -> str:
    if isinstance(exc, DoubledKeyError):
        return f"{exc.msg}; keep one."
    return f"invalid JSON: {exc.msg} (column {exc.colno})."


def _parsed(line: str) -> tuple[Any, str | None]:
    """Return a line's object, or why there is none."""
    try:
        value = loads(line)
    except json.JSONDecodeError as exc:
        return None, _invalid(exc)
    except RecursionError:
        return None, _DEEP
    if not isinstance(value, dict):
        return None, f"holds {kind_of(value)}, not an object with a question."
    return value, None


def _table(value: Any, file: str, warnings: tuple[str, ...]) -> DataTable:
    rows = rows_of(value, file)
    records: list[Record] = []
    bad: list[BadRow] = []
    for row, item in enumerate(rows, start=1):
        if isinstance(item, dict):
            records.append(make_record(item, None))
        else:
            reason = f"is {kind_of(item)}, not an object with a question."
            bad.append(BadRow(None, row, reason))
    return make_table(records, warnings, file, tuple(bad))
