"""Parquet files, read in pieces so that a small file cannot fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmflowlab.data.bounds import MOST_BYTES, MOST_CELLS, refuse_many_columns
from llmflowlab.data.file_records import BadRow, DataTable, Record, make_record, make_table
from llmflowlab.data.values import without_nan
from llmflowlab.errors import DatasetError

__all__ = ["read_parquet"]

_PIECE = 512
"""Rows read at once, at most."""
_UNPACKED = 16
"""Rows made into Python's values at once."""
_PIECE_BYTES = 16_000_000
"""A text that stands once in the file may stand in a million rows."""


def read_parquet(path: Path) -> DataTable:
    """Read a Parquet file; what pandas writes for a missing value is missing.

    Raises:
        DatasetError: It cannot be read, or is far larger than any benchmark.
    """
    # Imported here: only this format needs it, and it takes a moment.
    import pyarrow as pa
    from pyarrow import parquet

    file = path.name
    records: list[Record] = []
    bad: list[BadRow] = []
    unpacked = 0
    try:
        with path.open("rb") as source:
            opened = parquet.ParquetFile(source)
            _refuse_huge(opened.metadata, file)
            for row in _rows(opened):
                # What stands once in a piece may have been said for each of its rows.
                unpacked += sum(
                    len(value) for value in row.values() if isinstance(value, str | bytes)
                )
                if unpacked > MOST_BYTES:
                    raise DatasetError(_huge(f"over {MOST_BYTES:,} bytes"), file=file)
                _add(row, records, bad)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise DatasetError("cannot be read as Parquet; write it again.", file=file) from exc
    return make_table(records, (), file, tuple(bad))


def _rows(opened: Any) -> Iterator[dict[str, Any]]:
    """Yield all rows, of which few are unpacked at once where the first one is large."""
    first = next(opened.iter_batches(batch_size=1), None)
    if first is None:
        return
    at_once = max(min(_PIECE_BYTES // max(first.nbytes, 1), _PIECE), 1)
    for piece in opened.iter_batches(batch_size=at_once):
        for place in range(0, piece.num_rows, _UNPACKED):
            yield from piece.slice(place, _UNPACKED).to_pylist()


def _refuse_huge(metadata: Any, file: str) -> None:
    refuse_many_columns(range(metadata.num_columns), file)
    cells = metadata.num_rows * metadata.num_columns
    if cells > MOST_CELLS:
        raise DatasetError(_huge(f"{metadata.num_rows:,} rows, {cells:,} cells"), file=file)
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if size > MOST_BYTES:
        raise DatasetError(_huge(f"{size:,} bytes"), file=file)


def _huge(what: str) -> str:
    return f"holds {what} when unpacked, more than is read; take a part of it first."


def _add(row: dict[str, Any], records: list[Record], bad: list[BadRow]) -> None:
    number = len(records) + len(bad) + 1
    for key, value in row.items():
        if isinstance(value, bytes):
            try:
                row[key] = value.decode("utf-8")
            except UnicodeDecodeError:
                reason = f"column {key!r} holds bytes that are not UTF-8 text."
                bad.append(BadRow(None, number, reason))
                return
        else:
            row[key] = without_nan(value)
    row.pop("__index_level_0__", None)
    records.append(make_record(row, None))
