"""Which rows people judge: reproducible, in their shares, and unbiased wherever it ends."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from llmflowlab.people.answer_words import HumanVerdict
from llmflowlab.people.human import human_means
from llmflowlab.people.row_order import drawn_rows
from llmflowlab.people.strata import doubt_of, strata_of
from llmflowlab.statistics.stratified import next_stratum, stratified_mean
from tests.evaluation.helpers import answer, spec
from tests.evaluation.test_gates import result
from tests.known import known

ROWS = 60


def planted(tmp_path, *, text=None):
    """A judge that is sure and right of half of the rows, and unsure of the rest."""
    values = [1.0 if row % 2 else 0.5 for row in range(ROWS)]
    return result(tmp_path, values, text=text)


def test_the_same_seed_draws_the_same_rows_and_another_others(tmp_path):
    found = planted(tmp_path)
    orders = [
        [d.row for d in drawn_rows(found, order="random", candidates=[0], seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(ROWS))
    few = drawn_rows(found, order="random", candidates=[0], seed=1, n=15)
    assert [d.row for d in few] == orders[0][:15]
    assert {d.details["probability"] for d in few} == {0.25}


def test_every_beginning_of_a_stratified_order_holds_the_shares(tmp_path):
    text = "question,answer,category\n" + "".join(
        f"Question {row}?,x,{'rare' if row % 4 == 0 else 'common'}\n" for row in range(ROWS)
    )
    found = planted(tmp_path, text=text)
    drawn = drawn_rows(found, order="stratified", candidates=[0])
    for n in (4, 8, 20, 60):
        counts = Counter(d.details["stratum"] for d in drawn[:n])
        assert counts == {"rare": n // 4, "common": n - n // 4}


def test_where_judges_disagree_comes_first_and_says_nothing_of_the_rest(tmp_path):
    found = planted(tmp_path)
    drawn = drawn_rows(found, order="disagreement", candidates=[0])
    assert {d.row % 2 for d in drawn[: ROWS // 2]} == {0}
    assert {d.details["probability"] for d in drawn} == {None}


def test_doubt_is_the_widest_of_a_panel_s_spread_a_middling_verdict_and_two_scorers(tmp_path):
    found = planted(tmp_path)
    assert [doubt_of(found, Cell(0, row)) for row in (0, 1)] == [1.0, 0.0]
    votes = [Score(scorer="contains", value=v) for v in (1.0, 1.0, 0.0)]
    split = Score(scorer="contains", value=1.0, members=tuple(votes))
    found.scores[Cell(0, 1)]["contains"] = split
    assert doubt_of(found, Cell(0, 1)) == pytest.approx(2 * np.std([1, 1, 0]))


def test_rows_that_tell_candidates_apart_are_a_stratum(tmp_path):
    found = result(tmp_path, [1.0, 0.0, 0.5], candidates=[spec("table:a"), spec("table:b")])
    found.scores[Cell(1, 0)]["contains"] = Score(scorer="contains", value=0.0)
    strata = strata_of(found)
    assert [strata.names[strata.of[row]] for row in range(3)] == ["apart", "no", "unsure"]


def test_more_is_drawn_where_the_judge_is_unsure_and_all_is_drawn_in_the_end(tmp_path):
    found = planted(tmp_path)
    drawn = drawn_rows(found, order="narrow", candidates=[0])
    counts = Counter(d.details["stratum"] for d in drawn[:20])
    # In proportion to the guessed spreads, 0.5 to 0.3, of two strata of the same size.
    assert counts == {"unsure": 12, "yes": 8}
    assert sorted(d.row for d in drawn) == list(range(ROWS))


def test_the_spread_is_learned_from_what_people_said(tmp_path):
    found = planted(tmp_path)
    unsure = [row for row in range(ROWS) if row % 2 == 0]
    # People find all of those right of which the judge is unsure: nothing is left to learn there.
    said = [
        HumanVerdict(cell=Cell(0, row), person="ada", said="yes", details={"order": "narrow"})
        for row in unsure[:20]
    ]
    drawn = drawn_rows(found, order="narrow", candidates=[0], said=said, person="ada")
    assert {d.row for d in drawn[:20]} == set(unsure[:20])
    assert Counter(d.details["stratum"] for d in drawn[20:40])["yes"] >= 18


def test_answers_that_are_not_whole_are_not_judged(tmp_path):
    cut = {0: answer("cut", latency=1.0, finish_reason="length")}
    found = result(tmp_path, ["answer_cut", 1.0], answers=cut)
    drawn = drawn_rows(found, order="random", candidates=[0])
    assert [d.row for d in drawn] == [1]


def test_a_mean_of_unequally_drawn_rows_is_unbiased(tmp_path):
    found = planted(tmp_path)
    # By what people say: right where the judge is sure, a coin where it is not.
    coin = random.Random(5)
    truth = {row: True if row % 2 else coin.random() < 0.3 for row in range(ROWS)}
    means, raw = [], []
    for seed in range(60):
        drawn = drawn_rows(found, order="narrow", candidates=[0], seed=seed, n=16)
        said = [
            HumanVerdict(
                cell=Cell(0, d.row),
                person="ada",
                said="yes" if truth[d.row] else "no",
                details=d.details,
            )
            for d in drawn
        ]
        raw.append(sum(v.said == "yes" for v in said) / len(said))
        [mean] = human_means(found, said)
        means.append(known(mean.mean))
        assert known(mean.interval).low <= known(mean.mean) <= known(mean.interval).high
    all_rows = sum(truth.values()) / ROWS
    # Without the weights it would be those of whom the judge is unsure that count too much.
    assert np.mean(raw) < all_rows - 0.03
    assert np.mean(means) == pytest.approx(all_rows, abs=0.03)


def test_a_stratified_mean_is_cochrans(tmp_path):
    mean, interval = known(stratified_mean([[1, 1, 0, 0], [1, 1]], [30, 70]))
    assert mean == pytest.approx(0.3 * 0.5 + 0.7 * 1)
    variance = 0.09 * (1 / 3) / 4 + (0.3 * 0.35**2 + 0.7 * 0.15**2) / 100
    half = 1.96 * variance**0.5
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    assert stratified_mean([[1.0], []], [2, 3]) is None
    assert known(stratified_mean([[1.0], []], [2, 0]))[0] == 1.0


def test_an_interval_of_unequally_drawn_rows_covers_what_it_promises():
    generator = np.random.default_rng(3)
    sizes, rates = [400, 100, 500], [0.9, 0.5, 0.1]
    truth = sum(n * p for n, p in zip(sizes, rates, strict=True)) / 1000
    covered = 0
    for _ in range(600):
        # The file itself is a draw: its strata come in any size.
        own = generator.multinomial(1000, np.array(sizes) / 1000)
        values = [
            (generator.random(n) < p).astype(float).tolist()
            for n, p in zip((12, 16, 12), rates, strict=True)
        ]
        found = known(stratified_mean(values, own.tolist()))[1]
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 600 <= 0.99


def test_neyman_gives_each_stratum_by_size_and_spread():
    sizes, drawn, spreads = [500, 500, 20], [0, 0, 0], [0.5, 0.1, 0.0]
    for _ in range(64):
        drawn[known(next_stratum(sizes, drawn, spreads))] += 1
    assert drawn[2] == 2
    assert drawn[0] / drawn[1] == pytest.approx(5, rel=0.15)
    assert next_stratum([1], [1], [0.5]) is None
