"""An evaluation dataset of MLflow's as a file of questions, which is read as any other one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.files import write_atomically
from llmflowlab.settings import Settings
from llmflowlab.tracking.datasets import ROW, find_dataset
from llmflowlab.tracking.store import open_store

__all__ = ["question_file"]

_PREFIX = "mlflow:"
_KEPT = ("id", "category", "language")
"""Tags of a record that are columns of a benchmark."""


def question_file(settings: Settings, path: Path) -> Path:
    """Return the file that is meant: `mlflow:NAME` is fetched, anew each time, unless there is such a file.

    `NAME` is a dataset of MLflow's, whoever made it, or the newest version that `data register` made.

    Raises:
        InputError: MLflow has no such dataset, or it holds nothing.
        TrackingError: MLflow failed.
    """
    name = str(path).removeprefix(_PREFIX)
    if name == str(path) or path.exists():
        return path
    store = open_store(settings)
    found = find_dataset(settings, store, name)
    with store.translated():
        records = sorted(found.records, key=_place)
    if not records:
        raise InputError(
            f"MLflow's dataset {found.name!r} holds nothing yet; add rows to it first."
        )
    lines = "".join(json.dumps(_line(each), ensure_ascii=False) + "\n" for each in records)
    stem = "".join(c if c.isalnum() or c in " ._+-@" else "_" for c in found.name)
    file = settings.state_dir / "datasets" / str(found.dataset_id) / f"{stem}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, lines.encode())
    return file


def _place(record: Any) -> tuple[float, int, str]:
    """The lab's rows in their order, others as they came."""
    row = (record.tags or {}).get(ROW, "")
    number = int(row) if row.isdecimal() else float("inf")
    return number, record.created_time, record.dataset_record_id


def _line(record: Any) -> dict[str, Any]:
    tags = record.tags or {}
    inputs, expected = dict(record.inputs), dict(record.expectations or {})
    if ROW in tags:
        inputs = _as_read(inputs)
        if others := expected.pop("alternatives", None):
            expected["expected_response"] = [expected["expected_response"], *others]
    kept = {name: tags[name] for name in _KEPT if name in tags}
    return {**kept, "inputs": inputs, **({"expectations": expected} if expected else {})}


def _as_read(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return what a row of the lab's own asks in the words that a file has for it."""
    # The lab's addition, for which MLflow keeps a repeated question apart.
    inputs.pop("repetition", None)
    said = inputs.pop("conversation", None)
    if said is None:
        return inputs
    del inputs["question"]
    system = [{"role": "system", "content": said["system"]}] if said["system"] else []
    wished = {name: value for name, value in said["parameters"].items() if value is not None}
    if said["custom_inputs"]:
        wished["custom_inputs"] = said["custom_inputs"]
    params = {"params": json.dumps(wished)} if wished else {}
    return {**inputs, "messages": [*system, *said["messages"]], **params}
