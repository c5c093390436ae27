"""Delimited text as people really save it: any usual delimiter and quoting, titles and ragged ends."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from llmflowlab.data.bounds import refuse_many_columns
from llmflowlab.data.decoding import decode
from llmflowlab.data.file_records import BadRow, DataTable, Record
from llmflowlab.data.names import is_usual_name
from llmflowlab.errors import DatasetError

__all__ = ["header_at", "read_csv", "table_of_cells"]

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_RECORDS = 50
_SNIFFED_CHARS = 200_000
_LONGEST_CELL = 2**31 - 1
_TITLE_LINES = 6
"""Records among which the header is looked for."""


def read_csv(content: bytes, *, file: str, tab: bool) -> DataTable:
    """Read delimited text.

    Args:
        content: The file's bytes.
        file: Its name, for messages.
        tab: Whether its ending says that tabs delimit.

    Raises:
        DatasetError: The text, its header or its quoting is broken. A row that has too many cells
            is one of the table's bad rows.
    """
    text, warnings = decode(content, file=file)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        reason = "holds a NUL character; save the file as text again."
        raise DatasetError(reason, file=file, line=line)
    skipped = 0
    said = re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE)
    if said:
        # Excel's own way of naming the delimiter.
        text, skipped = text[said.end() :], 1
    quote = "'" if text.lstrip().startswith("'") and '"' not in text.split("\n", 1)[0] else '"'
    delimiter = said[1] if said else "\t" if tab else _delimiter(text, quote)
    csv.field_size_limit(_LONGEST_CELL)
    return table_of_cells(_records(text, delimiter, quote, file, skipped), file, warnings)


def table_of_cells(
    lines: Iterator[tuple[int, list[str]]], file: str, warnings: tuple[str, ...]
) -> DataTable:
    """Return lines of cells, each with its number, as a table; the first that names columns is its header.

    Cells that are empty may be missing at the end of a row, and there may be too many of them:
    spreadsheets write both.

    Raises:
        DatasetError: There is no header, or it cannot be used.
    """
    start = []
    for numbered in lines:
        start.append(numbered)
        if len(start) == _TITLE_LINES:
            break
    if not start:
        raise DatasetError("is empty; add a header line and at least one question.", file=file)
    at = header_at([cells for _, cells in start])
    header_line, header = start[at]
    if at:
        title = next(cell.strip() for cell in start[0][1] if cell.strip())
        warnings += (
            f"{file}, line {start[0][0]}: {title!r} is a title, not the header; the header was found "
            f"in line {header_line}.",
        )
    columns = _columns(header, file, header_line)
    records: list[Record] = []
    bad: list[BadRow] = []
    short: list[int] = []
    for row, (line, cells) in enumerate(_both(start[at + 1 :], lines), start=1):
        if any(cell.strip() for cell in cells[len(columns) :]):
            reason = (
                f"found {len(cells)} cells, expected {len(columns)} as in the header; texts that hold "
                "the delimiter must be quoted."
            )
            bad.append(BadRow(line, row, reason))
            continue
        if len(cells) < len(columns):
            short.append(line)
        filled = [*cells, *[""] * (len(columns) - len(cells))]
        records.append(Record(line, dict(zip(columns, filled, strict=False))))
    if short:
        rows_are = "1 row is" if len(short) == 1 else f"{len(short)} rows are"
        warnings += (
            f"{rows_are} shorter than the header (the first in line {short[0]}); the cells that are "
            "missing were read as empty.",
        )
    return DataTable(columns, tuple(records), warnings, tuple(bad))


def header_at(records: Sequence[Sequence[str]]) -> int:
    """Return the place of the header: the first record, unless that is a title above it.

    A title is a record of one text that is no column's name, above one that names a column.
    """
    for place, cells in enumerate(records):
        written = [cell for cell in cells if cell.strip()]
        if len(written) > 1 or any(map(is_usual_name, written)):
            return place if sum(map(is_usual_name, written)) else 0
    return 0


def _both(
    first: Sequence[tuple[int, list[str]]], rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield from first
    yield from rest


def _records(
    text: str, delimiter: str, quote: str, file: str, skipped: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank with the physical line it begins on."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        skipinitialspace=True,
        strict=True,
    )
    while True:
        line = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            reason = f"the quoting is broken ({exc}); a {quote} inside a quoted text is doubled."
            raise DatasetError(reason, file=file, line=line) from exc
        if any(cell.strip() for cell in cells):
            yield line, cells


def _columns(header: list[str], file: str, line: int) -> tuple[str, ...]:
    names = [name.strip() for name in header]
    while names and not names[-1]:
        names.pop()
    refuse_many_columns(names, file)
    named = tuple(name or f"column {i}" for i, name in enumerate(names, start=1))
    for name in named:
        if named.count(name) > 1:
            reason = f"the column {name!r} stands {named.count(name)} times; rename one."
            raise DatasetError(reason, file=file, line=line)
    return named


def _delimiter(text: str, quote: str) -> str:
    """Return the delimiter under which the header makes most sense and the rows are most even."""

    def fit(delimiter: str) -> tuple[int, int, float]:
        reader = csv.reader(
            io.StringIO(text[:_SNIFFED_CHARS], newline=""),
            delimiter=delimiter,
            quotechar=quote,
            skipinitialspace=True,
        )
        found: list[list[str]] = []
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    found.append(cells)
                if len(found) == _SNIFFED_RECORDS:
                    break
        except csv.Error:
            return (0, 0, 0.0)
        at = header_at(found[:_TITLE_LINES])
        header = found[at] if found else []
        even = sum(len(cells) == len(header) for cells in found[at:]) / max(1, len(found) - at)
        return (sum(map(is_usual_name, header)), int(len(header) > 1), even)

    # The first of equals wins: the comma.
    return max(_DELIMITERS, key=fit)
