import random

import numpy as np
import pytest
from scipy import stats

from llmflowlab.statistics import (
    bootstrap_interval,
    holm,
    holm_levels,
    mcnemar_exact,
    mean_interval,
    paired,
    paired_test,
    quantile,
    wilson_interval,
)
from llmflowlab.statistics.planning import rows_for_degrees
from tests.known import known


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


def test_many_discordant_pairs_have_the_p_value_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    for n, apart in ((20_001, 300), (20_001, 40), (50_000, 1_000)):
        a = np.arange(n) < (n - apart) // 2
        assert n > paired._WHOLE_NUMBERS
        shortcut = mcnemar_exact(a.astype(float), (~a).astype(float))
        with monkeypatch.context() as counting:
            counting.setattr(paired, "_WHOLE_NUMBERS", n)
            whole = mcnemar_exact(a.astype(float), (~a).astype(float))
        assert shortcut == pytest.approx(whole, rel=1e-9)


def test_the_test_of_a_mean_difference_is_near_students():
    rng = np.random.default_rng(1)
    a, b = list(rng.random(60)), list(rng.random(60) + 0.05)
    test = paired_test(a, b, binary=False)
    assert test is not None
    assert test.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)


def test_means_that_are_equal_but_for_the_noise_of_sums_are_equal():
    # 0.1 + 0.2 is not 0.3: a difference that is none once broke ties and changed ranks.
    a, b = [0.3] * 20 + [0.7] * 20, [0.1 + 0.2] * 20 + [0.6 + 0.1] * 20
    test = paired_test(a, b, binary=False)
    assert test is not None
    assert (test.difference, test.p_value) == (0.0, 1.0)


def test_neither_the_order_of_rows_nor_who_is_called_a_changes_the_p_value():
    rng = np.random.default_rng(4)
    a, b = rng.random(50), rng.random(50)
    order = rng.permutation(50)
    p = known(paired_test(list(a), list(b), binary=False)).p_value
    assert known(paired_test(list(a[order]), list(b[order]), binary=False)).p_value == p
    assert known(paired_test(list(b), list(a), binary=False)).p_value == p


def test_a_corrected_p_value_and_the_interval_at_its_level_say_the_same():
    p = [0.001, 0.02, 0.04, 0.6]
    levels = holm_levels(p)
    assert levels == pytest.approx([0.05 / 4, 0.05 / 3, 0.05 / 3, 0.05 / 3])
    for value, adjusted, level in zip(p, holm(p), levels, strict=True):
        assert (adjusted < 0.05) == (value < level)


def test_equal_p_values_are_tested_at_one_level_as_their_adjusted_values_are_equal():
    # Pins: three scorers that said the same of every row got three levels, and opposite verdicts.
    p = [0.0117, 0.0009, 0.0117, 0.0009 * (1 + 1e-12), 0.0117]
    levels = holm_levels(p)
    assert levels[1] == levels[3] == pytest.approx(0.05 / 5)
    assert levels[0] == levels[2] == levels[4] == pytest.approx(0.05 / 3)
    for value, adjusted, level in zip(p, holm(p), levels, strict=True):
        assert (adjusted < 0.05) == (value < level)


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


def test_planned_rows_reach_the_power_they_promise():
    needed = rows_for_degrees(0.5, 0.1)
    rng = np.random.default_rng(5)
    found = sum(
        stats.ttest_1samp(rng.normal(0.1, 0.5, needed), 0).pvalue < 0.05 for _ in range(2000)
    )
    assert found / 2000 == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([], 0.5, None, id="none"),
        pytest.param([3.0], 0.95, 3.0, id="one"),
        pytest.param([4.0, 1.0, 3.0, 2.0], 0.5, 2.5, id="between"),
        pytest.param([1.0, 2.0], 1.0, 2.0, id="last"),
    ],
)
def test_quantiles_lie_between_values(values, share, expected):
    assert quantile(values, share) == expected
