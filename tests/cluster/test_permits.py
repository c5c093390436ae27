from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, cast

from llmflowlab.asking.pacing import Pacer
from llmflowlab.cluster.coordinator import Coordinator
from llmflowlab.cluster.event_log import EventLog
from llmflowlab.cluster.leases import ClusterLimits, Lease, Money, Permits
from llmflowlab.cluster.permits import LeasedBudget, ProviderPermits, SharedLimiter
from tests.cluster.threads import MemoryStorage

CENT = Decimal("0.01")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def coordinator(clock: Clock | None = None, **limits: Any) -> Coordinator:
    given = ClusterLimits(**{"start": "one", "shards": 9, "concurrency": 4, **limits})
    return Coordinator(EventLog(MemoryStorage(), "log"), given, clock=clock or Clock())


def test_budgets_of_many_workers_never_pass_the_cap_together_and_use_it_up():
    head = coordinator(cap=100 * CENT)
    lock, sent = threading.Lock(), []
    leases = [cast("Lease", head.lease(name)) for name in "abc"]

    def budget(lease: Lease) -> LeasedBudget:
        def ask(spent: Decimal, reserved: Decimal, need: Decimal) -> Money:
            with lock:
                return head.money(lease.token, spent, reserved, need)

        return LeasedBudget(ask, lambda: None)

    budgets = [budget(lease) for lease in leases]

    def call(number: int) -> None:
        mine = budgets[number % 3]
        if mine.reserve(3 * CENT):
            with lock:
                sent.append(number)
            mine.settle(3 * CENT, CENT)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(call, range(200)))
    assert sum((mine.spent for mine in budgets), Decimal(0)) == len(sent) * CENT
    assert head.spent + head.leased <= 100 * CENT
    # What is left would not pay another call's worst case.
    assert 98 <= len(sent) <= 100


def test_a_budget_whose_lease_is_lost_gives_nothing_more_and_says_so():
    lost = threading.Event()
    budget = LeasedBudget(lambda *_: Money("lost"), lost.set)
    assert not budget.reserve(CENT)
    assert lost.is_set()


def test_money_of_a_lost_lease_is_charged_whole():
    head = coordinator(clock := Clock(), cap=100 * CENT)
    lease = cast("Lease", head.lease("a"))
    granted = head.money(lease.token, Decimal(0), Decimal(0), 10 * CENT)
    clock.now += 100
    assert head.standing().spent == granted.ceiling
    assert head.beat(lease.token, {}) == "lost"
    assert cast("Lease", head.lease("b")).shard == lease.shard


def test_requests_of_all_workers_keep_to_what_a_minute_allows():
    head = coordinator(clock := Clock(), per_minute={"x": 60.0})
    sent = []
    for _ in range(40):
        found = head.permits("x", 16, 0)
        sent += [clock.now + found.after + n * found.gap for n in range(found.count)]
        clock.now += 0.25
    assert sent == sorted(sent)
    assert all(later - earlier >= 1 - 1e-9 for earlier, later in itertools.pairwise(sent))


def test_tokens_of_the_last_minute_are_waited_for():
    head = coordinator(clock := Clock(), tokens_per_minute={"x": 1000.0})
    assert head.permits("x", 16, 0) == Permits(16, 0.0, 0.0)
    assert head.permits("x", 16, 1200) == Permits(0, 60.0, 0.0)
    clock.now += 61
    assert head.permits("x", 16, 0).count == 16


def test_a_coordinator_that_took_over_takes_the_last_minute_to_be_used_up():
    storage, clock = MemoryStorage(), Clock()
    limits = ClusterLimits(start="one", shards=1, concurrency=1, tokens_per_minute={"x": 1000.0})
    for first in (True, False):
        head = Coordinator(EventLog(storage, "log"), limits, clock=clock)
        assert bool(head.permits("x", 1, 0).count) == first


def test_calls_in_flight_of_a_provider_are_shared_out_and_a_worker_without_a_place_waits():
    head = coordinator(at_once={"local": 5})
    places = [cast("Lease", head.lease(name)).places["local"] for name in "ab"]
    assert places == [4, 1]
    assert head.lease("c") == "wait"


def test_nothing_is_sent_under_a_lease_that_is_lost_and_its_place_is_free_again():
    leased: list[bool | None] = [None, True, False]
    limiter = SharedLimiter(Pacer(1), lambda: leased.pop(0), None)
    stop = threading.Event()
    assert limiter.enter(stop)
    limiter.leave(None)
    assert not limiter.enter(stop)
    assert limiter.state().in_flight == 0


def test_a_stop_ends_the_wait_for_a_permit():
    class Empty:
        def permits(self, provider: str, wanted: int, tokens: int) -> Permits:
            stop.set()
            return Permits(0, 0.001, 0.0)

    stop = threading.Event()
    permits = ProviderPermits(cast("Any", Empty()), "x")
    limiter = SharedLimiter(Pacer(1), lambda: True, permits)
    assert not limiter.enter(stop)
    assert limiter.state().in_flight == 0


def test_tokens_are_reported_with_the_next_question():
    said = []

    class Noting:
        def permits(self, provider: str, wanted: int, tokens: int) -> Permits:
            said.append(tokens)
            return Permits(1, 0.0, 0.0)

    permits = ProviderPermits(cast("Any", Noting()), "x")
    limiter = SharedLimiter(Pacer(2), lambda: True, permits)
    stop = threading.Event()
    for tokens in (70, None, 5):
        assert limiter.enter(stop)
        limiter.leave(None, tokens)
    assert limiter.enter(stop)
    assert said == [0, 70, 0, 5]
