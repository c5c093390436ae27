"""Rows as they stand in a file: text cells, and beside them the lists and objects they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmflowlab.data.bounds import refuse_many_columns
from llmflowlab.data.names import NAMES, USUAL_NAMES, fold
from llmflowlab.data.values import alone, as_text, structured
from llmflowlab.errors import DatasetError

__all__ = ["BadRow", "DataTable", "Record", "make_record", "make_table", "refusal", "value_of"]

_ASKED = frozenset({"inputs", "input", "vars"})
_SAID = frozenset({"outputs", "output"})
_EXPECTED = frozenset({"expectations", "expectedoutput", "expectedoutputs", "referenceoutputs"})
_QUESTIONS = frozenset(map(fold, (*USUAL_NAMES["question"], *USUAL_NAMES["messages"])))
_ANSWERS = frozenset(map(fold, USUAL_NAMES["answer"]))
_STRONG = frozenset(map(fold, (*NAMES["answer"].first, *NAMES["answer"].more)))
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands in the file."""

    line: int | None
    """Physical line on which it begins, from 1; None where the format has none."""
    cells: dict[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)
    """What is a list or an object in the file, by column; its cell is the same as JSON."""

    @property
    def lists(self) -> frozenset[str]:
        """Columns in which the file holds several values."""
        return frozenset(c for c, v in self.values.items() if isinstance(v, list) and len(v) > 1)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A part of the file that is no row."""

    line: int | None
    row: int
    """From 1, counting those that are read."""
    reason: str

    @property
    def where(self) -> str:
        return f"row {self.row}" if self.line is None else f"line {self.line}"


@dataclass(frozen=True, slots=True)
class DataTable:
    """A whole file."""

    columns: tuple[str, ...]
    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()
    bad: tuple[BadRow, ...] = ()
    """What could not be read, where that was wanted; see `read_table`."""


def value_of(record: Record, column: str) -> Any:
    """Return what a cell holds: the file's own list or object, else one that its text is."""
    if column in record.values:
        return record.values[column]
    text = record.cells.get(column, "").strip()
    return structured(text) if text[:1] in "[{" and text else None


def refusal(bad: tuple[BadRow, ...], file: str) -> DatasetError:
    """Return the error that names the first bad row with its reason, and the others."""
    first, *others = sorted(bad, key=lambda one: one.row)
    reason = first.reason if first.line is not None else f"{first.where}: {first.reason}"
    if others:
        listed = "; ".join(f"{one.where}: {one.reason.rstrip('.')}" for one in others[:_LISTED])
        more = f"; and {len(others) - _LISTED:,} more" if len(others) > _LISTED else ""
        reason += f" Also {listed}{more}."
    reason += f" (--skip-bad goes on without {'them' if others else 'it'}.)"
    return DatasetError(reason, file=file, line=first.line)


def make_record(value: Mapping[str, Any], line: int | None) -> Record:
    """Return an object of a file as a record; what is nested in the usual ways is laid flat."""
    flat = _flat(value)
    nested = {k: v for k, v in flat.items() if isinstance(v, list | dict)}
    cells = {key: as_text(alone(item)) for key, item in flat.items()}
    return Record(line, cells, nested)


def make_table(
    records: list[Record], warnings: tuple[str, ...], file: str, bad: tuple[BadRow, ...] = ()
) -> DataTable:
    """Return records as a table whose columns stand in the order in which they are met.

    Raises:
        DatasetError: There are too many columns.
    """
    columns: dict[str, None] = {}
    for record in records:
        columns.update(dict.fromkeys(record.cells))
        refuse_many_columns(columns, file)
    return DataTable(tuple(columns), tuple(records), warnings, bad)


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    # Beside what is expected, an output is what some model said.
    judged = any(
        fold(str(key)) in _STRONG or (fold(str(key)) in _EXPECTED and isinstance(item, dict))
        for key, item in value.items()
    )
    for key, item in value.items():
        for name, inner in _opened(str(key), item, judged=judged).items():
            flat[f"{key}.{name}" if name in flat else name] = inner
    return flat


def _opened(key: str, item: Any, *, judged: bool) -> dict[str, Any]:
    """Return what a field holds: MLflow, LangSmith, Langfuse, promptfoo and ARC put fields into one."""
    kind = fold(key)
    if kind == "assert" and isinstance(item, list):
        return _asserted(item)
    if not isinstance(item, dict):
        return {key: item}
    if kind == "question" and isinstance(item.get("stem"), str):
        return {"question": item["stem"], **{k: v for k, v in item.items() if k != "stem"}}
    if kind in _ASKED:
        lone = len(item) == 1 and fold(next(iter(item))) not in _QUESTIONS
        return {key: next(iter(item.values()))} if lone else _named(item)
    if kind == "expectations":
        return _named(item)
    if kind in _EXPECTED or (kind in _SAID and not judged):
        usual = [name for name in item if fold(name) in _ANSWERS]
        if usual and not {"role", "content"} <= set(item):
            return _named(item)
        if len(item) == 1:
            return {key: next(iter(item.values()))}
    return {key: item}


def _named(item: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): inner for name, inner in item.items()}


def _asserted(item: list[Any]) -> dict[str, Any]:
    """Return promptfoo's assertions as it writes them into tables."""
    texts = []
    for one in item:
        if not isinstance(one, dict) or "type" not in one:
            return {"assert": item}
        value = one.get("value")
        listed = ",".join(map(as_text, value)) if isinstance(value, list) else as_text(value)
        texts.append(f"{one['type']}:{listed}")
    return {f"__expected{i if i > 1 else ''}": text for i, text in enumerate(texts, start=1)}
