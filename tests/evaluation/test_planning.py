"""Planned sizes reach the power they promise; margins are kept; looking all the time does not mislead."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import multinomial

from llmflowlab.evaluation.conclude.results import Comparison
from llmflowlab.statistics import paired_test
from llmflowlab.statistics.noninferiority import non_inferior
from llmflowlab.statistics.paired import mean_p_value, tango_statistic
from llmflowlab.statistics.planning import (
    mcnemar_power,
    rows_for_degrees,
    rows_for_yes_no,
    visible_degrees,
    visible_yes_no,
)
from llmflowlab.statistics.sequential import ConfidenceSequence, decide
from tests.known import known


def generator(*seed):
    return np.random.default_rng([20240607, *seed])


def yes_no(source, n, discordance, difference):
    """Return paired yes/no scores; the second is better by `difference` on average."""
    counts = source.multinomial(
        n,
        [(discordance - difference) / 2, (discordance + difference) / 2, 1 - discordance],
    )
    only_a, only_b, same = map(int, counts)
    return [1.0] * only_a + [0.0] * only_b + [1.0] * same, [0.0] * only_a + [1.0] * only_b + [
        1.0
    ] * same


def is_shown(test):
    found = Comparison(a="a", b="b", scorer="s", test=test, p_adjusted=test.p_value)
    return known(found).verdict == "b_better"


@pytest.mark.parametrize(
    ("discordance", "difference"), [(0.3, 0.1), (0.2, 0.05), (0.5, 0.15), (0.12, 0.1)]
)
def test_a_planned_size_reaches_eighty_percent_for_yes_and_no(discordance, difference):
    rows = rows_for_yes_no(discordance, difference)
    source, runs = generator(int(100 * discordance)), 1000
    seen = 0
    for _ in range(runs):
        a, b = yes_no(source, rows, discordance, difference)
        seen += is_shown(paired_test(a, b, binary=True))
    assert 0.77 <= seen / runs <= 0.83
    # By computation, without the chance of a simulation.
    assert 0.8 <= mcnemar_power(rows, discordance, difference) <= 0.82


def grades(source, n):
    """Return grades of 1 to 5 as a judge gives them, the second candidate's a little better."""
    common = source.normal(0, 0.7, n)
    edges = [-1.5, -0.8, 0, 0.8]
    return [np.digitize(common + source.normal(by, 0.7, n), edges) / 4 for by in (0.0, 0.3)]


def overlaps(source, n):
    """Return scores as of token F1: many at 1, many the same."""
    a = np.where(source.random(n) < 0.4, 1.0, source.beta(2, 2, n))
    b = np.where(source.random(n) < 0.55, 1.0, source.beta(2, 2, n))
    return a, np.where(source.random(n) < 0.4, a, b)


def degrees(source, n, *, difference=0.05, deviation=0.125):
    a = source.normal(0.45, 0.05, n)
    return a, a + source.normal(difference, deviation, n)


@pytest.mark.parametrize("draw", [grades, overlaps, degrees])
def test_a_planned_size_reaches_eighty_percent_for_degrees(draw):
    source, runs = generator(7), 800
    a, b = draw(source, 200_000)
    rows = rows_for_degrees(float((b - a).std()), float((b - a).mean()))
    seen = 0
    for _ in range(runs):
        a, b = draw(source, rows)
        # The test that `paired_test` makes, without its bootstrap, which takes long.
        seen += mean_p_value(b - a) < 0.05
    chance = 2.6 * (0.8 * 0.2 / runs) ** 0.5
    assert 0.77 - chance <= seen / runs <= 0.83 + chance


def test_a_planned_size_reaches_eighty_percent_for_the_verdict_on_degrees():
    source, runs = generator(9), 300
    # So many, and so different, that the bootstrap is believed; of fewer betting shows less.
    rows = rows_for_degrees(0.25, 0.06)
    seen = 0
    for _ in range(runs):
        drawn = degrees(source, rows, difference=0.06, deviation=0.25)
        a, b = ([float(v) for v in np.clip(values, 0, 1)] for values in drawn)
        seen += is_shown(paired_test(a, b, binary=False))
    assert 0.77 - 0.05 <= seen / runs <= 0.83 + 0.05


def test_the_power_is_the_share_of_simulations_that_find_it():
    source, runs = generator(8), 1500
    found = sum(
        is_shown(paired_test(*yes_no(source, 90, 0.4, 0.15), binary=True)) for _ in range(runs)
    )
    assert mcnemar_power(90, 0.4, 0.15) == pytest.approx(found / runs, abs=0.035)


def test_the_smallest_visible_difference_is_the_one_a_size_is_planned_for():
    rows = rows_for_yes_no(0.3, 0.1)
    assert visible_yes_no(rows, 0.3) == pytest.approx(0.1, abs=0.003)
    rows = rows_for_degrees(0.3, 0.05)
    assert visible_degrees(rows, 0.3) == pytest.approx(0.05, abs=0.001)


def test_too_few_rows_show_nothing():
    assert visible_yes_no(4, 0.3) is None
    assert visible_degrees(9, 0.3) is None


def test_no_size_is_planned_at_which_the_test_can_show_nothing():
    rows = rows_for_degrees(0.01, 0.6)
    better = [0.59 + row % 3 / 100 for row in range(rows)]
    assert is_shown(paired_test([0.0] * rows, better, binary=False))
    assert not is_shown(paired_test([0.0] * (rows - 3), better[:-3], binary=False))


@pytest.mark.parametrize("discordance", [0.0, 0.02])
def test_candidates_that_hardly_differ_could_still_have_shown_a_difference(discordance):
    # It once was unknown where the two disagreed nowhere.
    smallest = visible_yes_no(86, discordance)
    assert mcnemar_power(86, known(smallest), known(smallest)) == pytest.approx(0.8, abs=0.005)
    assert rows_for_yes_no(discordance, known(smallest)) == pytest.approx(86, abs=1)


def test_more_comparisons_need_more_rows():
    assert rows_for_yes_no(0.3, 0.1, alpha=0.05 / 6) > rows_for_yes_no(0.3, 0.1)


# Non-inferiority


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("margin", [0.02, 0.1])
def test_one_that_is_worse_by_the_margin_is_accepted_in_five_percent_at_most(n, margin):
    source, runs = generator(n, int(100 * margin)), 1500
    accepted = 0
    for _ in range(runs):
        b, a = yes_no(source, n, 0.3, margin)
        accepted += known(non_inferior(a, b, margin, binary=True)).verdict == "non_inferior"
    assert accepted / runs <= 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.parametrize("error", [0.05, 0.05 / 3])
@pytest.mark.parametrize(("n", "margin"), [(20, 0.01), (30, 0.03), (50, 0.02), (86, 0.1)])
def test_the_exact_error_of_yes_and_no_stays_below_its_promise(n, margin, error):
    # Without the correction it was up to 0.0604 (86 rows that disagree one way only).
    z = NormalDist().inv_cdf(1 - error)
    accepted = [
        (only_a, only_b, n - only_a - only_b)
        for only_a in range(n + 1)
        for only_b in range(n + 1 - only_a)
        if tango_statistic(only_a, only_b, n, -margin, correction=0.25) > z
    ]
    for discordance in (margin, 0.1, 0.13, 0.2, 0.3, 0.5):
        chances = [(discordance + margin) / 2, (discordance - margin) / 2, 1 - discordance]
        assert multinomial.pmf(accepted, n, chances).sum() <= error if accepted else True
    # The bound says the same as the test.
    for only_a, only_b, same in accepted[:: max(1, len(accepted) // 20)]:
        a = [1.0] * only_a + [0.0] * (only_b + same)
        b = [0.0] * only_a + [1.0] * only_b + [0.0] * same
        found = non_inferior(a, b, margin, binary=True, error=error)
        assert known(found).verdict == "non_inferior"


@pytest.mark.parametrize("n", [20, 50, 200])
def test_degrees_that_are_worse_by_the_margin_are_accepted_in_five_percent_at_most(n):
    source, runs, margin = generator(n, 3), 300, 0.1
    accepted = 0
    for _ in range(runs):
        a = source.beta(4, 2, n)
        b = source.beta(4, 2, n) * 0.85
        # The mean of the first is 2/3; 0.85 of it is 0.1 less.
        found = non_inferior(list(map(float, a)), list(map(float, b)), margin, binary=False)
        accepted += known(found).verdict == "non_inferior"
    assert accepted / runs <= 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.parametrize(
    ("baseline", "challenger", "verdict"),
    [
        pytest.param([1.0] * 200, [1.0] * 200, "non_inferior", id="equal"),
        pytest.param([1.0] * 100, [0.0] * 50 + [1.0] * 50, "inferior", id="worse"),
        pytest.param([1.0] * 10, [1.0] * 10, "not_shown", id="too-few"),
        pytest.param([0.0] * 30 + [1.0] * 70, [1.0] * 100, "non_inferior", id="better"),
    ],
)
def test_a_challenger_is_accepted_refused_or_left_open(baseline, challenger, verdict):
    found = non_inferior(baseline, challenger, 0.02, binary=True)
    assert known(found).verdict == verdict


def test_better_outright_is_superior_and_equal_is_not():
    assert known(non_inferior([0.0] * 30 + [1.0] * 70, [1.0] * 100, 0.02, binary=True)).superior
    assert not known(non_inferior([1.0] * 200, [1.0] * 200, 0.02, binary=True)).superior


def test_nothing_in_common_is_no_evidence():
    assert non_inferior([], [], 0.02, binary=True) is None


# Looking all the time


@pytest.mark.parametrize("chance", [0.15, 0.02])
def test_equals_are_rarely_told_apart_however_often_one_looks(chance):
    source, runs, wrong = generator(int(100 * chance)), 120, 0
    for _ in range(runs):
        sequence = ConfidenceSequence()
        for difference in source.choice([-1.0, 0.0, 1.0], 300, p=[chance, 1 - 2 * chance, chance]):
            sequence.add(float(difference))
            if decide(sequence.interval, 0.0) is not None:
                wrong += 1
                break
    assert wrong / runs <= 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.parametrize("better", ["a", "b"])
def test_candidates_a_margin_apart_are_rarely_called_alike_however_often_one_looks(better):
    source, runs, wrong, margin = generator(23, ord(better)), 120, 0, 0.1
    chances = [0.05, 0.8, 0.15] if better == "b" else [0.15, 0.8, 0.05]
    for _ in range(runs):
        sequence, found = ConfidenceSequence(), None
        for difference in source.choice([-1.0, 0.0, 1.0], 400, p=chances):
            sequence.add(float(difference))
            found = decide(sequence.interval, margin)
            if found is not None:
                break
        wrong += found not in {None, f"{better}_better"}
    assert wrong / runs <= 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5


def test_ordinary_intervals_would_mislead_where_the_sequence_does_not():
    # The reason for all this: the same looks with an interval made for one look.
    source, runs, wrong = generator(21), 40, 0
    for _ in range(runs):
        a, b = [], []
        for _ in range(150):
            a.append(float(source.random() < 0.5))
            b.append(float(source.random() < 0.5))
            if len(a) >= 10 and known(paired_test(a, b, binary=True)).p_value < 0.05:
                wrong += 1
                break
    assert wrong / runs > 0.1


@pytest.mark.parametrize(
    ("chances", "verdict"),
    [
        pytest.param([0.05, 0.6, 0.35], "b_better", id="b"),
        pytest.param([0.35, 0.6, 0.05], "a_better", id="a"),
        pytest.param([0.01, 0.98, 0.01], "equivalent", id="alike"),
    ],
)
def test_a_clear_case_is_decided_rightly_long_before_the_end(chances, verdict):
    source = generator(22)
    sequence, found = ConfidenceSequence(), None
    for difference in source.choice([-1.0, 0.0, 1.0], 1500, p=chances):
        sequence.add(float(difference))
        found = decide(sequence.interval, 0.1)
        if found:
            break
    assert found == verdict
    assert sequence.n < 400


def test_a_difference_outside_the_scale_is_refused():
    with pytest.raises(ValueError, match="lies in"):
        ConfidenceSequence().add(1.5)
