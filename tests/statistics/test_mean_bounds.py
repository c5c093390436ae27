"""Bounds of a mean by Hoeffding's inequality in its sharp form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmflowlab.statistics.mean_bounds import chernoff_interval


def test_ends_are_exact_where_nothing_or_all_was_seen() -> None:
    # Of n zeros: n·log(1/(1−m)) = log(1/alpha).
    found = chernoff_interval(0.0, 50, alpha=0.01)
    assert found.low == 0
    assert found.high == pytest.approx(1 - 0.01 ** (1 / 50))
    other = chernoff_interval(1.0, 50, alpha=0.01)
    assert other.low == pytest.approx(1 - found.high)
    assert other.high == 1


@pytest.mark.parametrize(("mean", "n"), [(0.2, 40), (0.5, 300), (0.93, 1000)])
def test_at_each_end_the_divergence_is_what_alpha_allows(mean: float, n: int) -> None:
    found = chernoff_interval(mean, n, alpha=0.005)
    for end in (found.low, found.high):
        kl = mean * math.log(mean / end) + (1 - mean) * math.log((1 - mean) / (1 - end))
        assert n * kl == pytest.approx(math.log(200), rel=1e-6)


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.5])
def test_the_truth_is_beyond_an_end_no_more_often_than_allowed(truth: float) -> None:
    totals = np.random.default_rng(7).binomial(100, truth, 4_000)
    found = [chernoff_interval(total / 100, 100, alpha=0.05) for total in totals]
    assert np.mean([truth < each.low for each in found]) <= 0.05
    assert np.mean([truth > each.high for each in found]) <= 0.05
