"""Tiers, measures and groups of a whole evaluation, and how they are shown."""

from __future__ import annotations

import json

import numpy as np
import pytest

from llmflowlab.cli.evaluate.boards import group_tables, leaderboard_table, repeats_table
from llmflowlab.cli.evaluate.show_evaluation import show_result
from llmflowlab.cli.ui.terminal import TerminalScreen
from llmflowlab.evaluation.conclude.leaderboards import BEST_ASSUMES
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.statistics import bootstrap_interval, intervals
from tests.evaluation.report_data import made_result


@pytest.fixture(scope="module")
def result():
    return made_result(90, candidates=3, chance=(0.95, 0.2, 0.93))


def test_a_shown_lead_gives_a_rank_and_an_unshown_one_does_not(result):
    board = result.leaderboard["correctness"]
    assert {entry.candidate: entry.rank for entry in board} == {0: 1, 2: 1, 1: 3}
    groups = {entry.candidate: entry.group for entry in board}
    assert groups[0] == groups[2] != groups[1]


def test_each_measure_is_compared_only_over_rows_with_both_values(result):
    by_name = {(c.scorer, c.pair): c for c in result.measures if c.pair in {(0, 1), (1, 2), (0, 2)}}
    # One row of the first candidate failed and one of the last was not reached.
    latency = by_name["latency", (0, 2)]
    assert latency.test is not None
    assert latency.test.n == 88
    assert latency.verdict == "a_better"
    assert {name for name, _ in by_name} == {
        "latency",
        "completion_tokens",
        "total_tokens",
        "cost_usd",
    }


def test_groups_know_when_they_are_small(result):
    small = {(g.by, g.small) for g in result.groups if g.scorer == "contains"}
    assert small == {("category", False), ("language", False)}
    few = made_result(24)
    assert all(group.small for group in few.groups)
    assert any("few" in note for table in group_tables(few) for note in table.notes)


def test_a_leaderboard_fits_eighty_columns_and_says_that_ranks_are_shared(result):
    table = leaderboard_table(result)
    assert table is not None
    assert table.rows[0][0] == table.rows[1][0] == "1"
    assert table.notes == ("Those who share a rank could not be told apart.", BEST_ASSUMES)
    widths = [max(len(row[at] or "") for row in table.rows) for at in range(len(table.columns))]
    assert sum(widths) + 3 * len(widths) <= 80


def test_a_single_candidate_has_no_leaderboard():
    assert leaderboard_table(made_result(12, candidates=1)) is None


def test_trials_reach_the_document_the_screen_and_the_run():
    found = made_result(30, trials=3)
    score = found.candidates[0].scores["contains"]
    assert score.repeats is not None
    document = json.loads(json.dumps(found.to_json()))
    trials = document["candidates"][0]["scores"]["contains"]["trials"]
    assert trials["flip_rate"] == score.repeats.flip_rate
    assert set(trials["pass_k"]) == {"1", "2", "3"}
    metrics = closing_of(found, []).metrics[0]
    assert metrics["contains/pass_3"] == trials["pass_k"]["3"]
    assert metrics["contains/flip_rate"] == trials["flip_rate"]
    assert "token_f1/flip_rate" not in metrics
    assert repeats_table(found) is not None
    assert repeats_table(made_result(12)) is None


def test_the_document_names_ranks_measures_and_groups(result):
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    first = document["leaderboard"]["correctness"][0]
    assert set(first) == {
        *("candidate", "rank", "group", "mean", "ci_low", "ci_high", "probability_best")
    }
    assert {m["measure"] for m in document["measures"]} >= {"latency", "cost_usd"}
    assert {g["by"] for g in document["groups"]} == {"category", "language"}


@pytest.mark.parametrize("shape", ["even", "skewed"])
def test_with_many_rows_the_interval_is_that_of_the_resampling_it_spares(shape, monkeypatch):
    dice = np.random.default_rng(3)
    drawn = dice.beta(2, 2, 2500) if shape == "even" else dice.beta(0.05, 2, 2500)
    quick = bootstrap_interval(list(map(float, drawn)))
    monkeypatch.setattr(intervals, "_MANY_ROWS", 10_000)
    slow = bootstrap_interval(list(map(float, drawn)))
    width = slow.high - slow.low
    assert quick.low == pytest.approx(slow.low, abs=0.03 * width)
    assert quick.high == pytest.approx(slow.high, abs=0.03 * width)


def test_a_result_fits_one_screen_of_24_rows(settings, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show_result(TerminalScreen(settings), made_result(120))
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) <= 24
    assert max(map(len, shown)) <= 80
    assert any(line.startswith("Cost: candidates $0.143, judge ") for line in shown)
    assert any("is recommended" in line for line in shown)


def test_groups_are_a_matrix_in_the_order_of_the_leaderboard(result):
    labels = tuple(result.candidates[i].spec.label for i in result.order)
    for table in group_tables(result):
        assert table.columns[2:] == labels
        assert len({row[0] for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize("columns", ["80", "40", "20"])
def test_numbers_of_a_table_are_never_cut(settings, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    table = leaderboard_table(made_result(120))
    assert table is not None
    TerminalScreen(settings).table(table)
    shown = capsys.readouterr().out.split()
    for row in table.rows:
        assert all(part in shown for c in table.numbers for part in (row[c] or "").split())
