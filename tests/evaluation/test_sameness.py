"""The same within a margin, how large a difference is, and how probable it is to be the best."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmflowlab.evaluation.conclude.conclusions import findings, headline
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.leaderboards import chance, probabilities_best
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics import best
from llmflowlab.statistics.best import probability_best
from llmflowlab.statistics.effects import effect_size
from llmflowlab.statistics.equivalence import equivalence_p_value
from llmflowlab.statistics.noninferiority import non_inferior
from tests.evaluation.helpers import answer, dataset, plan, spec
from tests.known import known

EQUAL = [1] * 180 + [0] * 20
LOST = ["answer_failed"] * 4


def made(
    tmp_path, *lists, scorer="contains", costs=("0.01", "0.001", "0.001"), end=None, **options
):
    """An evaluation whose candidates have these values; a text is a reason for having none."""
    text = "question,answer\n" + "".join(f"Question {n}?,{n}\n" for n in range(len(lists[0])))
    names = options.pop("names", "abc")
    candidates = [spec(f"table:{name}") for name in names[: len(lists)]]
    planned = plan(dataset(tmp_path, text), candidates=candidates, scorers=(scorer,), **options)
    scores, answers = {}, {}
    for index, values in enumerate(lists):
        for row, value in enumerate(values):
            given = {"not_scored": value} if isinstance(value, str) else {"value": float(value)}
            scores[Cell(index, row)] = {scorer: Score(scorer=scorer, **given)}
            answers[Cell(index, row)] = answer(cost_usd=costs[index])
    return build_result(planned, answers, scores, reused=[0] * len(lists), **end or {})


def compared(found):
    [comparison] = found.comparisons
    return comparison


# The same within a margin


def test_the_same_is_a_verdict_only_where_a_margin_was_asked_for(tmp_path):
    asked = compared(made(tmp_path, EQUAL, EQUAL, margin=0.03, margin_asked=True))
    plain = compared(made(tmp_path, EQUAL, EQUAL, margin=0.03))
    assert (asked.verdict, plain.verdict) == ("same_within_margin", "no_difference_shown")
    assert asked.to_json()["equivalence"] == plain.to_json()["equivalence"]
    assert asked.to_json()["equivalence"]["shown"]
    assert known(asked.equivalence).p_value < 0.05
    narrow = compared(made(tmp_path, EQUAL, EQUAL, margin=0.005, margin_asked=True))
    assert narrow.verdict == "no_difference_shown"
    assert not known(narrow.equivalence).shown


def test_it_is_said_in_words(tmp_path):
    found = made(tmp_path, EQUAL, EQUAL, margin=0.03, margin_asked=True)
    assert findings(found)[0].startswith(
        "contains: table:a and table:b are the same within ±3 points (difference +0.0, each bound at"
    )
    assert headline(found)[0] == (
        "table:b is recommended: by contains either will do, as table:b and table:a are the same "
        "within ±3 points, and it costs 10 times less."
    )
    open_ = made(tmp_path, EQUAL, [0] * 5 + EQUAL[5:], margin=0.03, margin_asked=True)
    assert "nor that they are the same within ±3 points" in findings(open_)[0]


def test_one_that_is_better_by_less_than_the_margin_stays_better(tmp_path):
    found = made(tmp_path, [0] * 8 + [1] * 392, [1] * 400, margin=0.1, margin_asked=True)
    assert compared(found).verdict == "b_better"
    assert known(compared(found).equivalence).shown
    assert ", and by less than 10 points." in findings(found)[0]


def test_what_is_missing_can_undo_that_they_are_the_same(tmp_path):
    whole = made(tmp_path, EQUAL, EQUAL, margin=0.03, margin_asked=True)
    assert compared(whole).verdict == "same_within_margin"
    for lists in ((EQUAL, [*LOST, *EQUAL[4:]]), ([*LOST, *EQUAL[4:]], EQUAL)):
        found = made(tmp_path, *lists, margin=0.03, margin_asked=True)
        assert compared(found).verdict == "no_difference_shown"
        assert not known(compared(found).equivalence).shown
        assert "the same within ±3 points, as 4 answers of table:" in findings(found)[0]
    # Where even the worst is within the margin, nothing is undone.
    wide = made(tmp_path, EQUAL, [*LOST, *EQUAL[4:]], margin=0.1, margin_asked=True)
    assert compared(wide).verdict == "same_within_margin"


@pytest.mark.parametrize("interrupted", [True, False], ids=["interrupted", "whole"])
def test_an_interrupted_evaluation_shows_nobody_to_be_the_same_or_the_best(tmp_path, interrupted):
    end = {"interrupted": interrupted}
    found = made(tmp_path, EQUAL, EQUAL, margin=0.03, margin_asked=True, end=end)
    assert known(compared(found).equivalence).shown != interrupted
    assert (compared(found).verdict == "not_comparable") == interrupted
    likely = [entry.probability_best for entry in found.leaderboard["contains"]]
    assert likely == ([None, None] if interrupted else [0.5, 0.5])


def test_below_the_coverage_floor_nobody_is_the_same_or_the_best(tmp_path):
    found = made(tmp_path, EQUAL, ["answer_failed"] * 20 + EQUAL[20:], margin=0.3)
    assert not known(compared(found).equivalence).shown
    assert [entry.probability_best for entry in found.leaderboard["contains"]] == [None, None]


def test_a_family_of_its_own_is_corrected_for(tmp_path):
    values = EQUAL, EQUAL, [0] * 8 + EQUAL[8:]
    found = {c.pair: known(c.equivalence) for c in made(tmp_path, *values, margin=0.05).comparisons}
    raw = [known(each.p_value) for each in found.values()]
    assert known(found[0, 1].p_adjusted) == pytest.approx(3 * min(raw))
    alone = compared(made(tmp_path, EQUAL, EQUAL, margin=0.02))
    assert known(alone.equivalence).p_adjusted == known(alone.equivalence).p_value


def test_corpus_figures_have_no_margin_and_no_effect(tmp_path):
    found = made(tmp_path, [1.0] * 30, [1.0] * 30, scorer="bleu", margin=0.3)
    assert compared(found).equivalence is None
    assert compared(found).effect is None
    assert compared(found).to_json()["equivalence"] is None


def test_a_margin_that_was_asked_for_is_kept_with_the_plan(tmp_path):
    planned = made(tmp_path, EQUAL, EQUAL, margin=0.03, margin_asked=True).plan
    again = EvaluationPlan.from_json(planned.describe(), planned.dataset)
    assert (again.margin, again.margin_asked) == (0.03, True)
    old = {k: v for k, v in planned.describe().items() if k != "margin_asked"}
    assert not EvaluationPlan.from_json(old, planned.dataset).margin_asked


@pytest.mark.parametrize("binary", [True, False], ids=["yes-no", "graded"])
def test_p_value_and_bounds_say_the_same(binary):
    source = np.random.default_rng(3)
    for _ in range(40):
        one = (source.random(120) < 0.7).astype(float)
        other = np.where(source.random(120) < 0.9, one, 1 - one)
        if not binary:
            one, other = one * 0.5 + 0.1 * source.random(120), other * 0.5 + 0.2
        p_value = known(equivalence_p_value(one, other, 0.06, binary=binary))
        bounds = known(non_inferior(one.tolist(), other.tolist(), 0.06, binary=binary, error=0.05))
        if binary:
            assert (p_value < 0.05) == bounds.within
        else:
            # The bounds are those of Student or wider.
            assert p_value < 0.05 or not bounds.within


def test_the_test_of_grades_is_two_of_students():
    source = np.random.default_rng(4)
    a = source.random(40)
    b = a + source.normal(0.01, 0.1, 40)
    low = stats.ttest_1samp(b - a, -0.05, alternative="greater").pvalue
    high = stats.ttest_1samp(b - a, 0.05, alternative="less").pvalue
    assert equivalence_p_value(a, b, 0.05, binary=False) == pytest.approx(max(low, high))
    # Rows of one cluster are one: five copies of each say no more than one of each.
    again = equivalence_p_value(
        np.repeat(a, 5), np.repeat(b, 5), 0.05, binary=False, clusters=np.repeat(np.arange(40), 5)
    )
    assert again == pytest.approx(max(low, high))
    # A single row without any spread is no proof.
    assert known(equivalence_p_value([0.5], [0.5], 0.05, binary=False)) > 0.4


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("margin", [0.05, 0.1])
@pytest.mark.parametrize("binary", [True, False], ids=["yes-no", "graded"])
def test_candidates_that_differ_by_the_margin_are_rarely_called_the_same(binary, margin, n):
    source = np.random.default_rng([n, int(1000 * margin), int(binary)])
    runs, wrong = 400, 0
    for _ in range(runs):
        if binary:
            drawn = source.random(n)
            a = (drawn > 0.05).astype(float)
            b = ((drawn < 0.05) | (drawn > 0.1 + margin)).astype(float)
        else:
            a = source.beta(3, 2, n)
            b = a - margin + source.normal(0, 0.15, n)
        p_value = known(equivalence_p_value(a, b, margin, binary=binary))
        if p_value < 0.05:
            wrong += known(non_inferior(a.tolist(), b.tolist(), margin, binary=binary)).within
    assert wrong / runs <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / runs)


# Effect size


def test_effect_sizes_are_those_of_the_books():
    one, other = [1, 1, 0, 0, 0, 1.0], [1, 0, 1, 1, 1, 1.0]
    assert known(effect_size(one, other, binary=True)).to_json() == {
        "name": "cohens_g",
        "value": 3 / 4 - 0.5,
    }
    differences = np.array([0.1, 0.2, 0.0, 0.3, -0.1])
    zeros = np.zeros(5)
    found = known(effect_size(zeros, differences, binary=False))
    # Hedges's exact factor for 4 degrees of freedom.
    factor = math.gamma(2) / (math.sqrt(2) * math.gamma(1.5))
    assert found.name == "cohens_d_z"
    assert found.value == pytest.approx(factor * differences.mean() / differences.std(ddof=1))
    assert known(effect_size(differences, zeros, binary=False)).value == -found.value


@pytest.mark.parametrize(
    ("one", "other", "binary"),
    [
        pytest.param([1, 0, 1.0], [1, 0, 1.0], True, id="never-disagree"),
        pytest.param([0.1, 0.2, 0.3], [0.4, 0.5, 0.6], False, id="no-spread-but-noise"),
        pytest.param([0.1, 0.2], [0.4, 0.3], False, id="two-rows"),
        pytest.param([], [], False, id="nothing"),
    ],
)
def test_an_effect_size_that_is_undefined_is_none(one, other, binary):
    assert effect_size(one, other, binary=binary) is None


# Probability of being the best


def test_equal_candidates_share_exactly_and_noise_breaks_no_tie():
    values = np.array([0.1 + 0.2, 0.5, 1.0])
    columns = {"a": values, "b": np.array([0.3, 0.5, 1.0]), "c": values}
    assert probability_best(columns) == dict.fromkeys("abc", pytest.approx(1 / 3, abs=1e-15))


def test_neither_the_order_of_questions_nor_of_candidates_changes_it():
    source = np.random.default_rng(6)
    columns = {name: np.round(source.random(40), 2) for name in "abcd"}
    clusters = source.integers(0, 9, 40)
    shuffled = source.permutation(40)
    for grouped in (None, clusters):
        found = probability_best(columns, clusters=grouped)
        assert sum(found.values()) == pytest.approx(1)
        other = probability_best(
            {name: columns[name][shuffled] for name in "dbca"},
            clusters=None if grouped is None else grouped[shuffled],
        )
        assert other == found


def test_a_clear_winner_is_near_one_and_a_single_question_is_no_proof():
    source = np.random.default_rng(7)
    good, bad = (source.random(100) < p for p in (0.9, 0.5))
    assert probability_best({"good": good, "bad": bad})["good"] > 0.999
    # Between two it is Jeffreys' posterior of who is right where they disagree.
    found = probability_best({"a": [1.0] * 10, "b": [1.0] * 9 + [0.0]})["a"]
    assert found == pytest.approx(stats.beta(1.5, 0.5).sf(0.5), abs=0.02)
    clustered = probability_best(
        {"good": np.repeat([1, 1, 1, 0.0], 25), "bad": np.repeat([1, 0, 0, 0.0], 25)},
        clusters=np.repeat(np.arange(4), 25),
    )
    assert 0.8 < clustered["good"] < 0.99


def test_with_many_questions_the_normal_draws_say_what_the_weights_say(monkeypatch):
    source = np.random.default_rng(9)
    columns = {name: source.beta(2, 2, 600) + 0.012 * place for place, name in enumerate("abc")}
    found = probability_best(columns)
    monkeypatch.setattr(best, "_MANY", 10_000)
    slow = probability_best(columns)
    assert found == {name: pytest.approx(p, abs=0.03) for name, p in slow.items()}
    assert found != slow
    assert max(found.values()) < 0.9


def test_it_is_calibrated():
    # Of those given 80 to 95 % as many are the best, whatever was drawn.
    source = np.random.default_rng(8)
    given, right = [], []
    for _ in range(250):
        chances = source.uniform(0.3, 0.9, 3)
        columns = {name: source.random(60) < p for name, p in zip("abc", chances, strict=True)}
        found = probability_best(columns)
        for place, name in enumerate("abc"):
            given.append(found[name])
            right.append(place == int(chances.argmax()))
    said, true = np.array(given), np.array(right)
    for low, high in ((0.0, 0.05), (0.05, 0.3), (0.3, 0.7), (0.7, 0.95), (0.95, 1.01)):
        here = (said >= low) & (said < high)
        error = 3 * math.sqrt(0.25 / here.sum())
        assert abs(said[here].mean() - true[here].mean()) < error
    equal = [
        probability_best({name: source.random(30) < 0.6 for name in "abcd"})["a"] for _ in range(80)
    ]
    assert np.mean(equal) == pytest.approx(0.25, abs=0.08)


def test_not_answering_makes_nobody_more_probably_the_best(tmp_path):
    a = [1] * 150 + [0] * 50
    b = [0] * 4 + [1] * 146 + [0] * 48 + [1] * 2
    whole = made(tmp_path, a, b).leaderboard["contains"]
    likely = {entry.candidate: known(entry.probability_best) for entry in whole}
    assert sum(likely.values()) == pytest.approx(1)
    # B fails where it was wrong.
    fails = made(tmp_path, a, [*LOST, *b[4:]]).leaderboard["contains"]
    after = {entry.candidate: known(entry.probability_best) for entry in fails}
    assert after[1] == likely[1]
    assert after[0] <= likely[0]


def test_less_is_better_where_the_scorer_says_so(tmp_path):
    board = made(tmp_path, EQUAL, [0] * 200, scorer="refusal").leaderboard["refusal"]
    likely = {entry.candidate: known(entry.probability_best) for entry in board}
    assert likely[1] > 0.99


def test_the_order_of_candidates_changes_no_probability(tmp_path):
    first, second, third = EQUAL, [0] * 8 + EQUAL[8:], [1] * 10 + [0] * 20 + EQUAL[30:]

    def likely(*lists, names):
        found = made(tmp_path, *lists, names=names)
        return {
            found.plan.candidates[entry.candidate].label: entry.probability_best
            for entry in found.leaderboard["contains"]
        }

    assert likely(first, second, third, names="abc") == likely(third, first, second, names="cab")


def test_a_judge_that_is_not_believed_and_a_single_candidate_give_none(tmp_path):
    found = made(tmp_path, EQUAL)
    assert [entry.probability_best for entry in found.leaderboard["contains"]] == [None]
    table = made(tmp_path, EQUAL, EQUAL).table
    assert probabilities_best(table, "contains", ["a", "b"]) == {0: 0.5, 1: 0.5}
    table.doubts = {"contains": "its judge failed"}
    assert probabilities_best(table, "contains", ["a", "b"]) == {}


def test_no_probability_is_written_as_certain():
    assert [chance(p) for p in (None, 0.0, 0.005, 0.42, 0.995, 1.0)] == [
        *(None, "<1%", "<1%", "42%", ">99%", ">99%")
    ]


def test_a_comparison_that_ended_early_says_the_same_within_its_own_margin(tmp_path):
    found = made(tmp_path, EQUAL * 2, EQUAL * 2, until_decided=0.1)
    comparison = compared(found)
    assert known(found.sequential).verdict == "equivalent"
    assert comparison.verdict == "same_within_margin"
    assert comparison.to_json()["equivalence"] == {
        "margin": 0.1,
        "p_value": None,
        "p_adjusted": None,
        "shown": True,
    }
    # Who is ahead when one stops looking is favoured by that.
    assert [entry.probability_best for entry in found.leaderboard["contains"]] == [None, None]
    lead = made(tmp_path, EQUAL * 2, [0] * 400, until_decided=0.1)
    assert compared(lead).verdict == "a_better"
    assert not known(compared(lead).equivalence).shown
