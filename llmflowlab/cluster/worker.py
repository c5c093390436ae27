"""One worker: leases shards, has the engine answer and score their rows, and commits them."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.pacing import Limiter, Pacer
from llmflowlab.cluster.leases import LEASE, ClusterLimits, Lease, UnderWay
from llmflowlab.cluster.permits import Head, LeasedBudget, ProviderPermits, SharedLimiter
from llmflowlab.cluster.row_files import InVain, rows_file
from llmflowlab.cluster.shard_ledger import PaidRecord, ShardLedger, paid_key, records_in, text_of
from llmflowlab.cluster.shards import Stage, read_shard, shard_plan
from llmflowlab.cluster.storage import Storage
from llmflowlab.errors import LabError
from llmflowlab.evaluation.run.engine import EngineResources, EvaluationSnapshot, run_rows
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.settings import Settings

__all__ = ["BuildBench", "ShardMeans", "ShardWorker"]

_WAIT = 0.5
"""Seconds between two questions whether a shard was left by another worker."""
_SURE = LEASE * 0.8
"""Seconds after a sign of life was taken for which nobody else can have the shard."""
_START = 10
"""Calls in flight at the beginning, before the provider's answers allow more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMeans:
    """What a shard is worked on with, whatever the models are."""

    ledger: Ledger
    budget: Budget
    limiter: Callable[[str, Settings, int], Limiter]
    """Paces a model, by its reference's provider, settings and calls in flight."""
    concurrency: int
    """Calls in flight of each model."""
    folder: Path
    """Goes with the shard."""


BuildBench: TypeAlias = Callable[[EvaluationPlan, ShardMeans], EngineResources]
"""Makes what the engine works with, on the machine of a worker."""


class ShardWorker:
    """Works until no shard is left.

    Args:
        name: Its own among all workers there ever are of an evaluation.
        storage: Where rows are and go.
        stage: The evaluation there.
        described: Its plan, as `EvaluationPlan.describe` has it.
        limits: What all workers together keep to.
        head: The coordinator.
        build: Makes what the engine works with.
    """

    def __init__(
        self,
        name: str,
        storage: Storage,
        stage: Stage,
        described: dict[str, Any],
        limits: ClusterLimits,
        head: Head,
        build: BuildBench,
    ) -> None:
        self._name, self._storage, self._stage = name, storage, stage
        self._described, self._limits, self._head, self._build = described, limits, head, build
        self._earlier: Sequence[PaidRecord] | None = None
        self._permits: dict[str, ProviderPermits] = {}
        self._reached: dict[str, int] = {}
        """Calls in flight that a provider took in the shard before."""

    def work(self) -> None:
        """Carry out shard after shard.

        Raises:
            LabError: Something cannot be used here, or the storage fails; the shard is left to others.
        """
        pause = threading.Event()
        while (lease := self._head.lease(self._name)) != "none":
            if lease == "wait":
                pause.wait(_WAIT)
            else:
                assert isinstance(lease, Lease)
                _Attempt(self, lease).carry_out()

    def limiter(
        self, lease: Lease, leased: Callable[[], bool | None], provider: str, concurrency: int
    ) -> Limiter:
        """Return a model's pace: the cluster's where that is limited, and what the provider takes."""
        most = lease.places.get(provider, concurrency)
        pacer = Pacer(most, start=max(_START, self._reached.get(provider, 0)))
        limits = self._limits
        permits = None
        if provider in limits.per_minute or provider in limits.tokens_per_minute:
            permits = self._permits.setdefault(provider, ProviderPermits(self._head, provider))
        return SharedLimiter(pacer, leased, permits)

    def reached(self, provider: str, limiter: Limiter) -> None:
        """Remember how many calls in flight a provider took."""
        self._reached[provider] = limiter.state().limit

    @property
    def earlier(self) -> Sequence[PaidRecord]:
        """What other evaluations paid for, and the examination of the judges."""
        if self._earlier is None:
            self._earlier = records_in(self._storage.read(f"{self._stage.folder}/earlier.jsonl"))
        return self._earlier


class _Attempt:
    """One attempt at one shard."""

    def __init__(self, worker: ShardWorker, lease: Lease) -> None:
        self._worker, self._lease = worker, lease
        self._storage, self._stage = worker._storage, worker._stage
        self._lost, self._stopping, self._ended = (threading.Event() for _ in range(3))
        self._told = False
        self._sure_until = time.monotonic() + _SURE
        self._under_way: Mapping[int, UnderWay] = {}
        self._limiters: list[tuple[str, Limiter]] = []
        ask = partial(worker._head.money, lease.token)
        capped = worker._limits.cap is not None
        self._budget = LeasedBudget(ask, self._lost.set) if capped else Budget(None)

    def carry_out(self) -> None:
        beating = threading.Thread(target=self._beat, name="beat", daemon=True)
        beating.start()
        folder = Path(tempfile.mkdtemp(prefix="llmflowlab-shard-"))
        try:
            self._carry_out(folder)
        except KeyboardInterrupt:
            # Our own, at a lost lease: nothing of it counts any more.
            if not self._lost.is_set():
                raise
        except LabError:
            with suppress(LabError):
                self._worker._head.leave(self._lease.token, self._committed)
            raise
        finally:
            self._ended.set()
            beating.join()
            shutil.rmtree(folder, ignore_errors=True)

    def _carry_out(self, folder: Path) -> None:
        worker, shard = self._worker, self._lease.shard
        found = read_shard(self._storage, self._stage, shard)
        plan = shard_plan(worker._described, self._stage, shard, found)
        journal = self._stage.key("journal", shard, "")
        with closing(
            ShardLedger(folder / "rows.db", self._storage, journal, self._lease.token)
        ) as ledger:
            ledger.recall(plan.evaluation_id, worker.earlier)
            means = ShardMeans(
                ledger=ledger,
                budget=self._budget,
                limiter=self._limiter,
                concurrency=worker._limits.concurrency,
                folder=folder,
            )
            run_rows(plan, worker._build(plan, means), on_progress=self._watch)
            if not self._lost.is_set():
                self._commit(plan, ledger)
        for provider, limiter in self._limiters:
            worker.reached(provider, limiter)

    def _commit(self, plan: EvaluationPlan, ledger: ShardLedger) -> None:
        evaluation = plan.evaluation_id
        outcomes = [Outcome.from_json(values) for _, values in ledger.outcomes(evaluation)]
        in_vain = InVain(
            [score.to_json() for score in ledger.judged_in_vain(evaluation)],
            {
                key: [record.to_json() for record in records]
                for key, records in ledger.answered_in_vain(evaluation).items()
            },
        )
        whole = len(outcomes) == plan.size and all(outcome.settled for outcome in outcomes)
        ending = f"-{self._lease.token:010d}"
        first = self._stage.first(self._lease.shard)
        rows = self._stage.key("results", self._lease.shard, f"{ending}.parquet")
        paid = paid_key(rows)
        self._storage.write(paid, text_of(ledger.paid))
        self._storage.write(rows, rows_file(plan, outcomes, first, in_vain))
        if not self._worker._head.commit(self._lease.token, rows, self._committed, whole=whole):
            # Another took the shard over: its rows count, these do not.
            self._storage.delete([rows, paid])
        elif whole:
            ledger.clear()

    @property
    def _committed(self) -> Decimal:
        """USD that may have been spent under this lease, calls that were given up included."""
        return self._budget.committed

    def _limiter(self, provider: str, settings: Settings, concurrency: int) -> Limiter:
        made = self._worker.limiter(self._lease, self._leased, provider, concurrency)
        self._limiters.append((provider, made))
        return made

    def _leased(self) -> bool | None:
        """Tell whether the shard is still this worker's; None until the coordinator says."""
        if self._lost.is_set():
            return False
        return True if time.monotonic() < self._sure_until else None

    def _watch(self, snapshot: EvaluationSnapshot) -> None:
        self._under_way = {
            index: UnderWay(one.done, one.in_flight, one.asking)
            for index, one in enumerate(snapshot.candidates)
        }
        if self._lost.is_set() or (self._stopping.is_set() and not self._told):
            self._told = True
            raise KeyboardInterrupt

    def _beat(self) -> None:
        while not self._ended.wait(LEASE / 8):
            # Where it cannot be told, the lease runs out by itself, and a commit is refused.
            with suppress(LabError):
                asked = time.monotonic()
                said = self._worker._head.beat(self._lease.token, self._under_way)
                if said == "lost":
                    self._lost.set()
                    continue
                self._sure_until = asked + _SURE
                if said == "stop":
                    self._stopping.set()
