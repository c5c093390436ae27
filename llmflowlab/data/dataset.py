"""Benchmark files as rows of questions and expected answers.

A file is taken whole or refused with its name, line and reason, before any call is made. Texts stay
what they are in the file: "001", "NA" and "1.0" are never turned into numbers or gaps.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmflowlab.data.columns import Columns, assign_columns
from llmflowlab.data.conversations import RowConversation, read_row_conversation
from llmflowlab.data.keys import same_text
from llmflowlab.data.tables import Record, Table, read_table
from llmflowlab.errors import DatasetError, InputError

__all__ = ["Dataset", "Row", "load_dataset", "read_row", "sample", "subset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One benchmark question."""

    index: int
    """From 0, in the order of the file."""
    line: int | None
    """Physical line on which the row begins, from 1; None where the format has no lines."""
    id: str
    """From the file's id column, else `index` + 1."""
    question: str
    expected: str | None = None
    """None where the file gives no answer: correctness is then not scored."""
    alternatives: tuple[str, ...] = ()
    """Further answers that are as right as `expected`."""
    context: str | None = None
    guidelines: tuple[str, ...] = ()
    category: str | None = None
    language: str | None = None
    conversation: RowConversation | None = None
    """What is sent instead of `question`, which is then its last user message."""
    source: dict[str, str]
    """All cells of the file as text, by column, for reports."""

    @property
    def accepted(self) -> str:
        """Every accepted answer in one text, for judges and people; empty without any."""
        return "\nor: ".join([self.expected or "", *self.alternatives])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A benchmark: rows in the file's order and what they came from."""

    name: str
    rows: tuple[Row, ...]
    digest: str
    """SHA-256, hexadecimal, over what the rows ask and expect, in order; the same whatever the
    file's format, encoding and column names."""
    path: Path
    columns: tuple[str, ...]
    """The file's columns, in its order."""
    warnings: tuple[str, ...] = ()
    """Sentences for the person, such as a guessed encoding."""


def load_dataset(
    path: Path, *, mapping: Mapping[str, str] | None = None, name: str | None = None
) -> Dataset:
    """Load a benchmark from CSV, JSON Lines, a JSON array or Parquet.

    Columns are recognised by their usual names, without regard to case; see
    `llmflowlab.data.columns`.

    Args:
        path: The file; its ending says what it is (`.csv .tsv .txt`, `.jsonl .ndjson`, `.json`,
            `.parquet`).
        mapping: Column of the file for each of question, answer, context, guidelines, category,
            language and id that its usual names do not find, as in `{"question": "Frage"}`.
        name: The dataset's name; the file's name without ending by default.

    Raises:
        InputError: The file is missing, unreadable or of an unknown kind, or `mapping` is wrong.
        DatasetError: A row cannot be used, or no column or more than one can be the question.
    """
    path = Path(path).expanduser()
    table = read_table(path)
    file = path.name
    columns = assign_columns(table.columns, mapping or {}, file=file)
    rows = tuple(_rows(table, columns, file))
    if not rows:
        raise DatasetError("has no rows; add at least one question.", file=file)
    _refuse_repeated_ids(rows, columns, file)
    return Dataset(
        name=name or path.stem,
        rows=rows,
        digest=_digest(rows),
        path=path,
        columns=table.columns,
        warnings=(*table.warnings, *_gaps(rows, columns), *_repetitions(rows)),
    )


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
    rows = tuple(replace(dataset.rows[i], index=index) for index, i in enumerate(places))
    return replace(dataset, rows=rows, digest=_digest(rows))


def _rows(table: Table, columns: Columns, file: str) -> Iterable[Row]:
    for index, record in enumerate(table.records):
        yield read_row(index, record, columns, file)


def read_row(index: int, record: Record, columns: Columns, file: str) -> Row:
    """Return one record of a file as a benchmark question.

    Raises:
        DatasetError: It cannot be used.
    """
    cells = record.cells
    for column, text in cells.items():
        if (why := _unusable(text)) is not None:
            raise _refused(f"column {column!r} holds {why}.", index, record, file)
    if columns.question in record.lists and columns.question != columns.messages:
        reason = f"column {columns.question!r} holds several values; give one text."
        raise _refused(reason, index, record, file)
    question = cells.get(columns.question, "").strip()
    if not question:
        raise _refused(f"the question (column {columns.question!r}) is empty.", index, record, file)

    def optional(column: str | None) -> str | None:
        return (cells.get(column, "").strip() or None) if column else None

    conversation = None
    if columns.messages is not None:
        try:
            conversation = read_row_conversation(question, optional(columns.params))
        except InputError as exc:
            raise _refused(exc.message, index, record, file) from exc
        question = conversation.question
    guidelines = optional(columns.guidelines)
    answers = _answers(index, record, columns, file)
    return Row(
        index=index,
        line=record.line,
        id=optional(columns.id) or str(index + 1),
        question=question,
        expected=answers[0] if answers else None,
        alternatives=answers[1:],
        context=optional(columns.context),
        guidelines=() if guidelines is None else _guidelines(guidelines),
        category=optional(columns.category),
        language=optional(columns.language),
        conversation=conversation,
        source=cells,
    )


def _unusable(text: str) -> str | None:
    if "\0" in text:
        return "a NUL character; save the file as text again"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "half a character (a lone surrogate), which no provider accepts"
    return None


def _refused(reason: str, index: int, record: Record, file: str) -> DatasetError:
    if record.line is None:
        reason = f"row {index + 1}: {reason}"
    return DatasetError(reason, file=file, line=record.line)


def _answers(index: int, record: Record, columns: Columns, file: str) -> tuple[str, ...]:
    """Return every answer that a row accepts: its column's, a list's, and `answer_2` and so on."""
    column = columns.answer
    if column is None:
        return ()
    texts = [record.cells.get(column, "")]
    if column in record.lists:
        texts = json.loads(texts[0])
        if not all(isinstance(text, str) for text in texts):
            reason = f"column {column!r} holds several values that are not all texts."
            raise _refused(reason, index, record, file)
    more = re.compile(rf"{re.escape(column)}[ _-]?[2-9]", re.IGNORECASE)
    texts += [text for name, text in record.cells.items() if more.fullmatch(name.strip())]
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _guidelines(text: str) -> tuple[str, ...]:
    """Split a cell into guidelines: a JSON array of texts, else one a line."""
    if text.startswith("["):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return tuple(value.strip() for value in values if value.strip())
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _refuse_repeated_ids(rows: tuple[Row, ...], columns: Columns, file: str) -> None:
    if columns.id is None:
        return
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.id, row)
        if earlier is not row:
            where = f"line {earlier.line}" if earlier.line else f"row {earlier.index + 1}"
            reason = f"the id {row.id!r} stands already in {where}; ids must differ."
            raise DatasetError(reason, file=file, line=row.line)


def _gaps(rows: tuple[Row, ...], columns: Columns) -> Iterable[str]:
    if columns.answer is None:
        yield (
            "No column holds expected answers: scorers that compare with one have nothing to score."
        )
        return
    missing = sum(row.expected is None for row in rows)
    if missing:
        yield f"{missing} of {len(rows)} rows have no expected answer and are not scored for it."


def _repetitions(rows: tuple[Row, ...]) -> Iterable[str]:
    first: dict[tuple[Any, ...], Row] = {}
    repeated: list[tuple[Row, Row]] = []
    for row in rows:
        asked = row.conversation and json.dumps(row.conversation.to_json())
        key = (same_text(row.question), same_text(row.context or ""), asked)
        earlier = first.setdefault(key, row)
        if earlier is not row:
            repeated.append((earlier, row))
    if repeated:
        earlier, row = repeated[0]
        rows_ask = "1 row repeats" if len(repeated) == 1 else f"{len(repeated)} rows repeat"
        where, before = (
            f"line {r.line}" if r.line is not None else f"row {r.index + 1}" for r in (row, earlier)
        )
        yield f"{rows_ask} an earlier question (the first in {where}, as in {before})."


def _digest(rows: Iterable[Row]) -> str:
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
        total.update(json.dumps(parts, ensure_ascii=False).encode("utf-8") + b"\n")
    return total.hexdigest()
