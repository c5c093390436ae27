"""The rows of an evaluation in shared storage, cut into shards, and the plan of each.

A shard is named by what it depends on: the questions, the candidates and the range of rows; it is one
file, `rows/NNNNNN.json`, that the driver writes row by row and a worker reads alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from llmflowlab.cluster.storage import Storage
from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.data.stored_rows import kept_rows
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.stored_dataset import dataset_from_text, dataset_text
from llmflowlab.text.digests import digest_of

__all__ = ["Shard", "Stage", "shard_plan", "stage", "stage_of", "staged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where an evaluation stands in shared storage."""

    folder: str
    rows: int
    shard_rows: int
    """Rows of a shard; the last may have fewer."""
    digest: str
    """Of the questions and the candidates."""

    @property
    def shards(self) -> int:
        return -(-self.rows // self.shard_rows)

    def key(self, what: str, shard: int, ending: str) -> str:
        """Return the key of a shard's object."""
        return f"{self.folder}/{what}/{shard:06d}{ending}"

    def first(self, shard: int) -> int:
        """Return the number of a shard's first row."""
        return shard * self.shard_rows

    def places(self, shard: int) -> range:
        """Return the numbers of a shard's rows."""
        first = self.first(shard)
        return range(first, min(first + self.shard_rows, self.rows))

    def name(self, shard: int) -> str:
        """Return what a shard's rows are kept under in a ledger, the same at every attempt."""
        places = self.places(shard)
        return digest_of([self.digest, places.start, places.stop])[:24]


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard's rows as they were staged."""

    rows: Dataset
    repeats: Sequence[int]
    """How often the same was asked in rows of the whole file before each."""


def stage(plan: EvaluationPlan, storage: Storage, *, shard_rows: int) -> Stage:
    """Write an evaluation's plan and rows into shared storage, holding one shard at a time.

    Raises:
        TrackingError: The storage cannot be written.
    """
    found = stage_of(plan, shard_rows)
    rows = iter(plan.dataset.rows)
    for shard in range(found.shards):
        part = replace(plan.dataset, rows=tuple(islice(rows, shard_rows)), warnings=())
        first = found.first(shard)
        head = json.dumps(list(plan.repeats[first : first + shard_rows]))
        text = f"{head}\n{dataset_text(part, json.dumps)}"
        storage.write(found.key("rows", shard, ".json"), text.encode())
    described = {**plan.describe(), "shard_rows": shard_rows, "warnings": plan.dataset.warnings}
    storage.write(f"{found.folder}/plan.json", json.dumps(described).encode())
    return found


def stage_of(plan: EvaluationPlan, shard_rows: int) -> Stage:
    """Return where an evaluation stands, or is going to."""
    candidates = [candidate.digest for candidate in plan.candidates]
    return Stage(
        folder=plan.evaluation_id,
        rows=len(plan.dataset.rows),
        shard_rows=shard_rows,
        digest=digest_of([plan.dataset.digest, candidates, plan.trials]),
    )


def staged(storage: Storage, evaluation: str) -> tuple[EvaluationPlan, Stage]:
    """Return an evaluation that was staged, its rows in a file of this machine.

    Raises:
        InputError: The storage does not have it.
        TrackingError: It cannot be read.
    """
    data = storage.read(f"{evaluation}/plan.json")
    if data is None:
        raise InputError(
            f"There is no evaluation {evaluation!r} in {storage.place}; name the --storage that it began with."
        )
    described = json.loads(data)
    shard_rows = int(described["shard_rows"])
    count = int(described["dataset"]["rows"])
    shards = range(-(-count // shard_rows))
    found = Stage(folder=evaluation, rows=count, shard_rows=shard_rows, digest="")

    def rows() -> Iterator[Row]:
        for shard in shards:
            yield from read_shard(storage, found, shard).rows.rows

    first = read_shard(storage, found, 0).rows
    dataset = replace(first, rows=kept_rows(rows()), warnings=tuple(described["warnings"]))
    plan = EvaluationPlan.from_json(described, dataset)
    return plan, stage_of(plan, shard_rows)


def read_shard(storage: Storage, where: Stage, shard: int) -> Shard:
    """Return a shard's rows.

    Raises:
        InputError: They are not there.
        TrackingError: The storage cannot be read.
    """
    key = where.key("rows", shard, ".json")
    data = storage.read(key)
    if data is None:
        raise InputError(f"{key} is missing in {storage.place}; begin a new evaluation.")
    head, _, text = data.decode().partition("\n")
    return Shard(dataset_from_text(text), json.loads(head))


def shard_plan(described: dict[str, Any], where: Stage, shard: int, found: Shard) -> EvaluationPlan:
    """Return what a worker carries out: the evaluation's plan over a shard's rows.

    Args:
        described: What `EvaluationPlan.describe` said of the whole.
        where: Where it is.
        shard: Which.
        found: Its rows.
    """
    named = {**described, "evaluation_id": f"{where.folder}-{where.name(shard)}", "cluster": None}
    return EvaluationPlan.from_json(named, found.rows).repeating(found.repeats)
