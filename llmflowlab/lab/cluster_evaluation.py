"""An evaluation on a cluster: what is asked of it, what its workers work with, and how it goes on elsewhere."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.asking.pacing import limits_of
from llmflowlab.cluster.crew import Crew
from llmflowlab.cluster.driver import TRACES, run_on_cluster
from llmflowlab.cluster.earlier_start import EarlierStart, earlier_start
from llmflowlab.cluster.leases import ClusterLimits
from llmflowlab.cluster.ray_crew import RayCrew, load_ray
from llmflowlab.cluster.shards import Stage, stage
from llmflowlab.cluster.storage import Storage, open_storage
from llmflowlab.data.dataset import sample
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.engine import EvaluationSnapshot
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.lab.cluster_worker import make_worker, travelling
from llmflowlab.lab.evaluation_request import EvaluationRequest, RayRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from llmflowlab.evaluation.run.workbench import EngineResources

__all__ = [
    "OnCluster",
    "crew_for",
    "limits_by_provider",
    "on_cluster",
    "refuse_unsplit",
    "rows_of_a_shard",
    "shared",
]

_SHARD = (20, 1_000)
"""Rows of a shard at least and at most, where nobody named them."""
_TURNS = 4
"""Shards that each worker is to have in turn, where there are rows enough."""


@dataclass(frozen=True, slots=True)
class OnCluster:
    """Where an evaluation is to run; what is staged of it is found again by its id."""

    request: RayRequest
    storage: Storage
    began: EarlierStart | None
    """How far earlier starts are; None where this is the first."""
    cap: Decimal | None
    """USD that an earlier start was given."""

    @property
    def traces(self) -> int:
        """Answers up to which MLflow has a trace of each."""
        return TRACES if self.request.traces is None else self.request.traces

    def drawn(self, plan: EvaluationPlan, most: int) -> tuple[EvaluationPlan, int]:
        """Return the plan that the estimate is made of, and how many rows it stands for.

        Args:
            plan: The evaluation.
            most: Rows that are looked at of more than MLflow gets traces of.
        """
        few = len(plan.dataset.rows) <= max(self.traces, most)
        if self.began is not None:
            left = len(self.began.left)
            return self.began.drawn(left if few else most), left
        rows = len(plan.dataset.rows)
        if few:
            return plan, rows
        return replace(plan, dataset=sample(plan.dataset, most, plan.order_seed)), rows

    def left(self, evaluation: str) -> str | None:
        """Return how an evaluation goes on that was left at once; None where none of it is staged.

        Raises:
            TrackingError: The storage cannot be read.
        """
        if self.storage.read(f"{evaluation}/plan.json") is None:
            return None
        place = self.storage.place
        return f"What was answered is in {place}: --resume {evaluation} --runner ray --storage {place} goes on there."

    def run(
        self,
        plan: EvaluationPlan,
        bench: EngineResources,
        crew: Crew,
        *,
        workers: int,
        on_progress: Callable[[EvaluationSnapshot], None],
    ) -> EvaluationResult:
        """Stage what is not staged yet, and carry it out.

        Raises:
            LabError: As `run_on_cluster`.
            KeyboardInterrupt: Likewise.
        """
        each = rows_of_a_shard(self.request, len(plan.dataset.rows), workers)
        where = (
            stage(plan, self.storage, shard_rows=each) if self.began is None else self.began.stage
        )
        cap = bench.budget.cap
        kept = json.dumps(None if cap is None else str(cap)).encode()
        self.storage.write(f"{where.folder}/budget.json", kept)
        return run_on_cluster(
            plan,
            bench,
            self.storage,
            where,
            crew,
            _limits(plan, bench, where),
            workers=workers,
            traces=self.traces,
            on_progress=on_progress,
        )


def on_cluster(lab: Lab, request: EvaluationRequest) -> OnCluster | None:
    """Return where an evaluation is to run; None where that is this process.

    Raises:
        InputError: The storage does not have what is to be gone on with.
        ConfigurationError: The storage cannot be written, or is of this machine alone.
    """
    asked = request.ray
    if asked is None:
        return None
    storage = shared(lab, asked)
    if request.resume is None:
        return OnCluster(asked, storage, None, None)
    began = earlier_start(storage, request.resume)
    cap = json.loads(storage.read(f"{request.resume}/budget.json") or b"null")
    return OnCluster(asked, storage, began, None if cap is None else Decimal(cap))


def shared(lab: Lab, asked: RayRequest) -> Storage:
    """Return the storage of a cluster.

    Raises:
        ConfigurationError: It cannot be written, or is of this machine alone; or Ray is not installed.
    """
    load_ray()
    place: str | Path | None = asked.storage
    if place is None:
        if asked.address not in {None, "local"}:
            raise ConfigurationError(
                "A cluster needs storage that all its machines see; name it with --storage, such as a network "
                "folder or s3://bucket/folder."
            )
        place = lab.settings.state_dir / "cluster"
    return open_storage(place)


def rows_of_a_shard(asked: RayRequest, rows: int, workers: int) -> int:
    """Return how many rows a worker takes at a time."""
    return asked.shard_rows or min(max(rows // (workers * _TURNS), _SHARD[0]), _SHARD[1])


def refuse_unsplit(request: EvaluationRequest) -> None:
    """Refuse what needs all rows in one process.

    Raises:
        InputError: It is asked for.
    """
    for asked, option in (
        (request.until_decided is not None, "--until-decided"),
        (request.harness != "fast", "--harness mlflow"),
    ):
        if request.ray is not None and asked:
            raise InputError(f"{option} needs all rows in one process; leave --runner ray out.")


def _limits(plan: EvaluationPlan, bench: EngineResources, where: Stage) -> ClusterLimits:
    references = [c.model for c in plan.candidates if c.column is None] + list(plan.judges)
    references += [embedder.reference for embedder in bench.embedders.values()]
    return ClusterLimits(
        start=secrets.token_hex(8),
        shards=where.shards,
        concurrency=bench.concurrency,
        cap=bench.budget.cap,
        **limits_by_provider(references, bench.settings),
    )


def limits_by_provider(references: Iterable[str], settings: Settings) -> dict[str, Any]:
    """Return what is known beforehand of how fast the providers of models may be asked.

    Raises:
        InputError: A limit that is configured is no number above 0.
    """
    found = {
        name: limits_of(name, settings)
        for name in dict.fromkeys(reference.partition(":")[0] for reference in references)
    }
    per_minute = {n: one.requests_per_minute for n, one in found.items()}
    tokens = {n: one.tokens_per_minute for n, one in found.items()}
    at_once = {n: one.at_once for n, one in found.items()}
    named: dict[str, Mapping[str, float | None]] = {
        "per_minute": per_minute,
        "tokens_per_minute": tokens,
        "at_once": at_once,
    }
    return {what: {n: v for n, v in one.items() if v is not None} for what, one in named.items()}


def crew_for(lab: Lab, request: RayRequest) -> tuple[Crew, int]:
    """Join or start the cluster; returns its crew and how many workers there are to be.

    Raises:
        ConfigurationError: Ray is not installed, or no cluster can be reached.
    """
    address = request.address
    if address == "auto":
        # As Ray itself does, and from the `.env` file too.
        address = lab.settings.get("RAY_ADDRESS") or address
    crew = RayCrew(address, partial(make_worker, travelling(lab.settings)))
    return crew, request.workers or crew.processors
