import random

import numpy as np
import pytest
from scipy import stats

from llmflowlab.statistics import (
    bootstrap_interval,
    holm,
    mcnemar_exact,
    mean_interval,
    paired_test,
    rows_needed,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (13, 20), (197, 200)])
def test_wilson_equals_scipy(successes, n):
    theirs = stats.binomtest(successes, n).proportion_ci(method="wilson")
    ours = wilson_interval(successes, n)
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_equals_the_exact_binomial_test(seed):
    rng = random.Random(seed)
    a = [float(rng.random() < 0.6) for _ in range(80)]
    b = [float(rng.random() < 0.7) for _ in range(80)]
    only_a = sum(x > y for x, y in zip(a, b, strict=True))
    only_b = sum(y > x for x, y in zip(a, b, strict=True))
    theirs = stats.binomtest(only_a, only_a + only_b).pvalue
    assert mcnemar_exact(a, b) == pytest.approx(theirs, abs=1e-9)


def test_mcnemar_of_thousands_of_pairs_does_not_overflow():
    assert mcnemar_exact([0.0] * 3000 + [1.0] * 3000, [1.0] * 3000 + [0.0] * 3000) == 1.0


def test_wilcoxon_is_scipys():
    rng = np.random.default_rng(1)
    a, b = list(rng.random(40)), list(rng.random(40))
    test = paired_test(a, b, binary=False)
    theirs = stats.wilcoxon(np.array(b) - np.array(a), zero_method="pratt").pvalue
    assert test is not None
    assert test.p_value == pytest.approx(theirs, abs=1e-12)


def test_bca_is_close_to_scipys():
    sample = np.random.default_rng(7).beta(2, 1, 60)
    theirs = stats.bootstrap((sample,), np.mean, method="BCa", rng=3).confidence_interval
    ours = bootstrap_interval(list(sample))
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


def test_equal_values_do_not_claim_certainty():
    interval = bootstrap_interval([0.5] * 10)
    assert interval.low < 0.5 < interval.high


def test_no_value_has_no_interval():
    assert mean_interval([], binary=True) is None
    assert mean_interval([], binary=False) is None


def test_nobody_in_common_cannot_be_compared():
    assert paired_test([], [], binary=True) is None


def test_equal_candidates_are_not_told_apart():
    test = paired_test([1.0, 0.0, 1.0], [1.0, 0.0, 1.0], binary=True)
    assert test is not None
    assert (test.difference, test.p_value) == (0.0, 1.0)


def test_holm_is_monotone_and_never_above_one():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_bootstrap_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(200):
        interval = bootstrap_interval(list(rng.beta(2, 1, 30)))
        hits += interval.low <= 2 / 3 <= interval.high
    assert 0.90 <= hits / 200 <= 0.99


def test_rows_needed_reach_the_power_they_promise():
    needed = rows_needed(0.5, 0.1)
    assert needed is not None
    rng = np.random.default_rng(5)
    found = sum(
        stats.ttest_1samp(rng.normal(0.1, 0.5, needed), 0).pvalue < 0.05 for _ in range(2000)
    )
    assert found / 2000 == pytest.approx(0.8, abs=0.03)


def test_rows_needed_is_unknown_without_spread():
    assert rows_needed(0.0, 0.1) is None
