from __future__ import annotations

from decimal import Decimal

import pytest

from llmflowlab.data.dataset import load_dataset
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.conclusions import conclude, headline
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from tests.evaluation.helpers import plan, spec


@pytest.fixture
def make(tmp_path):
    def made(candidates, rows=200, **options):
        """Return a result; each candidate is (right of all rows, USD an answer, seconds).

        Seconds can be a function of the row.
        """
        file = tmp_path / "d.csv"
        file.write_text("question,answer\n" + "".join(f"q{i},a{i}\n" for i in range(rows)), "utf-8")
        names = [spec(f"t:{name}") for name in "abcd"[: len(candidates)]]
        planned = plan(load_dataset(file), candidates=names, scorers=("contains",), **options)
        answers, scores = {}, {}
        for index, (right, cost, seconds) in enumerate(candidates):
            for row in range(rows):
                cell = Cell(index, row)
                answers[cell] = AnswerRecord(
                    text="x",
                    state="complete",
                    latency=seconds(row) if callable(seconds) else seconds,
                    cost_usd=None if cost is None else str(cost),
                    prompt_tokens=1,
                    completion_tokens=1,
                )
                value = float(row < right)
                scores[cell] = {"contains": Score(scorer="contains", value=value)}
        return build_result(planned, answers, scores, reused=[0] * len(candidates))

    return made


def chosen(result):
    found = result.recommendation
    return result.plan.candidates[found.candidate].model


def test_the_cheapest_that_is_shown_to_be_no_worse_is_recommended(make):
    result = make([(180, Decimal("0.01"), 1.0), (180, Decimal("0.001"), 2.0)])
    assert chosen(result) == "t:b"
    assert "costs 10 times less" in result.recommendation.reason
    assert result.to_json()["recommendation"]["evidence"]["verdict"] == "non_inferior"


def test_a_cheaper_one_that_is_worse_is_not(make):
    result = make([(180, Decimal("0.01"), 1.0), (150, Decimal("0.001"), 1.0)])
    assert chosen(result) == "t:a"
    assert "no other was shown" in result.recommendation.reason


@pytest.mark.parametrize(("right", "rows"), [(1, 2), (2, 3), (3, 3), (10, 10), (10, 19)])
@pytest.mark.parametrize("others", [1, 2])
@pytest.mark.parametrize("cost", ["0.01", "0.001"])
def test_nobody_is_recommended_over_an_equal_on_a_few_questions(make, right, rows, others, cost):
    # Of two models with one of two questions right the first was once recommended.
    one = (right, Decimal("0.01"), 1.0)
    result = make([one, *([(right, Decimal(cost), 1.0)] * others)], rows=rows)
    assert result.recommendation is None
    assert headline(result)[0] == (
        "Nobody is recommended: by contains the best are equal on these questions, and none of them "
        "was shown to cost less or, costing no more, to answer faster."
    )


def test_of_three_equal_ones_cost_must_speak_for_one_alone(make):
    dear, cheap = (180, Decimal("0.01"), 1.0), (180, Decimal("0.001"), 1.0)
    assert chosen(make([dear, cheap, dear], margin=0.05)) == "t:b"
    assert make([dear, cheap, cheap], margin=0.05).recommendation is None
    assert chosen(make([dear, cheap, (180, Decimal("0.001"), 0.5)], margin=0.05)) == "t:c"


def test_the_order_of_equal_candidates_changes_nothing(make):
    dear, cheap = (180, Decimal("0.01"), 1.0), (180, Decimal("0.001"), 1.0)
    for order, name in (([dear, cheap], "t:b"), ([cheap, dear], "t:a")):
        found = make(order)
        assert chosen(found) == name
        assert "costs 10 times less" in found.recommendation.reason
    assert make([cheap, dear], rows=200, margin=0.001).recommendation is None


@pytest.mark.parametrize("rows", [3, 20, 200])
def test_nobody_is_recommended_where_all_are_wrong(make, rows):
    result = make([(0, Decimal("0.01"), 1.0), (0, Decimal("0.001"), 0.5)], rows=rows)
    assert result.recommendation is None
    assert "by contains no candidate is better than the worst there is" in headline(result)[0]


def test_too_few_rows_recommend_the_best_and_nothing_cheaper(make):
    result = make([(10, Decimal("0.01"), 1.0), (9, Decimal("0.001"), 1.0)], rows=10)
    assert chosen(result) == "t:a"


def test_unknown_prices_are_said_and_speed_decides(make):
    result = make([(180, None, 2.0), (180, Decimal("0.001"), 1.0)])
    assert chosen(result) == "t:b"
    assert "not all prices are known" in result.recommendation.reason


def test_one_that_is_only_faster_is_not_taken_where_it_costs_more(make):
    result = make([(180, Decimal("0.001"), 2.0), (180, Decimal("0.01"), 1.0)])
    assert chosen(result) == "t:a"
    assert "t:a and t:b are the same within ±2 points" in result.recommendation.reason
    assert "costs 10 times less" in result.recommendation.reason
    better = make([(181, Decimal("0.001"), 2.0), (180, Decimal("0.01"), 1.0)], margin=0.05)
    assert chosen(better) == "t:a"
    # It once read "none costs less or answers faster", beside one that did answer faster.
    assert "none of those shown to be no worse" in better.recommendation.reason
    assert (
        "was shown to cost less, or as little and to answer faster" in better.recommendation.reason
    )


def test_where_prices_are_equal_the_faster_one_is_recommended(make):
    result = make([(180, Decimal(0), 3.0), (180, Decimal(0), 1.0)])
    assert chosen(result) == "t:b"
    assert "answers in 3.0 times less time" in result.recommendation.reason


def test_speed_that_may_be_chance_is_no_reason_to_leave_the_best(make):
    def seconds(row):
        return 1.0 + (row * 37 % 101) / 100

    def about_the_same(row):
        return 0.999 + (row * 53 % 101) / 100

    result = make([(181, Decimal(0), seconds), (180, Decimal(0), about_the_same)], margin=0.05)
    a, b = (candidate.latency.mean for candidate in result.candidates)
    assert b < a
    assert chosen(result) == "t:a"
    # Nor is the slower one off the front for that.
    assert [e.candidate for e in result.recommendation.front] == [0, 1]


def test_a_free_one_is_called_free(make):
    result = make([(180, Decimal("0.01"), 1.0), (180, Decimal(0), 2.0)])
    assert "and it is free." in result.recommendation.reason


def test_the_more_challengers_the_more_each_must_show(make):
    one = (180, Decimal("0.01"), 1.0)
    cheaper = [(180, Decimal("0.001"), 1.0)]
    assert chosen(make([one, *cheaper])) == "t:b"
    assert make([one, *(3 * cheaper)]).recommendation is None


def test_a_comparison_that_was_looked_at_all_the_time_promises_no_more_than_its_own_interval(make):
    # An ordinary interval of these rows lies within the margin; theirs does not yet.
    candidates = [(180, Decimal("0.01"), 1.0), (180, Decimal("0.001"), 1.0)]
    assert chosen(make(candidates)) == "t:b"
    assert make(candidates, until_decided=0.9).recommendation is None
    assert chosen(make(candidates, until_decided=0.05, margin=0.1)) == "t:b"


def test_who_leads_without_enough_answers_is_not_passed_over_in_silence(make):
    # It once said of the second that it had the best mean, beside a table that said otherwise.
    whole = make(
        [(100, Decimal("0.01"), 1.0), (90, Decimal("0.01"), 1.0), (80, Decimal("0.01"), 1.0)]
    )
    scores = dict(whole.scores)
    for row in range(150, 200):
        scores[Cell(0, row)] = {"contains": Score(scorer="contains", not_scored="answer_cut")}
    found = build_result(whole.plan, whole.answers, scores, reused=[0] * 3)
    assert chosen(found) == "t:b"
    assert (
        "it has the best contains of those with 95% of their answers scored," in headline(found)[0]
    )
    assert "it has the best contains, and" in headline(whole)[0]


def test_a_wider_margin_accepts_more(make):
    candidates = [(180, Decimal("0.01"), 1.0), (175, Decimal("0.001"), 1.0)]
    assert chosen(make(candidates, margin=0.02)) == "t:a"
    assert chosen(make(candidates, margin=0.10)) == "t:b"


def test_the_front_leaves_out_who_is_beaten_in_everything(make):
    result = make(
        [
            (180, Decimal("0.01"), 1.0),
            (170, Decimal("0.001"), 2.0),
            (160, Decimal("0.02"), 3.0),
        ]
    )
    assert [entry.candidate for entry in result.recommendation.front] == [0, 1]
    assert "t:a 90% [85% to 93%], $0.01, 1.0 s; t:b 85%" in conclude(result)[-1]


def test_the_front_has_intervals_and_null_for_what_is_unknown(make):
    result = make([(180, None, lambda row: 1 + row % 2), (180, Decimal("0.001"), 1.0)])
    first, second = result.to_json()["recommendation"]["front"]
    assert first["cost_usd"] is first["cost_ci_low"] is first["cost_ci_high"] is None
    assert 1.4 < first["latency_ci_low"] < first["latency"] == 1.5 < first["latency_ci_high"] < 1.6
    assert (second["cost_ci_low"], second["cost_usd"], second["cost_ci_high"]) == (0.001,) * 3
    assert first["ci_low"] < first["mean"] < first["ci_high"]


def test_a_single_candidate_gets_no_recommendation(make):
    assert make([(180, Decimal("0.01"), 1.0)]).recommendation is None
