import random

import choix
import numpy as np
import pytest

from llmflowlab.statistics.battles import Battle, style_difference, win_matrix, win_rate
from llmflowlab.statistics.bradley_terry import POINTS, fit_strengths
from llmflowlab.text.style import style_of
from tests.known import known
from tests.statistics.worlds import battles_between, voted

PUBLISHED = [[0, 2, 0, 1], [3, 0, 5, 0], [0, 3, 0, 1], [4, 0, 3, 0]]
TRUTH = (-0.8, -0.3, 0.0, 0.2, 0.9)


def won(wins):
    return [
        Battle(left=i, right=j, score=1.0)
        for i, line in enumerate(wins)
        for j, count in enumerate(line)
        for _ in range(count)
    ]


def test_published_strengths_come_out():
    # Wikipedia, "Bradley-Terry model", worked example: strengths of geometric mean 1.
    strengths = fit_strengths(won(PUBLISHED), 4, prior=0)
    assert np.exp(strengths.values) == pytest.approx([0.640, 1.043, 0.660, 2.270], abs=5e-4)


def test_maximum_likelihood_equals_choix():
    battles = battles_between(TRUTH, 300, np.random.default_rng(3))
    pairs = [(b.left, b.right) if b.score else (b.right, b.left) for b in battles]
    theirs = choix.opt_pairwise(len(TRUTH), pairs)
    assert fit_strengths(battles, len(TRUTH), prior=0).values == pytest.approx(theirs, abs=1e-4)


def test_the_win_matrix_gives_half_a_win_for_a_tie():
    battles = [*won(PUBLISHED), Battle(left=2, right=0, score=0.5)]
    expected = np.array(PUBLISHED, dtype=float)
    expected[0, 2] = expected[2, 0] = 0.5
    expected[2, 0] += PUBLISHED[2][0]
    assert win_matrix(battles, 4) == pytest.approx(expected)


def test_neither_the_order_of_battles_nor_their_sides_change_anything():
    generator = np.random.default_rng(5)
    battles = [
        Battle(left=b.left, right=b.right, score=b.score, style=(float(generator.normal()),))
        for b in battles_between(TRUTH, 80, generator, ties=0.2)
    ]
    turned = [
        Battle(left=b.right, right=b.left, score=1 - b.score, style=(-b.style[0],)) for b in battles
    ]
    random.Random(1).shuffle(turned)
    one, other = fit_strengths(battles, 5), fit_strengths(turned, 5)
    assert one.values.tolist() == other.values.tolist()
    assert one.style.tolist() == other.style.tolist()
    assert one.standings(one.bootstrap(50)) == other.standings(other.bootstrap(50))


def test_who_won_all_battles_is_strong_but_not_infinitely_and_not_surely():
    strengths = fit_strengths([Battle(left=0, right=1, score=1.0)] * 10, 2)
    assert 200 < strengths.standings()[0].points - 1000 < 400
    spread = np.sqrt(strengths.covariance[0, 0]) * POINTS
    assert 80 < spread < 200
    drawn = strengths.standings(strengths.bootstrap(4_000))[0].interval
    # Jeffreys' interval of 10 of 10 begins at 0.783.
    low = 1 / (1 + np.exp(-2 * (drawn.low - 1000) / POINTS))
    assert low == pytest.approx(0.783, abs=0.02)
    with pytest.raises(ValueError, match="no finite strength"):
        fit_strengths([Battle(left=0, right=1, score=1.0)] * 10, 2, prior=0)


def test_ties_alone_leave_an_interval():
    strengths = fit_strengths([Battle(left=0, right=1, score=0.5)] * 10, 2)
    standing = strengths.standings()[0]
    assert standing.points == pytest.approx(1000)
    assert standing.interval.high - standing.interval.low > 40


def test_nobody_who_fought_nobody_is_ranked_before_anybody():
    battles = [Battle(left=0, right=1, score=1.0)] * 30
    strengths = fit_strengths(battles, 3)
    assert not strengths.connected
    absent = strengths.standings()[2]
    assert absent.points == pytest.approx(1000)
    assert (absent.best_rank, absent.worst_rank) == (1, 3)
    assert fit_strengths(won(PUBLISHED), 4).connected


def test_no_battles_give_equals():
    strengths = fit_strengths([], 3)
    assert strengths.values.tolist() == [0, 0, 0]
    assert {(s.best_rank, s.worst_rank) for s in strengths.standings()} == {(1, 3)}
    assert strengths.bootstrap(20).shape == (20, 3)


@pytest.mark.parametrize(
    "battle",
    [
        pytest.param(Battle(left=0, right=0, score=1.0), id="against oneself"),
        pytest.param(Battle(left=0, right=2, score=1.0), id="a stranger"),
        pytest.param(Battle(left=0, right=1, score=1.5), id="more than a win"),
    ],
)
def test_what_is_no_battle_is_refused(battle):
    with pytest.raises(ValueError, match="no battle"):
        fit_strengths([battle], 2)


def test_sandwich_and_bootstrap_agree_within_a_point():
    battles = battles_between(TRUTH, 20_000, np.random.default_rng(4), ties=0.25)
    strengths = fit_strengths(battles, 5)
    for one, other in zip(
        strengths.standings(), strengths.standings(strengths.bootstrap(1_000)), strict=True
    ):
        assert one.interval.low == pytest.approx(other.interval.low, abs=1)
        assert one.interval.high == pytest.approx(other.interval.high, abs=1)


@pytest.mark.parametrize("drawn", [False, True], ids=["sandwich", "bootstrap"])
@pytest.mark.parametrize("battles", [60, 400])
def test_intervals_hold_planted_strengths(battles, drawn):
    held = []
    for seed in range(80):
        world = battles_between(TRUTH, battles, np.random.default_rng(seed))
        fit = fit_strengths(world, 5)
        standings = fit.standings(fit.bootstrap(300) if drawn else None)
        held += [
            s.interval.low <= 1000 + POINTS * true <= s.interval.high
            for s, true in zip(standings, TRUTH, strict=True)
        ]
    assert 0.92 <= np.mean(held) <= 0.985


def test_battles_over_one_question_are_drawn_as_one():
    alone = battles_between(TRUTH, 100, np.random.default_rng(6))
    repeated = [
        Battle(left=b.left, right=b.right, score=b.score, cluster=question)
        for question, b in enumerate(alone)
        for _ in range(9)
    ]
    once, nine = fit_strengths(alone, 5, prior=1e-3), fit_strengths(repeated, 5, prior=9e-3)
    assert nine.values == pytest.approx(once.values, abs=1e-6)
    assert nine.covariance == pytest.approx(once.covariance, rel=0.01)
    low, high = (np.quantile(fit.bootstrap(800), 0.975, axis=0) for fit in (once, nine))
    assert low == pytest.approx(high, abs=0.15)


def test_style_control_halves_at_least_what_length_alone_wins():
    """Equal in substance; voters prefer the longer answer, and one candidate is verbose."""
    generator = np.random.default_rng(7)
    verbose = (0.9, 0.0, 0.0)
    battles = []
    for _ in range(3_000):
        left, right = (int(i) for i in generator.choice(3, 2, replace=False))
        sizes = [100 * np.exp(verbose[i] + generator.normal(0, 0.5)) for i in (left, right)]
        [style] = style_difference(sizes[:1], sizes[1:])
        chance = 1 / (1 + np.exp(-2 * style))
        score = float(generator.random() < chance)
        battles.append(Battle(left=left, right=right, score=score, style=(style,)))
    plain = [Battle(left=b.left, right=b.right, score=b.score) for b in battles]
    flattered, controlled = fit_strengths(plain, 3), fit_strengths(battles, 3)
    gap = flattered.values[0] - flattered.values[1:].mean()
    assert abs(controlled.values[0] - controlled.values[1:].mean()) < gap / 4
    assert controlled.style[0] > 0
    assert flattered.standings()[0].worst_rank == 1
    assert controlled.standings()[0].worst_rank == 3


def test_style_is_read_outside_of_code():
    answer = "# Title\n\n- one **bold**\n- two\n\n1. three\n\n```sh\n# no header\n- no item\n**no**\n```\n"
    length, *markdown = style_of(answer)
    assert markdown == [1, 3, 1]
    assert length > 20
    assert style_of("") == (0, 0, 0, 0)


def test_style_differences_are_shares_of_the_sum():
    assert style_difference((30, 2, 0), (10, 0, 0)) == (0.5, 1, 0)


def test_win_rate_is_that_of_alpaca_eval():
    """Preferences 2, 2, 1, 1.5 and 1.8 of theirs are scores less 1; a tie is half a win."""
    rate = win_rate([1.0, 1.0, 0.0, 0.5, 0.8])
    assert rate.value == pytest.approx(0.66)
    assert rate.discrete == pytest.approx(0.7)
    assert (rate.wins, rate.ties, rate.losses) == (3, 1, 1)
    interval = known(rate.interval)
    assert interval.low < 0.66 < interval.high
    assert win_rate([]).value is None


def test_chosen_pairs_recover_planted_strengths_with_thirty_percent_fewer_votes():
    truth = [float(t) for t in np.linspace(-2, 2, 8)]
    upper = np.triu_indices(8, 1)

    def found(votes, runs, *, chosen):
        values = [voted(truth, votes, seed, chosen=chosen) for seed in range(runs)]
        right = np.mean([v[upper[0]] < v[upper[1]] for v in values])
        return right, np.mean([np.sqrt(np.mean((v - truth) ** 2)) for v in values])

    right, error = found(150, 200, chosen=False)
    fewer, closer = found(105, 24, chosen=True)
    assert fewer >= right
    assert closer <= error


def test_who_won_everything_by_style_that_nobody_else_has_still_gets_an_interval():
    # It ended with "the strengths of these battles do not settle" in a resample.
    battles = [
        Battle(left=0, right=1, score=1.0, style=(-0.5, -0.5), cluster=number % 6)
        for number in range(60)
    ]
    draws = fit_strengths(battles, 2).bootstrap()
    assert np.isfinite(draws).all()
    assert np.median(draws[:, 0]) > 0
