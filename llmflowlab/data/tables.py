"""Files of rows as text cells: CSV, JSON Lines, JSON, Parquet, Excel."""

from __future__ import annotations

from pathlib import Path

from llmflowlab.data.bounds import MOST_BYTES
from llmflowlab.data.csv_text import read_csv
from llmflowlab.data.excel_file import read_excel
from llmflowlab.data.file_records import DataTable, Record, refusal
from llmflowlab.data.json_text import read_json, read_json_lines
from llmflowlab.data.parquet_file import read_parquet
from llmflowlab.data.shipped import named_file
from llmflowlab.data.whatis import what_else
from llmflowlab.errors import InputError

__all__ = ["DataTable", "Record", "read_table"]

_CSV = frozenset({".csv", ".tsv", ".txt"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_PARQUET = frozenset({".parquet", ".pq"})
_EXCEL = frozenset({".xlsx", ".xlsm"})


def read_table(path: Path, *, keep_bad: bool = False) -> DataTable:
    """Read a file of rows.

    Args:
        path: The file, or the name of one that is shipped.
        keep_bad: Return the rows that cannot be read in `Table.bad` instead of raising.

    Raises:
        InputError: It is missing, no file, unreadable, or of a kind that is not read.
        DatasetError: Its content is broken.
    """
    path = named_file(path)
    table = _read(path)
    if table.bad and not keep_bad:
        raise refusal(table.bad, path.name)
    return table


def _read(path: Path) -> DataTable:
    kind = path.suffix.lower()
    content = _content(path)
    is_json = kind in _JSON_LINES or kind == ".json"
    if (what := what_else(content, delimited=kind in _CSV, json=is_json)) is not None:
        raise InputError(f"{path} is {what}.")
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")) or kind in _EXCEL:
        return read_excel(path)
    if kind in _PARQUET or content.startswith(b"PAR1"):
        return read_parquet(path)
    if kind in _JSON_LINES:
        return read_json_lines(content, path.name)
    if kind == ".json":
        return read_json(content, path.name)
    if kind in _CSV:
        return read_csv(content, file=path.name, tab=kind == ".tsv")
    raise InputError(
        f"{path} ends in {kind or 'nothing'!r}, which is no kind of benchmark file; use "
        ".csv, .tsv, .jsonl, .json, .parquet or .xlsx."
    )


def _content(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"There is no file {path}; check the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a file; name a CSV, JSON Lines, JSON or Parquet file.")
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes, more than is read; take a part of it first."
            )
        return path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror or exc}).") from exc
