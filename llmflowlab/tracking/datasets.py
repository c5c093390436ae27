"""Benchmarks as MLflow's evaluation datasets: versions that were registered, and what was evaluated.

Both are tagged with the lab's digest; MLflow's own pages and `mlflow.genai.datasets.get_dataset(name=...)`
read them. A version is named `NAME@VERSION`; what an evaluation asked and nobody registered
`NAME-DIGEST`, once for each digest. MLflow keeps one record for equal inputs, so a repeated question
carries the number of its repetition.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import InputError
from llmflowlab.files import exclusive
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import Store, open_store

if TYPE_CHECKING:
    from mlflow.entities import EvaluationDataset

__all__ = [
    "ROW",
    "RegisteredDataset",
    "dataset_evaluated",
    "find_dataset",
    "list_registered",
    "register_dataset",
]

_EXPERIMENT = "LLMS_Evaluation"
_NAME = "llmflowlab.dataset"
_VERSION = "llmflowlab.dataset_version"
_DIGEST = "llmflowlab.dataset_digest"
_ROWS = "llmflowlab.dataset_rows"
_COMPLETE = "llmflowlab.dataset_complete"
ROW = "llmflowlab.row"
"""Tag of a record: which row of the benchmark it is, from 1."""
_BATCH = 1_000
_PATIENCE = 60.0
"""Seconds to wait for another evaluation that writes its dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredDataset:
    """A version of a dataset, as MLflow has it."""

    name: str
    version: int
    digest: str
    """`Dataset.digest` of what was registered."""
    rows: int
    created_ms: int | None
    dataset_id: str
    """MLflow's."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def register_dataset(
    settings: Settings, dataset: Dataset, *, name: str | None = None
) -> tuple[RegisteredDataset, bool]:
    """Register a dataset as the next version of its name.

    Args:
        settings: Says where MLflow's store is.
        dataset: What to register.
        name: The dataset's own by default.

    Returns:
        The version, and whether it is new; content that the newest version has already is not
        registered again.

    Raises:
        InputError: The name cannot be used.
        TrackingError: MLflow failed.
    """
    name = name or dataset.name
    if not re.fullmatch(r"[\w .+-]{1,200}", name):
        raise InputError(
            f"{name!r} cannot name a dataset; use letters, digits, spaces and . _ + - with --name."
        )
    known = [entry for entry in list_registered(settings) if entry.name == name]
    newest = max(known, key=lambda entry: entry.version, default=None)
    if newest is not None and newest.digest == dataset.digest:
        return newest, False
    version = 1 if newest is None else newest.version + 1
    store = open_store(settings)
    tags = {
        _NAME: name,
        _VERSION: str(version),
        _DIGEST: dataset.digest,
        _ROWS: str(len(dataset.rows)),
    }
    with store.translated():
        made = store.client.create_dataset(
            name=f"{name}@{version}",
            experiment_id=[store.experiment_id(_EXPERIMENT)],
            tags=tags,
        )
        _fill(store, made, dataset)
    entry = RegisteredDataset(
        name=name,
        version=version,
        digest=dataset.digest,
        rows=len(dataset.rows),
        created_ms=made.created_time,
        dataset_id=made.dataset_id,
    )
    return entry, True


def dataset_evaluated(settings: Settings, store: Store, dataset: Dataset) -> str:
    """Return the id of MLflow's dataset with these rows, registered before or made now.

    What an earlier attempt began is gone on with, so a kill leaves no second one.

    Raises:
        TrackingError: MLflow failed.
    """
    with exclusive(settings, "datasets", patience=_PATIENCE), store.translated():
        experiment = store.experiment_id(_EXPERIMENT)
        found = [
            (item, tags)
            for item in _datasets(store, experiment)
            if (tags := item.tags or {}).get(_DIGEST) == dataset.digest
        ]
        whole = [item for item, tags in found if tags.get(_COMPLETE) == "true"]
        if whole:
            return str(whole[0].dataset_id)
        # A registration that was cut off is the next registration's affair.
        begun = [item for item, tags in found if _VERSION not in tags]
        made = (
            begun[0]
            if begun
            else store.client.create_dataset(
                name=f"{dataset.name}-{dataset.digest[:8]}",
                experiment_id=[experiment],
                tags={_NAME: dataset.name, _DIGEST: dataset.digest},
            )
        )
        _fill(store, made, dataset)
        return str(made.dataset_id)


def _fill(store: Store, made: EvaluationDataset, dataset: Dataset) -> None:
    records = _records(dataset)
    while batch := list(islice(records, _BATCH)):
        made.merge_records(batch)
    # Last: one that was cut off while it was written is none.
    store.client.set_dataset_tags(made.dataset_id, {_COMPLETE: "true"})


def list_registered(settings: Settings) -> list[RegisteredDataset]:
    """Return the versions that the lab registered, by name, the newest version first.

    Raises:
        TrackingError: MLflow failed.
    """
    store = open_store(settings)
    with store.translated():
        items = _datasets(store, store.experiment_id(_EXPERIMENT))
        found = [entry for item in items if (entry := _entry(item)) is not None]
    return sorted(found, key=lambda entry: (entry.name, -entry.version))


def find_dataset(settings: Settings, store: Store, name: str) -> EvaluationDataset:
    """Return MLflow's dataset of a name, or the newest version that was registered under it.

    Raises:
        InputError: There is none.
        TrackingError: MLflow failed.
    """
    with store.translated():
        every = list(_datasets(store))
    mine = [entry for entry in map(_entry, every) if entry is not None and entry.name == name]
    newest = max(mine, key=lambda entry: entry.version, default=None)
    meant = {name} if newest is None else {name, f"{name}@{newest.version}"}
    named = [item for item in every if item.name in meant]
    if not named:
        there = ", ".join(sorted({str(item.name) for item in every})[:10]) or "none yet"
        raise InputError(f"MLflow has no dataset {name!r}; there are: {there}.")
    return max(named, key=lambda item: (item.name == name, item.created_time or 0))


def _datasets(store: Store, experiment: str | None = None) -> Iterator[EvaluationDataset]:
    # Looked through here: MLflow finds no tag by a name that is quoted, as it demands elsewhere.
    token = None
    while True:
        page = store.client.search_datasets(
            experiment_ids=None if experiment is None else [experiment], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _entry(item: Any) -> RegisteredDataset | None:
    tags = item.tags or {}
    if tags.get(_COMPLETE) != "true" or _VERSION not in tags:
        return None
    return RegisteredDataset(
        name=tags[_NAME],
        version=int(tags[_VERSION]),
        digest=tags[_DIGEST],
        rows=int(tags[_ROWS]),
        created_ms=item.created_time,
        dataset_id=item.dataset_id,
    )


def _records(dataset: Dataset) -> Iterator[dict[str, Any]]:
    repeats: Counter[bytes] = Counter()
    for number, row in enumerate(dataset.rows, start=1):
        inputs: dict[str, Any] = {"question": row.question}
        if row.conversation is not None:
            inputs["conversation"] = row.conversation.to_json()
        if row.context is not None:
            inputs["context"] = row.context
        asked = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).digest()
        repeats[asked] += 1
        if repeats[asked] > 1:
            inputs["repetition"] = repeats[asked]
        yield {
            "inputs": inputs,
            "expectations": _expectations(row),
            "tags": {**_tags(row), ROW: str(number)},
        }


def _expectations(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if row.expected is not None:
        found["expected_response"] = row.expected
    if row.facts:
        found["expected_facts"] = list(row.facts)
    if row.alternatives:
        found["alternatives"] = list(row.alternatives)
    if row.guidelines:
        found["guidelines"] = list(row.guidelines)
    return found


def _tags(row: Row) -> dict[str, str]:
    named = {"id": row.id, "category": row.category, "language": row.language}
    return {name: value for name, value in named.items() if value is not None}
