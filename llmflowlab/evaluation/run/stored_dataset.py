"""A benchmark as it stands in the ledger: one JSON object, written and read row by row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from llmflowlab.data.conversation_rows import conversation_from_json
from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.data.stored_rows import kept_rows
from llmflowlab.text.digests import canonical

__all__ = ["dataset_from_text", "dataset_key", "dataset_text"]


def dataset_key(dataset: Dataset) -> str:
    """Return the digest of a dataset with its name and all columns, row by row as `digest_of` has it."""
    # The dataset's own digest covers what is asked; name and extra columns belong to the reports.
    before, after = canonical([dataset.digest, _without_rows(dataset)]).split('"rows":[]', 1)
    total = hashlib.sha256(before.encode("utf-8", "surrogatepass") + b'"rows":[')
    for number, row in enumerate(dataset.rows):
        text = ("," if number else "") + canonical(asdict(row))
        total.update(text.encode("utf-8", "surrogatepass"))
    total.update(("]" + after).encode("utf-8", "surrogatepass"))
    return total.hexdigest()


def dataset_text(dataset: Dataset, write: Callable[[Any], str]) -> str:
    """Return a dataset as one JSON object, each part of it written by a function."""
    before, after = write(_without_rows(dataset)).split('"rows": []', 1)
    return (
        before + '"rows": [' + ", ".join(write(asdict(row)) for row in dataset.rows) + "]" + after
    )


def dataset_from_text(text: str) -> Dataset:
    """Return the dataset of `dataset_text`, its rows read one by one.

    Raises:
        ValueError: It is damaged; also TypeError, LookupError and AttributeError.
    """
    begin = text.index(_ROWS) + len(_ROWS)
    end = [begin]
    rows = kept_rows(_rows_in(text, end))
    values = json.loads(text[:begin] + text[end[0] :])
    return Dataset(
        **{
            **values,
            "rows": rows,
            "path": Path(values["path"]),
            "columns": tuple(values["columns"]),
            "warnings": tuple(values["warnings"]),
        }
    )


_ROWS = '"rows": ['
_KNOWN = frozenset(field.name for field in fields(Row))


def _rows_in(text: str, end: list[int]) -> Iterator[Row]:
    """Yield the rows of an array from a place on; its end is there afterwards."""
    read = json.JSONDecoder().raw_decode
    while text[end[0]] != "]":
        row, end[0] = read(text, end[0] + 2 * (text[end[0]] == ","))
        yield Row(
            **{
                **{name: value for name, value in row.items() if name in _KNOWN},
                "guidelines": tuple(row["guidelines"]),
                "alternatives": tuple(row.get("alternatives", ())),
                "options": tuple(row.get("options", ())),
                "facts": tuple(row.get("facts", ())),
                "withheld": tuple(row.get("withheld", ())),
                "conversation": conversation_from_json(row.get("conversation")),
            }
        )


def _without_rows(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset as JSON values, without its rows."""
    return {**asdict(replace(dataset, rows=())), "rows": [], "path": str(dataset.path)}
