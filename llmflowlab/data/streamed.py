"""Benchmarks larger than memory: Parquet and JSON Lines, from a disk or a bucket, read piece by piece.

Which column is what is decided by the first thousand rows; every row is then read as in a file that is
read whole, and kept in a file of this machine.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from llmflowlab.data.dataset import Dataset, digest_of_rows
from llmflowlab.data.file_records import BadRow, Record, make_record, make_table, refusal
from llmflowlab.data.layout import Layout, layout_of
from llmflowlab.data.rows import Row, read_row
from llmflowlab.data.stored_rows import kept_rows
from llmflowlab.data.values import loads, without_nan
from llmflowlab.errors import ConfigurationError, DatasetError, InputError

__all__ = ["STREAMED", "load_streamed"]

STREAMED = (".parquet", ".pq", ".jsonl", ".ndjson")
"""Endings of what can be read in pieces."""
_HEAD = 1_000
_PIECE = 512
_SHOWN = 10


def load_streamed(
    place: str | Path,
    *,
    mapping: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    answers: Sequence[str] = (),
) -> Dataset:
    """Load a benchmark without holding it.

    Args:
        place: A file, or an address that fsspec knows.
        mapping: As in `load_dataset`.
        skip_bad: As in `load_dataset`.
        answers: As in `load_dataset`.

    Raises:
        InputError: It cannot be read, or is of another kind.
        DatasetError: As `load_dataset`.
        ConfigurationError: What reads such addresses is not installed.
    """
    name = PurePosixPath(str(place)).name
    ending = PurePosixPath(name).suffix.lower()
    if ending not in STREAMED:
        raise InputError(f"{place} cannot be read in pieces; give it as {', '.join(STREAMED)}.")
    with _opened(place) as source:
        records = _parquet(source, name) if ending in STREAMED[:2] else _lines(source, name)
        bad: list[BadRow] = []
        good = _good(records, bad, name, keep=skip_bad)
        head = list(islice(good, _HEAD))
        if not head:
            raise DatasetError("has no rows; add at least one question.", file=name)
        table = make_table(head, (), name)
        layout = layout_of(table, mapping or {}, name, answers)
        rows = kept_rows(_rows(chain(head, good), layout, bad, name, skip_bad=skip_bad))
    if layout.columns.id is not None:
        _refuse_repeated(rows, name)
    left = [f"{len(bad):,} rows that cannot be used are left out: {_named(bad)}."] if bad else []
    return Dataset(
        name=PurePosixPath(name).stem,
        rows=rows,
        digest=digest_of_rows(rows),
        path=Path(place),
        columns=table.columns,
        warnings=(*layout.remarks, *left),
        reading=layout.sentence(),
        answered=layout.columns.given,
    )


def _opened(place: str | Path) -> BinaryIO:
    try:
        if "://" not in str(place):
            return Path(place).open("rb")
        # Imported here: only clusters on a bucket need it.
        import fsspec

        opened: BinaryIO = fsspec.open(str(place), "rb").open()
        return opened
    except ImportError as exc:
        raise ConfigurationError(
            f"{place} needs fsspec and its package for such addresses; install them with "
            "python -m pip install 'llmflowlab[ray]'"
        ) from exc
    except Exception as exc:  # fsspec's file systems raise what their clients raise
        said = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise InputError(f"{place} cannot be read ({said}).") from exc


def _parquet(source: BinaryIO, name: str) -> Iterator[Record | BadRow]:
    from pyarrow import ArrowException, parquet

    try:
        number = 0
        for batch in parquet.ParquetFile(source).iter_batches(batch_size=_PIECE):
            for values in batch.to_pylist():
                number += 1
                yield _record(values, number, None)
    except ArrowException as exc:
        raise DatasetError(f"is no Parquet file that can be read ({exc}).", file=name) from exc


def _lines(source: BinaryIO, name: str) -> Iterator[Record | BadRow]:
    number = 0
    for line, data in enumerate(source, start=1):
        if not data.strip():
            continue
        number += 1
        try:
            values = loads(data.decode("utf-8-sig" if line == 1 else "utf-8"))
        except (ValueError, RecursionError):
            yield BadRow(line, number, "is no JSON in UTF-8.")
            continue
        if not isinstance(values, dict):
            yield BadRow(line, number, "is no object; give one with a question.")
            continue
        yield _record(values, number, line)


def _record(values: dict[str, Any], number: int, line: int | None) -> Record | BadRow:
    for key, value in values.items():
        if isinstance(value, bytes):
            try:
                values[key] = value.decode("utf-8")
            except UnicodeDecodeError:
                return BadRow(line, number, f"column {key!r} holds bytes that are not UTF-8 text.")
        else:
            values[key] = without_nan(value)
    return make_record(values, line)


def _good(
    records: Iterator[Record | BadRow], bad: list[BadRow], name: str, *, keep: bool
) -> Iterator[Record]:
    for record in records:
        if isinstance(record, Record):
            yield record
        elif keep:
            bad.append(record)
        else:
            raise refusal((record,), name)


def _rows(
    records: Iterator[Record], layout: Layout, bad: list[BadRow], name: str, *, skip_bad: bool
) -> Iterator[Row]:
    index = 0
    for number, record in enumerate(records, start=1):
        try:
            row = read_row(number - 1, record, layout)
        except InputError as exc:
            one = BadRow(record.line, number, exc.message)
            if not skip_bad:
                raise refusal((one,), name) from exc
            bad.append(one)
            continue
        yield replace(row, index=index)
        index += 1


def _refuse_repeated(rows: Sequence[Row], name: str) -> None:
    seen = array("Q", (_short(row.id) for row in rows))
    numbers, counts = np.unique(np.frombuffer(seen, dtype=np.uint64), return_counts=True)
    several = set(numbers[counts > 1].tolist())
    found: set[str] = set()
    for row in rows if several else ():
        if _short(row.id) in several:
            if row.id in found:
                reason = f"the id {row.id!r} stands in several rows; ids must differ."
                raise DatasetError(reason, file=name, line=row.line)
            found.add(row.id)


def _short(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _named(bad: Sequence[BadRow]) -> str:
    more = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    return ", ".join(one.where for one in bad[:_SHOWN]) + more
