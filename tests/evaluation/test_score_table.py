"""The table of scores: the question is the unit, coverage counts answers, nothing depends on order."""

from __future__ import annotations

import itertools
from typing import cast

import pytest

from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.table import plan_traits, table_of
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.traits import traits_of
from llmflowlab.evaluation.scores import NotScored, Score
from tests.evaluation.helpers import answer, dataset, plan, spec


def planned(tmp_path, rows, *, scorer="contains", candidates=1, **options):
    """A plan whose rows ask the questions named."""
    text = "question,answer\n" + "".join(f"What of {name}?,x\n" for name in rows)
    names = [spec(f"table:{n}") for n in range(candidates)]
    return plan(dataset(tmp_path, text), candidates=names, scorers=(scorer,), **options)


def filled(made, values):
    """The table of values by cell; a text is a reason for having none."""
    [scorer] = made.scorers
    scores = {
        cell: {
            scorer: Score(scorer=scorer, not_scored=cast("NotScored", value))
            if isinstance(value, str)
            else Score(scorer=scorer, value=value)
        }
        for cell, value in values.items()
    }
    return table_of(made, scores)


def test_rows_that_ask_the_same_again_are_one_question(tmp_path):
    # Each once counted as a row of its own, and narrowed the interval.
    made = planned(tmp_path, ["a", "b", "a", "a"])
    table = filled(made, {Cell(0, row): value for row, value in enumerate([1.0, 0.0, 1.0, 1.0])})
    assert table.mean(0, "contains") == 0.5
    assert list(table.by_question(0, "contains")) == [1.0, 0.0]
    assert table.scored(0, "contains") == 4
    assert not table.exact("contains")


def test_coverage_counts_answers_and_rules_leave_the_datas_own_gaps_out(tmp_path):
    made = planned(tmp_path, "abcd")
    table = filled(
        made, {Cell(0, 0): 1.0, Cell(0, 1): "no_expected_answer", Cell(0, 2): "judge_failed"}
    )
    assert table.coverage(0, "contains") == 0.25
    assert table.covered(0, "contains") == pytest.approx(1 / 3)
    assert table.missing(0, "contains") == 2
    assert table.not_scored(0, "contains") == {
        "judge_failed": 1,
        "no_expected_answer": 1,
        "not_reached": 1,
    }
    assert table.mean(0, "contains", fill=0.0) == pytest.approx(1 / 3)


def test_the_order_of_trials_changes_nothing(tmp_path):
    # 0.1 + 0.2 + 0.3 is another number than 0.3 + 0.2 + 0.1, which once broke a tie.
    made = planned(tmp_path, "ab", scorer="token_f1", candidates=2, trials=3)
    tables = []
    for order in itertools.permutations([0.1, 0.2, 0.3]):
        values = {Cell(0, 0, trial): value for trial, value in enumerate(order)}
        values |= {Cell(1, 0, trial): value for trial, value in enumerate([0.3, 0.2, 0.1])}
        tables.append(filled(made, values))
    assert {table.mean(0, "token_f1") for table in tables} == {tables[0].mean(1, "token_f1")}
    for table in tables:
        pairs = table.pairs("token_f1", 0, 1)
        assert list(pairs.b - pairs.a) == [0.0]


def test_a_scorers_kind_comes_from_its_description(tmp_path):
    kinds = {
        name: traits_of(ScorerSpec.plain(name)).kind
        for name in ("contains", "token_f1", "correctness", "support_tone", "preference")
    }
    assert kinds == {
        "contains": "yes_no",
        "token_f1": "grade",
        "correctness": "yes_no",
        "support_tone": "grade",
        "preference": "grade",
    }
    assert traits_of(ScorerSpec.plain("correctness"), combine="mean").kind == "grade"
    assert traits_of(ScorerSpec.plain("bleu")).figure is not None


def test_fewer_refusals_are_better(tmp_path):
    assert not traits_of(ScorerSpec.plain("refusal")).higher_is_better
    made = planned(tmp_path, range(60), scorer="refusal", candidates=2)
    scores = {
        cell: {"refusal": Score(scorer="refusal", value=float(cell.candidate == 0))}
        for cell in made.cells()
    }
    found = build_result(made, dict.fromkeys(scores, answer()), scores, reused=[0, 0])
    [comparison] = found.comparisons
    assert comparison.verdict == "b_better"
    assert comparison.to_json()["scorer"] == "refusal"
    assert [entry.candidate for entry in found.leaderboard["refusal"]] == [1, 0]


def test_the_table_is_columns_of_equal_length_for_parquet(tmp_path):
    made = planned(tmp_path, "aab", candidates=2)
    columns = filled(made, {Cell(0, 0): 1.0, Cell(1, 2): "judge_failed"}).to_columns()
    assert {len(column) for column in columns.values()} == {6}
    assert columns["question"][:3] == [0, 0, 1]
    assert columns["contains"][0] == 1.0
    assert columns["contains"][5] is None
    assert columns["contains/not_scored"] == [
        *(None, "not_reached", "not_reached", "not_reached", "not_reached", "judge_failed")
    ]


def test_a_part_of_the_table_has_the_figures_of_its_rows(tmp_path):
    made = planned(tmp_path, "abcd")
    table = filled(made, {Cell(0, row): float(row < 2) for row in range(4)})
    assert table.rows([0, 1]).mean(0, "contains") == 1.0
    assert table.only({Cell(0, 1), Cell(0, 2)}).coverage(0, "contains") == 1.0
    assert table.rows([0, 1]).asked_for(0) == 2


def test_a_reason_of_another_version_keeps_its_name(tmp_path):
    made = planned(tmp_path, "ab")
    table = filled(made, {})
    table.put(Cell(0, 0), "contains", None, "struck_by_lightning")
    assert table.not_scored(0, "contains") == {"not_reached": 1, "struck_by_lightning": 1}


def test_a_plan_knows_its_scorers(tmp_path):
    assert set(plan_traits(planned(tmp_path, "ab"))) == {"contains"}
