"""A sample of the 10,000 schedules of `make torture`, and that they can fail."""

from __future__ import annotations

from decimal import Decimal

import pytest

from benchmarks.torture.schedules import Schedule
from llmflowlab.asking.metering import Metering


def played(seed: int) -> Schedule:
    schedule = Schedule(seed)
    schedule.play()
    return schedule


def test_no_schedule_is_over_its_budget_or_loses_a_cent() -> None:
    # Seeds of their own, apart from those that `make torture` begins with.
    schedules = [played(seed) for seed in range(50_000, 50_200)]
    assert [fault for schedule in schedules for fault in schedule.faults] == []
    seen = {state for schedule in schedules for state in schedule.calls}
    assert seen == {"complete", "incomplete", "interrupted", "failed", "refused by budget"}


def test_tries_that_are_not_charged_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metering, "wasted", lambda *_: Decimal(0))
    faults = [fault for seed in range(50_000, 50_040) for fault in played(seed).faults]
    assert any("under a budget" in fault for fault in faults)
