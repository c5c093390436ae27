"""The coordinator under any order of leases, calls, kills and restarts: the cap holds, each shard commits once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmflowlab.cluster.coordinator import Coordinator
from llmflowlab.cluster.event_log import EventLog, Fenced
from llmflowlab.cluster.leases import LEASE, ClusterLimits, Lease, UnderWay
from tests.cluster.threads import MemoryStorage

CAP = Decimal("1.00")
SHARDS = 4
WORKERS = st.sampled_from(["a", "b", "c"])
CENTS = st.integers(5, 40).map(lambda n: Decimal(n) / 100)


@dataclass
class Worker:
    """What a worker believes; it may be asleep and wrong."""

    lease: Lease | None = None
    spent: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    ceiling: Decimal = Decimal(0)


class CoordinatorMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.storage = MemoryStorage()
        self.limits = ClusterLimits(start="one", shards=SHARDS, concurrency=4, cap=CAP)
        self.old: list[Coordinator] = []
        self.head = self.coordinator()
        self.workers = {name: Worker() for name in "abc"}
        self.paid = Decimal(0)
        """What providers were really paid, lost workers included."""
        self.committed: dict[int, str] = {}
        self.whole: set[int] = set()
        self.tokens: list[int] = []

    def coordinator(self) -> Coordinator:
        return Coordinator(EventLog(self.storage, "log"), self.limits, clock=lambda: self.now)

    def lease(self, name):
        """Have a worker that has no shard lease one."""
        worker = self.workers[name]
        if worker.lease is not None:
            return
        found = self.head.lease(name)
        if isinstance(found, Lease):
            assert found.token not in self.tokens
            assert found.shard not in self.whole
            self.tokens.append(found.token)
            self.workers[name] = Worker(found)

    @rule(name=WORKERS, worst=CENTS)
    def call(self, name, worst):
        """Reserve a call's worst case and send it; it is answered later."""
        self.lease(name)
        worker = self.workers[name]
        if worker.lease is None:
            return
        if worker.spent + worker.reserved + worst > worker.ceiling:
            said = self.head.money(worker.lease.token, worker.spent, worker.reserved, worst)
            if said.verdict == "lost":
                self.workers[name] = Worker()
                return
            worker.ceiling = said.ceiling
            if said.verdict != "granted":
                return
        assert worker.spent + worker.reserved + worst <= worker.ceiling
        worker.reserved += worst

    @rule(name=WORKERS, share=st.sampled_from([0, 50, 100, 100]))
    def answered(self, name, share):
        worker = self.workers[name]
        cost = worker.reserved * share / 100
        self.paid += cost
        worker.spent += cost
        worker.reserved = Decimal(0)

    @rule(name=WORKERS, whole=st.booleans())
    def commit(self, name, whole):
        worker = self.workers[name]
        if worker.lease is None:
            return
        self.answered(name, 100)
        shard, token = worker.lease.shard, worker.lease.token
        key = f"{shard}-{token}"
        newer = any(
            other.lease is not None and other.lease.shard == shard and other.lease.token > token
            for other in self.workers.values()
        )
        taken = self.head.commit(token, key, worker.spent, whole=whole)
        # A worker that slept while its shard was given away cannot commit.
        assert not (taken and newer)
        if taken:
            assert self.head.commit(token, key, worker.spent, whole=whole)
            assert shard not in self.whole
            self.committed[shard] = key
            if whole:
                self.whole.add(shard)
        self.workers[name] = Worker()

    @rule(name=WORKERS)
    def killed(self, name):
        """Its calls in flight are paid, and nobody hears of it; its lease runs out."""
        worker = self.workers[name]
        self.paid += worker.reserved
        self.workers[name] = Worker()
        self.sleeps(name)

    @rule(name=WORKERS)
    def sleeps(self, name):
        """Longer than its lease, of which it learns nothing; the others go on."""
        for _ in range(3):
            self.now += LEASE / 2
            for other, one in self.workers.items():
                if other != name and one.lease is not None:
                    self.head.beat(one.lease.token, {})
        self.head.standing()

    @rule(name=WORKERS)
    def beat(self, name):
        worker = self.workers[name]
        if worker.lease is not None:
            self.head.beat(worker.lease.token, {0: UnderWay(done=1)})

    @rule(seconds=st.floats(0, LEASE))
    def time_passes(self, seconds):
        self.now += seconds
        self.head.standing()

    @rule()
    def restarted(self):
        self.old.append(self.head)
        before = self.head.standing()
        self.head = self.coordinator()
        after = self.head.standing()
        assert (after.spent, after.leased) == (before.spent, before.leased)
        assert after.commits == before.commits

    @rule()
    def started_anew(self):
        """A resumed evaluation does again what was committed in part."""
        self.limits = replace(self.limits, start=f"start-{len(self.old)}")
        self.old.append(self.head)
        self.head = self.coordinator()

    @rule(name=WORKERS)
    def one_of_before_writes(self, name):
        if not self.old:
            return
        worker = self.workers[name]
        if worker.lease is None:
            return
        try:
            taken = self.old[-1].commit(worker.lease.token, "stale", Decimal(0), whole=True)
        except Fenced:
            return
        assert not taken

    @invariant()
    def the_cap_holds(self):
        assert self.head.spent + self.head.leased <= CAP
        in_flight = sum((worker.reserved for worker in self.workers.values()), Decimal(0))
        assert self.paid + in_flight <= CAP

    @invariant()
    def every_shard_has_one_file(self):
        found = {shard: key for _, shard, key in self.head.standing().commits}
        assert found == self.committed


CoordinatorMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None
)
TestCoordinator = CoordinatorMachine.TestCase
