"""Every answer that a row accepts, from all the columns and shapes in which files write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmflowlab.data.file_records import Record, value_of
from llmflowlab.data.layout import Layout
from llmflowlab.data.names import NAMES, fold
from llmflowlab.data.shapes import answers_of, assertions_of
from llmflowlab.data.values import structured
from llmflowlab.errors import InputError

__all__ = ["answers_in"]

_LISTED = frozenset(map(fold, ("answers", *NAMES["answer"].several)))
# Langfuse and LangSmith write their objects into cells of CSV.
_WRAPPERS = frozenset(
    {"output", "outputs", "expectedoutput", "expectedoutputs", "referenceoutputs"}
)
_OWN_KEYS = (
    {"text", "answer_start"},
    {"value", "aliases"},
    {"choices", "labels"},
    {"role", "content"},
)


def answers_in(record: Record, layout: Layout) -> list[str]:
    """Return every answer that a row accepts, once each."""
    columns = layout.columns
    texts: list[str] = []
    if columns.answer is not None:
        texts += _of_column(record, columns.answer)
    if columns.answers is not None:
        value = value_of(record, columns.answers)
        inner = answers_of(value) if value is not None else None
        cell = record.cells.get(columns.answers, "")
        texts += inner if inner is not None else cell.split(layout.separator or ";")
    for column in layout.further:
        texts += _of_column(record, column)
    if columns.answer is not None and columns.answer.startswith("__expected"):
        texts = _plain_assertions(texts)
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _of_column(record: Record, column: str) -> list[str]:
    cell = record.cells.get(column, "")
    if column in record.values:
        found = answers_of(record.values[column])
        if found is None and column in record.lists:
            raise InputError(f"column {column!r} holds several values that are not all texts.")
        return [cell] if found is None else found
    # Text that is a list may be meant as it stands; an object of a known shape never is.
    inner = structured(cell) if cell.lstrip()[:1] in {"{", "["} else None
    if isinstance(inner, dict) or (isinstance(inner, list) and fold(column) in _LISTED):
        found = answers_of(inner)
        opened = _known(inner) or fold(column) in _WRAPPERS
        return [cell] if found is None or not opened else found
    return [cell]


def _known(value: Any) -> bool:
    """Say whether an object is one of a dataset's, not an answer that happens to be JSON."""
    if not isinstance(value, dict):
        return True
    keys = {str(key).casefold() for key in value}
    return any(pair <= keys for pair in _OWN_KEYS)


def _plain_assertions(texts: Sequence[str]) -> list[str]:
    found: list[str] = []
    for text in texts:
        answers, other = assertions_of(text.strip())
        if other is not None:
            raise InputError(
                f"promptfoo's assertion {other!r} is not read; equals, contains and contains-any are. "
                "Give the answer itself and choose a scorer for it."
            )
        found += answers
    return found
