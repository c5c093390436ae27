from __future__ import annotations

from decimal import Decimal

import pytest

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.counting import build_result
from llmflowlab.evaluation.dataset import load_dataset
from llmflowlab.evaluation.plan import Cell
from llmflowlab.evaluation.scores import Score
from tests.evaluation.helpers import plan, spec


@pytest.fixture
def make(tmp_path):
    def made(candidates, rows=200, **options):
        """Return a result; each candidate is (right of all rows, USD an answer, seconds)."""
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
                    latency=seconds,
                    cost_usd=None if cost is None else str(cost),
                    prompt_tokens=1,
                    completion_tokens=1,
                )
                value = float(row < right)
                scores[cell] = {"contains": Score(scorer="contains", value=value)}
        return build_result(
            planned,
            answers,
            scores,
            reused=[0] * len(candidates),
            binary={"contains": True},
        )

    return made


def chosen(result):
    found = result.recommendation
    return result.plan.candidates[found.candidate].model


def test_the_cheapest_that_is_shown_to_be_no_worse_is_recommended(make):
    result = make([(180, Decimal("0.01"), 1.0), (180, Decimal("0.001"), 2.0)])
    assert chosen(result) == "t:b"
    assert "costs 10.0 times less" in result.recommendation.reason
    assert result.to_json()["recommendation"]["evidence"]["verdict"] == "non_inferior"


def test_a_cheaper_one_that_is_worse_is_not(make):
    result = make([(180, Decimal("0.01"), 1.0), (150, Decimal("0.001"), 1.0)])
    assert chosen(result) == "t:a"
    assert "no other was shown" in result.recommendation.reason


def test_too_few_rows_recommend_the_best_and_nothing_cheaper(make):
    result = make([(10, Decimal("0.01"), 1.0), (10, Decimal("0.001"), 1.0)], rows=10)
    assert chosen(result) == "t:a"


def test_unknown_prices_are_said_and_speed_decides(make):
    result = make([(180, None, 2.0), (180, Decimal("0.001"), 1.0)])
    assert chosen(result) == "t:b"
    assert "not all prices are known" in result.recommendation.reason


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


def test_a_single_candidate_gets_no_recommendation(make):
    assert make([(180, Decimal("0.01"), 1.0)]).recommendation is None
