import json
from functools import cache

import numpy as np
import pytest

from llmflowlab.statistics.change_evidence import Band, EstimatedBand, evidence_table, log_evidence
from llmflowlab.statistics.watch import Watch, ages, together


def evidence(stream, total, n):
    return float(np.exp(log_evidence(stream, np.array(float(total)), np.array(float(n)))))


def worst_mean(final, n, low, high):
    """Return the most that `final(ones)` is on average after n yes or no, if an adversary moves the chance in a band."""

    @cache
    def value(ones, seen):
        if seen == n:
            return final(ones)
        more, less = value(ones + 1, seen + 1), value(ones, seen + 1)
        return max(chance * more + (1 - chance) * less for chance in (max(low, 0), min(high, 1)))

    return value(0, 0)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.05), (0.3, 0.5), (0.5, 0.5), (0.9, 1.0)])
def test_evidence_against_a_band_is_fair_whatever_moves_the_chance_within_it(low, high):
    stream = Band(low=low, high=high)
    for n in (1, 3, 12):
        assert worst_mean(lambda ones, n=n: evidence(stream, ones, n), n, low, high) <= 1 + 1e-9


@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("learnt", [(0, 0), (3, 6), (6, 6)])
def test_evidence_against_a_baseline_is_fair_whatever_the_mean_and_the_baseline_were(
    tolerance, learnt
):
    before, since = 8, 6
    table = np.array(
        [
            [
                evidence(
                    EstimatedBand(
                        total=s,
                        n=before,
                        tolerance=tolerance,
                        learnt_total=learnt[0],
                        learnt_n=learnt[1],
                    ),
                    t,
                    since,
                )
                for t in range(since + 1)
            ]
            for s in range(before + 1)
        ]
    )
    for mean in (0.0, 0.013, 0.1, 0.25, 0.5, 0.77, 0.99, 1.0):
        band = (mean - tolerance, mean + tolerance)

        def later(s, band=band):
            return worst_mean(lambda t: table[s, t], since, *band)

        assert worst_mean(later, before, *band) <= 1 + 1e-9


def test_degrees_are_worth_no_more_than_yes_and_no_of_the_same_mean():
    rng = np.random.default_rng(1)
    found = [
        evidence(Band(high=0.3), values.sum(), values.size)
        for values in rng.beta(0.6, 1.4, size=(4_000, 20))
    ]
    assert np.mean(found) < 1


def test_a_baseline_seen_for_longer_is_worth_more():
    few = EstimatedBand(total=10, n=20, tolerance=0.03)
    many = EstimatedBand(total=100, n=200, tolerance=0.03)
    learnt = EstimatedBand(total=50, n=100, tolerance=0.03, learnt_total=50, learnt_n=100)
    assert evidence(few, 20, 20) < evidence(many, 20, 20) < evidence(learnt, 20, 20)


def test_nothing_seen_is_no_evidence():
    for stream in (Band(low=0.2, high=0.4), EstimatedBand(total=3, n=9, tolerance=0.1)):
        assert evidence(stream, 0, 0) <= 1


def test_gamblers_are_counted_from_the_youngest_and_ever_fewer_of_the_old():
    assert ages(12).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    assert len(ages(720)) < 35


def test_streams_together_say_as_much_where_all_changed_and_where_one_did():
    many, one = np.full(20, 2.0), np.array([30.0, *[-1.5] * 19])
    assert together(many) > 38
    assert together(one) > 24
    assert together(np.array([0.7])) == 0.7


def looks_of(rng, chances):
    return [[(int(rng.random() < p), 1) for p in row] for row in chances]


def noticed(watch, looks, alpha):
    for number, look in enumerate(looks, start=1):
        watch.observe(look)
        if watch.alarmed(alpha):
            return number
    return None


def test_a_limit_that_is_broken_is_noticed_and_one_that_is_kept_is_not():
    rng = np.random.default_rng(2)

    def watch():
        return Watch([Band(high=0.05)], horizon=720, window=72)

    def hours(rate, n):
        return [[(int(rng.binomial(40, rate)), 40)] for _ in range(n)]

    assert noticed(watch(), hours(0.04, 240), 0.01) is None
    assert 1 <= (noticed(watch(), hours(0.25, 24), 0.01) or 99) <= 5


def test_a_late_change_is_noticed_as_soon_as_an_early_one():
    rng = np.random.default_rng(3)
    base = [EstimatedBand(total=30, n=60, tolerance=0.03, learnt_total=15, learnt_n=30)] * 24

    def delay(quiet):
        watch = Watch(base, horizon=720, window=48)
        assert noticed(watch, looks_of(rng, np.full((quiet, 24), 0.5)), 0.01) is None
        return noticed(watch, looks_of(rng, np.full((20, 24), 0.02)), 0.01)

    assert delay(0) in range(3, 11)
    assert delay(60) in range(3, 11)


def test_quiet_streams_that_wander_within_their_bands_alarm_as_seldom_as_is_said():
    rng = np.random.default_rng(4)
    horizon, alpha, alarms = 40, 0.1, 0
    for _ in range(25):
        centre = rng.uniform(0.3, 0.7, 4)
        hours = np.arange(30 + horizon)[:, None]
        wander = 0.05 * np.sin(2 * np.pi * hours / 24 + rng.uniform(0, 6, 4))
        looks = looks_of(rng, centre + wander)
        sums = np.array(looks)[..., 0]
        streams = [
            EstimatedBand(
                total=sums[10:30, i].sum(),
                n=20,
                tolerance=0.05,
                learnt_total=sums[:10, i].sum(),
                learnt_n=10,
            )
            for i in range(4)
        ]
        watch = Watch(streams, horizon=horizon, window=20)
        alarms += noticed(watch, looks[30:], alpha) is not None
    assert alarms <= 2


def test_a_watch_comes_back_as_it_was():
    watch = Watch(
        [Band(high=0.1), EstimatedBand(total=4, n=10, tolerance=0.05)], horizon=720, window=3
    )
    for look in ([(1, 2), (3, 4)], [(0, 0), (1, 1)], [(2, 2), (0.5, 1)], [(1, 1), (0, 1)]):
        watch.observe(look)
    again = Watch.from_json(json.loads(json.dumps(watch.to_json())))
    assert again.log_e == watch.log_e
    assert again.to_json() == watch.to_json()
    assert again.per_stream == watch.per_stream


@pytest.mark.parametrize("look", [[(2, 1)], [(-1, 1)], [(1, 1), (1, 1)], []])
def test_what_is_no_look_is_refused(look):
    with pytest.raises(ValueError, match="a look has"):
        Watch([Band(high=0.5)], horizon=10, window=5).observe(look)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Band(low=0.5, high=0.4),
        lambda: Band(high=1.1),
        lambda: EstimatedBand(total=3, n=2, tolerance=0.1),
        lambda: EstimatedBand(total=1, n=2, tolerance=1.0),
        lambda: Watch([], horizon=1, window=1),
        lambda: Watch([Band()], horizon=0, window=1),
    ],
)
def test_what_is_no_band_is_refused(make):
    with pytest.raises(ValueError, match=r"band|baseline|tolerance|watch"):
        make()


def test_a_table_of_outcomes_holds_what_each_would_say():
    baseline = EstimatedBand(total=20, n=50, tolerance=0.05, learnt_total=9, learnt_n=20)
    table = evidence_table(baseline, 12)
    for n, total in ((0, 0), (1, 1), (7, 2), (12, 12)):
        assert table[n, total] == pytest.approx(np.log(evidence(baseline, total, n)))
