"""The simulation of `make simulate`, in small, and that it is the canary's own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulations.canary import CHANGES, QUIET, layer_alarms, upper_bound
from llmflowlab.monitoring.canary_power import first_alarms, tables_of
from llmflowlab.statistics.change_evidence import EstimatedBand
from llmflowlab.statistics.watch import Watch


def test_tables_alarm_at_the_look_at_which_a_watch_does() -> None:
    rng = np.random.default_rng(5)
    learnt = rng.binomial(10, 0.5, (1, 4))
    before = rng.binomial(30, 0.5, (1, 4))
    counts = rng.integers(0, 2, (1, 40, 4))
    ones = counts * (rng.random((1, 40, 4)) < 0.97)
    tables = tables_of(
        learnt,
        np.full_like(learnt, 10),
        before,
        np.full_like(before, 30),
        tolerance=0.03,
        most=24,
    )
    watch = Watch(
        [
            EstimatedBand(
                total=int(before[0, i]),
                n=30,
                tolerance=0.03,
                learnt_total=int(learnt[0, i]),
                learnt_n=10,
            )
            for i in range(4)
        ],
        horizon=60,
        window=24,
    )
    said = []
    for look in range(40):
        watch.observe([(int(ones[0, look, i]), int(counts[0, look, i])) for i in range(4)])
        said.append(watch.log_e)
    for needed in (-2.0, 0.0, 1.0, 2.0):
        first = next((i for i, log_e in enumerate(said, 1) if log_e >= needed), 0)
        found = first_alarms(tables, ones, counts, horizon=60, log_needed=needed, window=24)
        assert found.tolist() == [first]
    assert max(said) > 2


def test_a_quiet_time_is_quiet_and_another_model_is_noticed_within_ten_samples() -> None:
    looks = 30
    assert layer_alarms(QUIET, 1, 4, looks, looks, ("words", "new_words")).tolist() == [0] * 4
    found = layer_alarms(CHANGES[0], 2, 12, 18, 8, ("words",))
    assert np.mean((found > 8) & (found <= 18)) >= 0.8


def test_the_upper_bound_is_that_of_clopper_and_pearson() -> None:
    assert upper_bound(0, 2_000) == pytest.approx(1 - 0.05 ** (1 / 2_000))
    assert upper_bound(3, 3) == 1
    assert upper_bound(3, 2_000) == pytest.approx(0.003872, abs=1e-6)
