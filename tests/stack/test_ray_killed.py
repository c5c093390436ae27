"""Workers of a real Ray are killed every 5 s; `python -m benchmarks.torture.cluster` does so for 10 minutes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

import pytest

from benchmarks.harness import Bench, bench
from benchmarks.torture.cluster import LATENCY, killed_workers
from benchmarks.torture.victim import PRICE

pytest.importorskip("ray", reason="Ray is not installed; run: make test-stack")


@pytest.fixture
def own() -> Iterator[Bench]:
    with bench("--latency-ms", str(LATENCY * 1000)) as made:
        yield made


def test_no_row_is_lost_or_there_twice_while_a_worker_is_killed_every_5_seconds(own: Bench) -> None:
    found = killed_workers(own, 40, random.Random(3), rows=600, cap=Decimal(5))
    assert found.faults == (), found
    assert found.answered == 600
    assert found.kills > 1


def test_a_budget_that_does_not_reach_is_not_passed_by_workers_that_are_killed(own: Bench) -> None:
    found = killed_workers(own, 40, random.Random(4), rows=300, cap=200 * PRICE)
    assert found.faults == (), found
    assert found.answered <= 200
    assert found.kills > 0
