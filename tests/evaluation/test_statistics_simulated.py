"""What intervals and tests promise, held against simulated data whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from llmflowlab.evaluation.conclude.results import Comparison
from llmflowlab.statistics import (
    corpus_interval,
    corpus_test,
    corpus_value,
    holm,
    letters,
    mcnemar_exact,
    paired_test,
    ranks,
    repeats,
    tango_interval,
    wilson_interval,
)
from llmflowlab.statistics.paired import tango_statistic
from llmflowlab.statistics.trials import pass_at_k, variance_components

RUNS = 400
ERROR = 2.6 * (0.05 * 0.95 / RUNS) ** 0.5
"""99 % of simulations with a true rate of 5 % come out within this."""


def generator(*seed):
    return np.random.default_rng([20240607, *seed])


# Coverage


@pytest.mark.parametrize("n", [20, 50, 200])
def test_wilson_covers_as_it_says_on_average_over_proportions(n):
    # At a single p the coverage of any such interval jumps with n; on average it must be right
    # (Brown, Cai & DasGupta 2001, Statistical Science 16:101-133). No simulation: all outcomes.
    edges = [wilson_interval(k, n) for k in range(n + 1)]
    covered = [
        sum(stats.binom.pmf(k, n, p) for k, edge in enumerate(edges) if edge.low <= p <= edge.high)
        for p in np.linspace(0.02, 0.98, 97)
    ]
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize("n", [20, 50, 200])
def test_the_paired_score_interval_covers_as_it_says(n):
    source = generator(n)
    covered = 0
    both, only_a, only_b = 0.5, 0.12, 0.2
    for _ in range(RUNS):
        counts = source.multinomial(n, [both, only_a, only_b, 1 - both - only_a - only_b])
        interval = tango_interval(int(counts[1]), int(counts[2]), n)
        covered += interval.low <= only_b - only_a <= interval.high
    assert 0.93 - ERROR <= covered / RUNS <= 0.97 + ERROR


# Error of the tests


def shown(test, p):
    return Comparison(a="a", b="b", scorer="s", test=test, p_adjusted=p).verdict in {
        "a_better",
        "b_better",
    }


def test_better_is_never_said_with_an_interval_that_contains_zero():
    source = generator(5)
    said = 0
    for n in (8, 20, 60):
        for _ in range(300):
            a, b = (list(map(float, source.random(n) < p)) for p in (0.5, 0.8))
            test = paired_test(a, b, binary=True)
            assert test is not None
            if shown(test, test.p_value):
                said += 1
                assert not test.interval.low <= 0 <= test.interval.high
            elif test.p_value < 0.05:
                pytest.fail("the exact test and the score interval must not disagree")
    assert said > 100


# The same as the libraries'


@pytest.mark.parametrize("table", [(0, 5), (3, 9), (12, 30), (40, 41), (0, 0), (700, 790)])
def test_mcnemar_equals_statsmodels(table):
    b, c = table
    a_wins, b_wins = [1.0] * b + [0.0] * c, [0.0] * b + [1.0] * c
    expected = mcnemar([[10, b], [c, 10]], exact=True).pvalue if b + c else 1.0
    assert mcnemar_exact(a_wins, b_wins) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [12, 40, 2000])
def test_the_test_of_the_mean_equals_scipys_randomisation_test(n):
    # All signs, a draw of them, and the normal limit.
    source = generator(6, n)
    a, b = source.beta(2, 2, n), source.beta(2, 2, n) + 0.05
    test = paired_test(list(map(float, a)), list(map(float, b)), binary=False)
    assert test is not None
    expected = stats.permutation_test(
        (b - a,), np.mean, permutation_type="samples", n_resamples=8_000, rng=1
    ).pvalue
    assert test.p_value == pytest.approx(expected, abs=1e-9 if n == 12 else 0.02)


def test_holm_equals_statsmodels():
    p = list(map(float, generator(7).random(12) ** 3))
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), abs=1e-9)


@pytest.mark.parametrize(("b", "c", "n"), [(4, 14, 54), (0, 6, 30), (3, 3, 10), (20, 5, 200)])
@pytest.mark.parametrize("difference", [-0.4, -0.1, 0.0, 0.05, 0.3])
def test_the_restricted_estimate_of_tango_is_the_maximum_of_the_likelihood(b, c, n, difference):
    def negative(q):
        only_a, only_b = q, q + difference
        rest = 1 - only_a - only_b
        if min(only_a, only_b, rest) <= 0:
            return np.inf
        return -(b * np.log(only_a) + c * np.log(only_b) + (n - b - c) * np.log(rest))

    low, high = max(0.0, -difference), (1 - difference) / 2
    found = optimize.minimize_scalar(
        negative, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    q = found.x
    expected = (c - b - n * difference) / np.sqrt(n * (2 * q + difference * (1 - difference)))
    assert tango_statistic(b, c, n, difference) == pytest.approx(expected, abs=2e-3)


def test_tangos_statistic_at_no_difference_is_mcnemars():
    assert tango_statistic(4, 14, 54, 0.0) == pytest.approx((14 - 4) / 18**0.5)


# Trials


def test_variance_components_are_the_anova_estimators():
    source = generator(8)
    groups = [list(map(float, source.normal(m, 0.2, k))) for m, k in ((0.2, 3), (0.5, 4), (0.9, 5))]
    between, within = variance_components(groups)
    f, _ = stats.f_oneway(*groups)
    total = sum(map(len, groups))
    size = (total - sum(len(g) ** 2 for g in groups) / total) / (len(groups) - 1)
    assert between == pytest.approx((f - 1) * within / size)


def test_variance_components_find_what_was_put_in():
    source = generator(9)
    groups = [list(map(float, source.normal(m, 0.3, 5))) for m in source.normal(0.5, 0.2, 4000)]
    between, within = variance_components(groups)
    assert between == pytest.approx(0.04, rel=0.1)
    assert within == pytest.approx(0.09, rel=0.05)


def test_repeats_count_flips_and_the_chance_that_all_trials_pass():
    found = repeats([[1, 1, 1], [1, 0, 1], [0, 0, 0], [1]], binary=True)
    assert found is not None
    assert found.questions == 3
    assert found.flip_rate == pytest.approx(1 / 3)
    assert found.pass_k == pytest.approx({1: 5 / 9, 2: (1 + 1 / 3 + 0) / 3, 3: 1 / 3})


def test_a_single_trial_says_nothing_of_runs():
    assert repeats([[1.0], [0.0]], binary=True) is None


@pytest.mark.parametrize("k", [1, 2, 3])
def test_pass_at_k_is_unbiased(k):
    source = generator(10, k)
    p, trials = 0.3, 5
    found = [pass_at_k(trials, int(source.binomial(trials, p)), k) for _ in range(20_000)]
    assert np.mean(found) == pytest.approx(1 - (1 - p) ** k, abs=0.01)


# Tiers


@pytest.mark.parametrize(
    ("better", "standing", "display"),
    [
        pytest.param([], [1, 1, 1], {0: "a", 1: "a", 2: "a"}, id="alike"),
        pytest.param([(0, 2)], [1, 1, 2], {0: "a", 1: "ab", 2: "b"}, id="chain"),
        pytest.param([(0, 1), (0, 2), (1, 2)], [1, 2, 3], {0: "a", 1: "b", 2: "c"}, id="all-apart"),
        pytest.param([(0, 1), (0, 2)], [1, 2, 2], {0: "a", 1: "b", 2: "b"}, id="one-ahead"),
    ],
)
def test_candidates_that_cannot_be_told_apart_share_rank_and_letter(better, standing, display):
    assert ranks(3, better) == standing
    assert letters([0, 1, 2], better) == display


def test_letters_are_shared_exactly_by_those_not_told_apart():
    source = generator(12)
    for _ in range(200):
        count = int(source.integers(2, 8))
        pairs = [p for p in itertools.combinations(range(count), 2) if source.random() < 0.4]
        display = letters(list(range(count)), pairs)
        for first, second in itertools.combinations(range(count), 2):
            shared = bool(set(display[first]) & set(display[second]))
            assert shared == ((first, second) not in pairs)


# Corpus figures


def ratio(sums):
    return sums[0] / sums[1]


def test_a_corpus_figure_is_of_the_sums_and_not_the_mean_of_rows():
    assert corpus_value([(1, 1), (0, 3)], ratio) == 0.25
    assert corpus_value([], ratio) is None


def test_the_order_of_rows_changes_nothing():
    rows = [(float(a), float(a + b)) for a, b in generator(13).integers(1, 9, (40, 2))]
    assert corpus_interval(rows, ratio) == corpus_interval(rows[::-1], ratio)


def test_corpus_intervals_cover_and_equal_systems_are_told_apart_rarely():
    source = generator(14)
    truth, covered, wrong, runs = 0.6, 0, 0, 60
    for _ in range(runs):
        lengths = source.integers(3, 30, 60)
        one, two = ([(float(source.binomial(n, truth)), float(n)) for n in lengths] for _ in "ab")
        interval = corpus_interval(one, ratio)
        assert interval is not None
        covered += interval.low <= truth <= interval.high
        test = corpus_test(one, two, ratio)
        assert test is not None
        wrong += shown(test, test.p_value)
    assert covered / runs >= 0.95 - 2.6 * (0.05 * 0.95 / runs) ** 0.5
    assert wrong / runs <= 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5
