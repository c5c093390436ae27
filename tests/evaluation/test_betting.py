"""Intervals of grades that hold at every number of rows, and when they take the bootstrap's place."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmflowlab.statistics import betting, bootstrap_interval, mean_interval, paired_test
from llmflowlab.statistics.betting import betting_bounds
from llmflowlab.statistics.intervals import Interval, grade_interval
from llmflowlab.statistics.noninferiority import non_inferior
from tests.known import known


def generator(*seed):
    return np.random.default_rng([20240607, *seed])


# The same as the paper


def capital(values, mean, error, *, cut=0.9):
    """The capital of who bets that the values lie above a mean, step by step as in section 4."""
    total, squares, owned = 0.5, 0.25, 1.0
    for t, value in enumerate(values, start=1):
        variance = squares / t
        bet = math.sqrt(2 * math.log(2 / error) / (len(values) * variance))
        owned *= 1 + min(bet, cut / mean) * (value - mean)
        total += value
        squares += (value - total / (t + 1)) ** 2
    return owned


@pytest.mark.parametrize("error", [0.05, 0.01])
@pytest.mark.parametrize("n", [1, 5, 20])
def test_the_ends_are_the_papers_where_capital_reaches_its_bound(n, error):
    values = np.sort(generator(1, n).beta(3, 1, n))
    low, high = betting_bounds(values, confidence=1 - error)
    orders = min(betting._MOST_ORDERS, max(betting._FEWEST_ORDERS, betting._WORK // n))
    places = np.random.default_rng(betting._SEED).permuted(
        np.tile(np.arange(n), (orders, 1)), axis=1
    )

    def owned(sample, mean):
        return np.mean([capital(sample[order], mean, error) for order in places])

    for sample, end in ((values, low), (1 - values, 1 - high)):
        # A little inside the bound is not yet reached, a little outside it is.
        assert owned(sample, end + 1e-5) < 2 / error
        if end > 1e-6:
            assert owned(sample, end - 1e-5) >= 2 / error


def test_the_order_of_values_changes_nothing_and_the_scale_may_be_turned():
    values = generator(2).beta(2, 1, 40)
    low, high = betting_bounds(values)
    assert betting_bounds(values[::-1]) == (low, high)
    turned = betting_bounds(1 - values)
    # The draw of orders is another one for the turned values.
    assert turned == pytest.approx((1 - high, 1 - low), abs=2e-3)


@pytest.mark.parametrize("n", [1, 2, 10, 1500])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_equal_values_are_never_taken_for_certain(n, value):
    low, high = betting_bounds(np.full(n, value))
    assert 0 <= low <= value <= high <= 1
    assert high - low >= 2 / (n + 1)


def test_clusters_of_one_are_the_values_themselves():
    values = generator(3).random(25)
    assert betting_bounds(values, np.ones(25)) == betting_bounds(values)


# Which interval it is

SHAPES = {
    "one-in-50-the-worst": (
        lambda g, n: np.where(g.random(n) < 0.02, 0.0, g.uniform(0.9, 1, n)),
        0.931,
    ),
    "85-percent-equal": (lambda g, n: np.where(g.random(n) < 0.85, 0.5, g.random(n)), 0.5),
    "ceiling": (lambda g, n: np.where(g.random(n) < 0.95, 1.0, g.random(n)), 0.975),
    "skewed": (lambda g, n: g.beta(5, 0.3, n), 5 / 5.3),
}


@pytest.mark.parametrize("n", [10, 20, 60])
@pytest.mark.parametrize("shape", SHAPES)
def test_sparse_grades_are_covered_as_promised(shape, n):
    # The bootstrap alone covers one in fifty the worst in 39 % at 20 rows.
    draw, truth = SHAPES[shape]
    source, runs = generator(4, n, len(shape)), 120
    covered = 0
    for _ in range(runs):
        interval = known(mean_interval(draw(source, n).tolist(), binary=False))
        covered += interval.low <= truth <= interval.high
    assert covered / runs >= 0.93 - 2.6 * (0.05 * 0.95 / runs) ** 0.5


def test_the_bootstrap_is_kept_where_what_was_seen_bears_it():
    source = generator(5)
    spread = source.choice([0.0, 0.25, 0.5, 0.75, 1.0], 50)
    assert grade_interval(spread) == bootstrap_interval(spread)
    flat = source.uniform(0.8, 0.9, 50)
    assert grade_interval(flat) == Interval(*betting_bounds(flat))
    # A grade of the worst more and more often: from a few on it is known how often.
    rare = np.ones(200)
    rare[:2] = 0.0
    assert grade_interval(rare) == Interval(*betting_bounds(rare))
    rare[:8] = 0.0
    assert grade_interval(rare) == bootstrap_interval(rare)


def test_amounts_without_a_scale_keep_the_bootstrap():
    seconds = generator(6).exponential(2.0, 40)
    test = known(paired_test([0.0] * 40, seconds.tolist(), binary=False, bounded=False))
    most = float(seconds.max())
    scaled = bootstrap_interval((seconds / most + 1) / 2)
    assert test.interval.low == pytest.approx(most * (2 * scaled.low - 1))


# What is decided by it

EQUAL_ON_AVERAGE = {
    "one-in-50-much-worse": lambda g, n: np.where(g.random(n) < 0.02, -0.98, 0.02),
    "one-in-25-with-noise": lambda g, n: np.where(
        g.random(n) < 0.04, -0.96, 0.04 + g.uniform(-0.02, 0.02, n)
    ),
    "one-in-10": lambda g, n: np.where(g.random(n) < 0.1, -0.9, g.uniform(-0.1, 0.3, n)),
}


@pytest.mark.parametrize("n", [10, 20, 60])
@pytest.mark.parametrize("shape", EQUAL_ON_AVERAGE)
def test_equal_means_of_other_shapes_are_neither_better_nor_no_worse(shape, n):
    # The randomisation test alone calls the first of them better in 67 % at 20 rows.
    source, runs = generator(7, n, len(shape)), 200
    better = no_worse = 0
    for _ in range(runs):
        b = EQUAL_ON_AVERAGE[shape](source, n)
        test = known(paired_test([0.0] * n, b.tolist(), binary=False))
        better += test.p_value < 0.05 and not test.interval.low <= 0 <= test.interval.high
        held = known(non_inferior([0.0] * n, b.tolist(), 0.0, binary=False))
        no_worse += held.verdict == "non_inferior"
    most = 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5
    assert better / runs <= most
    assert no_worse / runs <= most


def test_grades_that_jump_like_yes_and_no_keep_the_promise_of_no_worse():
    # One in 25 at the worst, equal means: 30 or fewer of 1,000 come up in 5.8 %, 29 or fewer in 4.0 %.
    def lower(worst):
        b = np.where(np.arange(1000) < worst, -0.96, 0.04)
        return known(non_inferior([0.0] * 1000, b.tolist(), 0.0, binary=False)).lower_bound

    assert lower(30) <= 0 < lower(28)
