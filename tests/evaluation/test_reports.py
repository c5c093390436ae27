from __future__ import annotations

import csv
import itertools
import json
import math
import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from scipy import stats

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports import (
    figures_of,
    write_answers_csv,
    write_document,
    write_files,
    write_results_jsonl,
)
from llmflowlab.evaluation.reports.lines import answer_lines
from llmflowlab.evaluation.reports.plot_files import write_plots
from llmflowlab.evaluation.reports.svg import axis_numbers, nice_ticks
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.settings import Settings
from llmflowlab.statistics.agreement import agreement
from tests.evaluation.report_data import HOSTILE, made_result
from tests.known import known


def test_every_row_candidate_and_repetition_has_a_line(tmp_path: Path) -> None:
    result = made_result(12, candidates=3, trials=2)
    write_results_jsonl(result, tmp_path / "results.jsonl")
    lines = [
        json.loads(line) for line in (tmp_path / "results.jsonl").read_text("utf-8").splitlines()
    ]
    places = {(line["candidate"], line["row"], line["trial"]) for line in lines}
    assert len(lines) == len(places) == 12 * 3 * 2
    first = next(line for line in lines if line["row"] == "1" and line["trial"] == 1)
    assert first["question"] == "What is the answer to question 0?"
    assert first["expected"] == "answer 0"
    assert first["tokens"] == {"prompt": 40, "completion": 12, "estimated": False}
    assert first["cost_usd"] == 0.0012
    assert first["trace_id"].startswith("tr-")
    assert first["scores"]["correctness"]["judge"] == "openai:gpt-4.1"
    assert first["scores"]["correctness"]["rationale"]


def test_what_is_unknown_is_null_in_every_line() -> None:
    lines = list(answer_lines(made_result(12, candidates=2)))
    failed = next(line for line in lines if line["state"] == "failed")
    assert (failed["latency"], failed["tokens"]["prompt"]) == (None, None)
    # A row that took nothing is known to have cost nothing.
    assert failed["cost_usd"] == 0
    assert failed["scores"]["contains"]["value"] is None
    assert failed["scores"]["contains"]["not_scored"] == "answer_failed"
    unreached = next(line for line in lines if line["state"] == "not_reached")
    assert (unreached["answer"], unreached["trace_id"], unreached["latency"]) == (None, None, None)
    assert {score["not_scored"] for score in unreached["scores"].values()} == {"not_reached"}


def test_lines_survive_line_separators_in_answers(tmp_path: Path) -> None:
    result = made_result(2, text="one\u2028two\r\nthree\x0bfour")
    write_results_jsonl(result, tmp_path / "r.jsonl")
    with (tmp_path / "r.jsonl").open(encoding="utf-8", newline="\n") as file:
        lines = [json.loads(line) for line in file]
    assert len(lines) == 4
    assert lines[0]["answer"] == "one\u2028two\r\nthree\x0bfour"


def test_half_a_surrogate_does_not_cost_the_files(tmp_path: Path) -> None:
    _, files = write_files(made_result(3, text="broken \ud83d pair"), tmp_path)
    assert all("broken ? pair" in file.read_text("utf-8-sig") for file in files[:3])


def test_a_spreadsheet_runs_no_answer_as_a_formula(tmp_path: Path) -> None:
    write_answers_csv(made_result(3, text="=1+1"), tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert all(not cell.startswith("=") for row in rows for cell in row)
    assert any(cell == "'=1+1" for row in rows for cell in row)


def test_all_files_stand_in_the_folder_and_nothing_else(tmp_path: Path) -> None:
    result, files = write_files(made_result(), tmp_path / "out")
    names = {"answers.csv", "results.jsonl", "report.html", "evaluation.json"}
    assert {file.name for file in files if file.parent == tmp_path / "out"} == names
    assert {file for file in files if file.name not in names} == set(
        (tmp_path / "out" / "plots").iterdir()
    )
    assert {file.name for file in (tmp_path / "out").iterdir()} == {*names, "plots"}
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    assert document["files"]["report_html"] == str(tmp_path / "out" / "report.html")
    assert result.files["report_html"] == str(tmp_path / "out" / "report.html")


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "report" / "evaluation.json"
    write_document("old", file)
    (tmp_path / "flat").write_text("a file, no folder")
    with pytest.raises(TrackingError, match="Name another folder with --output"):
        write_document("new", tmp_path / "flat" / "evaluation.json")
    assert file.read_text("utf-8") == "old\n"
    assert [f.name for f in file.parent.iterdir()] == ["evaluation.json"]


# Agreement


def test_phi_and_kappa_are_those_of_the_table() -> None:
    # Cohen's table of 20 both yes, 15 both no, 5 and 10 apart: kappa 0.4 by hand.
    first = [1.0] * 25 + [0.0] * 25
    second = [1.0] * 20 + [0.0] * 5 + [1.0] * 10 + [0.0] * 15
    found = agreement(first, second, binary=True)
    assert (found.kind, found.n) == ("phi", 50)
    assert found.kappa == pytest.approx(0.4, abs=1e-12)
    assert found.value == pytest.approx(stats.pearsonr(first, second).statistic, abs=1e-12)


def test_grades_are_compared_by_rank_with_ties() -> None:
    dice = random.Random(3)
    first = [dice.choice([0, 0.25, 0.5, 1.0]) for _ in range(80)]
    second = [min(1.0, value + dice.choice([0, 0.1, 0.3])) for value in first]
    found = agreement(first, second, binary=False)
    assert found.kind == "spearman"
    assert found.kappa is None
    assert found.value == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([1.0, 1.0, 1.0], [1.0, 0.0, 1.0], id="one says always yes"),
        pytest.param([1.0], [1.0], id="a single answer"),
        pytest.param([0.5, 0.5], [0.1, 0.9], id="the same grade always"),
    ],
)
def test_agreement_with_who_says_always_the_same_is_unknown(first, second) -> None:
    assert agreement(first, second, binary={*first, *second} <= {0.0, 1.0}).value is None


# Figures and plots


def test_figures_hold_no_nan_and_can_cross_a_process_border() -> None:
    figures = figures_of(made_result(30, candidates=3))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def by_plan(result: EvaluationResult) -> list[dict[str, Any]]:
    """Return the points of the front in the order of the plan."""
    points = figures_of(result)["front"]["points"]
    return [points[result.order.index(index)] for index in range(len(result.candidates))]


def test_costs_are_means_over_answers_and_one_unknown_makes_them_unknown() -> None:
    result = made_result(30, candidates=3)
    assert [p["cost"] for p in by_plan(result)] == pytest.approx([0.0012, 0.0, 0.00042])
    cell = next(iter(c for c in result.answers if c.candidate == 2))
    answers = {**result.answers, cell: replace(result.answers[cell], cost_usd=None)}
    unpriced = by_plan(build_result(result.plan, answers, result.scores, reused=[0] * 3))
    assert unpriced[2]["cost"] is None
    assert unpriced[2]["best_cost"] is None


def test_the_front_leaves_out_who_is_beaten_in_both() -> None:
    result = made_result(200, candidates=3, chance=(0.9, 0.3, 0.6))
    points = by_plan(result)
    means = [known(c.scores["correctness"].mean) for c in result.candidates]
    seconds = [known(c.latency.mean) for c in result.candidates]
    assert means[0] > means[2] > means[1]
    assert seconds[0] < seconds[1] < seconds[2]
    assert [p["best_seconds"] for p in points] == [True, False, False]
    # The free one is on the front of cost however weak it is.
    assert [p["best_cost"] for p in points] == [True, True, True]


def test_latency_bars_count_every_answer() -> None:
    result = made_result(100, candidates=2)
    for lane, candidate in zip(figures_of(result)["latency"]["lanes"], result.ordered, strict=True):
        assert sum(lane["counts"]) == lane["n"] == candidate.answered
        assert lane["p95"] == candidate.latency.p95


def test_an_evaluation_without_any_answer_has_figures_too(tmp_path: Path) -> None:
    result = made_result(5)
    for record in result.answers.values():
        object.__setattr__(record, "state", "failed")
        object.__setattr__(record, "latency", None)
    figures = figures_of(result)
    assert figures["latency"]["lanes"][0]["p50"] is None
    assert write_plots(figures, tmp_path)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        pytest.param(0, 1, id="unit"),
        pytest.param(0, 3.7e-5, id="tiny"),
        pytest.param(0.4, 0.9, id="shares"),
        pytest.param(0, 1e6, id="large"),
    ],
)
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 9
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert all(math.isclose(step, steps[0], rel_tol=1e-6) for step in steps)


@pytest.mark.parametrize(
    ("ticks", "unit", "said"),
    [
        pytest.param([0, 2.5e-5, 5e-5], "$", ["$0", "$0.000025", "$0.000050"], id="cents"),
        pytest.param([0, 1000, 2000], "$", ["$0", "$1,000", "$2,000"], id="dollars"),
        pytest.param([0, 5e-5, 1e-4], "s", ["0 ms", "0.05 ms", "0.10 ms"], id="quick"),
        pytest.param([0, 0.5, 1.0, 1.5], "s", ["0 s", "0.5 s", "1.0 s", "1.5 s"], id="seconds"),
        pytest.param([0.4, 0.425, 0.45], "%", ["40.0%", "42.5%", "45.0%"], id="shares"),
        pytest.param([0.3], "%", ["30%"], id="a single one"),
    ],
)
def test_an_axis_has_plain_numbers_in_one_unit(ticks, unit, said) -> None:
    # It once read $2.5e-05, and 2 % where 2.5 % was meant.
    assert axis_numbers(ticks, unit) == said


def test_plots_are_svg_documents_by_themselves_also_for_strange_names(tmp_path: Path) -> None:
    result = made_result(60, candidates=3)
    figures = figures_of(result)
    figures["candidates"] = ["cost $5 and \x00\x1b\udc80", "日本語 {x}_^]]>", HOSTILE[:40]]
    figures["groups"] = [
        {
            "by": HOSTILE[:20],
            "scorer": "correctness",
            "values": [
                {
                    "value": "<b>&amp;",
                    "points": [dict(figures["scores"][0]["points"][0], small=True)],
                }
            ],
        }
    ]
    figures["agreement"] = {
        "scorers": ["one", HOSTILE[:30]],
        "cells": [[None, {"value": -0.4, "n": 3}], [{"value": None, "n": 3}, None]],
    }
    files = write_plots(figures, tmp_path / "plots")
    assert sorted(files) == sorted((tmp_path / "plots").iterdir())
    assert {file.stem for file in files} == {
        *("scores", "quality_cost", "quality_time", "latency", "groups", "agreement")
    }
    for file in files:
        root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert {element.tag.partition("}")[2] for element in root.iter()} <= {
            *("svg", "title", "style", "rect", "g", "text", "line", "circle", "polyline")
        }
        style = root.findtext("{http://www.w3.org/2000/svg}style") or ""
        assert "var(" not in style
        assert "url(" not in style
        assert "prefers-color-scheme:dark" in style
    shown = "".join(ElementTree.fromstring(files[0].read_text(encoding="utf-8")).itertext())
    assert "日本語 {x}_^]]>" in shown
    assert "cost $5" in shown


def test_no_price_no_plot_of_cost(tmp_path: Path) -> None:
    result = made_result(20, candidates=1)
    for record in result.answers.values():
        object.__setattr__(record, "cost_usd", None)
    unpriced = build_result(result.plan, result.answers, result.scores, reused=[0])
    files = write_plots(figures_of(unpriced), tmp_path)
    assert "quality_cost.svg" not in {file.name for file in files}


def test_costs_in_lines_are_numbers_not_texts() -> None:
    line = next(iter(answer_lines(made_result(2))))
    assert isinstance(line["cost_usd"], float)
    assert Decimal(str(line["cost_usd"])) == Decimal("0.0012")


def test_the_recorder_brings_the_plots_into_every_run_before_it_closes_them(
    settings: Settings, mlflow_home: Path
) -> None:
    result = made_result(6)
    ledger = Ledger(settings.state_dir / "evaluations.db")
    ledger.begin(result.plan, "2026-01-01 00:00:00")
    recorder = RecorderProcess(settings, ledger.path)
    recorder.begin(result.plan.evaluation_id)
    files = write_plots(figures_of(result), mlflow_home / "plots")
    assert recorder.close(closing_of(result, files).to_json(), lambda: None) == []
    runs = [recorder.runs["parent"], *recorder.runs["candidates"]]
    ledger.close()
    folders = [next((mlflow_home / "mlartifacts").rglob(f"{run}/artifacts/plots")) for run in runs]
    assert all((folder / "scores.svg").is_file() for folder in folders)
