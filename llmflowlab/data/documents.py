"""What a JSON document holds: rows one by one, or in one of the layouts of pandas and SQuAD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmflowlab.data.names import USUAL_NAMES, fold, is_usual_name
from llmflowlab.data.shapes import conversation_of
from llmflowlab.data.values import kind_of
from llmflowlab.errors import DatasetError

__all__ = ["rows_of"]

_QUESTIONS = frozenset(map(fold, (*USUAL_NAMES["question"], *USUAL_NAMES["messages"])))
# One row whose fields are put together, not a frame.
_WRAPPERS = frozenset({"inputs", "input", "vars", "outputs", "output", "expectations", "metadata"})


def rows_of(value: Any, file: str) -> list[Any]:
    """Return the rows of a document, each of them an object if it can be used.

    Recognised: an array of objects; pandas' orients `columns`, `index`, `split` (MLflow's tables),
    `table`, and lists by column; rows under one key; rows by their ids; SQuAD's articles; one row.

    Raises:
        DatasetError: It is no array or object, or holds several lists of rows.
    """
    if isinstance(value, list):
        _refuse_bare(value, file)
        return value
    if not isinstance(value, Mapping):
        reason = f"holds {kind_of(value)}; it must be an array of objects, one for each row."
        raise DatasetError(reason, file=file)
    _refuse_cut(value, file)
    for layout in (_split, _table, _squad, _served, _columns, _index):
        if (rows := layout(value)) is not None:
            return rows
    if (columns := _listed_columns(value, file)) is not None:
        return columns
    objects = {
        key: rows
        for key, rows in value.items()
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
        if conversation_of(rows) is None
    }
    asking = any(fold(key) in _QUESTIONS and key not in objects for key in value)
    asked = [key for key, rows in objects.items() if any(map(_asks, rows))]
    if len(objects) > 1 and not asking:
        listed = ", ".join(map(repr, objects))
        raise DatasetError(
            f"holds several lists of rows ({listed}); write one of them to a file of its own.",
            file=file,
        )
    # {"rows": [...]} and the like; a lone object without a list is one row.
    alone = len(objects) == 1 and (asked or not asking)
    return next(iter(objects.values())) if alone else [dict(value)]


def _asks(row: Mapping[str, Any]) -> bool:
    return any(fold(str(name)) in _QUESTIONS for name in row)


def _refuse_bare(value: list[Any], file: str) -> None:
    if value and all(isinstance(row, list) for row in value):
        raise DatasetError(
            'holds rows without column names; write objects, or {"columns": [...], "data": [...]}.',
            file=file,
        )


def _refuse_cut(value: Mapping[str, Any], file: str) -> None:
    """Refuse what the datasets server shortened and says so of: a question or answer would be a part of one."""
    rows = value.get("rows")
    for row in rows if isinstance(rows, list) else ():
        if (
            isinstance(row, dict)
            and isinstance(row.get("row"), dict)
            and row.get("truncated_cells")
        ):
            cut = ", ".join(map(repr, row["truncated_cells"]))
            raise DatasetError(
                f"holds cells that the server cut ({cut} of row {row.get('row_idx')}); download the "
                "dataset's own file.",
                file=file,
            )


def _split(value: Mapping[str, Any]) -> list[Any] | None:
    """Recognise `{"columns": [...], "index": [...], "data": [[...]]}`."""
    names, data = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not isinstance(data, list):
        return None
    if not all(isinstance(row, list) for row in data):
        return None
    texts = [" ".join(map(str, name)) if isinstance(name, list) else str(name) for name in names]
    return [dict(zip(texts, row, strict=True)) if len(row) == len(texts) else row for row in data]


def _table(value: Mapping[str, Any]) -> list[Any] | None:
    """Recognise `{"schema": {"fields": [...], "primaryKey": [...]}, "data": [{...}]}`."""
    schema, data = value.get("schema"), value.get("data")
    if not isinstance(schema, Mapping) or not isinstance(data, list):
        return None
    keys = schema.get("primaryKey")
    unnamed = {key for key in (keys if isinstance(keys, list) else []) if key == "index"}
    return [
        {k: v for k, v in row.items() if k not in unnamed} if isinstance(row, dict) else row
        for row in data
    ]


def _squad(value: Mapping[str, Any]) -> list[Any] | None:
    """Recognise `{"data": [{"title", "paragraphs": [{"context", "qas": [{"question"}]}]}]}`."""
    articles = value.get("data")
    if not isinstance(articles, list) or not articles:
        return None
    if not all(isinstance(a, dict) and isinstance(a.get("paragraphs"), list) for a in articles):
        return None
    rows: list[Any] = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            if not isinstance(paragraph, dict) or not isinstance(paragraph.get("qas"), list):
                return None
            about = {"title": article.get("title"), "context": paragraph.get("context")}
            rows += [{**about, **qa} if isinstance(qa, dict) else qa for qa in paragraph["qas"]]
    return rows


def _served(value: Mapping[str, Any]) -> list[Any] | None:
    """Recognise `{"features": [...], "rows": [{"row_idx": 0, "row": {...}}]}` (datasets server)."""
    rows = value.get("rows")
    if not isinstance(rows, list) or not rows:
        return None
    inner = [row.get("row") if isinstance(row, dict) else None for row in rows]
    return inner if all(isinstance(row, dict) for row in inner) else None


def _listed_columns(value: Mapping[str, Any], file: str) -> list[Any] | None:
    """Recognise `{"question": ["a", "b"], "answer": ["x", "y"]}`."""
    lists = [item for item in value.values() if isinstance(item, list)]
    lengths = {len(item) for item in lists}
    if not lists or len(lists) != len(value) or lengths == {0}:
        return None
    if not any(fold(name) in _QUESTIONS for name in value):
        return None
    if any(conversation_of(item) is not None for item in lists):
        # {"messages": [...]}: what is said one after the other is one row.
        return None
    if len(lengths) > 1:
        listed = ", ".join(f"{name!r} {len(item):,}" for name, item in value.items())
        raise DatasetError(f"holds columns of different lengths: {listed}.", file=file)
    return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]


def _columns(value: Mapping[str, Any]) -> list[Any] | None:
    """Recognise pandas' default: `{"question": {"0": "a", "1": "b"}}`."""
    columns = list(value.values())
    if not columns or not all(isinstance(column, dict) and column for column in columns):
        return None
    labels = list(columns[0])
    if any(set(column) != set(labels) for column in columns):
        return None
    numbered = all(label.lstrip("-").isdigit() for label in labels)
    wrapped = set(map(fold, value)) & _WRAPPERS or any(map(is_usual_name, labels))
    if not numbered and (wrapped or len(columns) < 2):
        return None
    if not any(is_usual_name(name) for name in value):
        return None
    rows = [{name: column[label] for name, column in value.items()} for label in labels]
    return rows if numbered else _with_ids(rows, labels)


def _index(value: Mapping[str, Any]) -> list[Any] | None:
    """Recognise `{"0": {"question": "a"}, "1": {...}}`, and rows by their ids."""
    rows = list(value.values())
    if not rows or not all(isinstance(row, dict) and row for row in rows):
        return None
    if set(map(fold, value)) & _WRAPPERS:
        return None
    if not all(map(_asks, rows)):
        return None
    numbered = all(label.lstrip("-").isdigit() for label in value)
    return rows if numbered else _with_ids(rows, list(value))


def _with_ids(rows: list[dict[str, Any]], labels: list[str]) -> list[Any]:
    """Return rows with their labels as ids, unless they have ids of their own."""
    ids = {fold(name) for name in USUAL_NAMES["id"]}
    if any(fold(name) in ids for row in rows for name in row):
        return list(rows)
    return [{"id": label, **row} for label, row in zip(labels, rows, strict=True)]
