from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmflowlab.cli import main
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from tests.evaluation.report_data import HOSTILE, made_result

ONE = "20260101-000000-aaaa"
TWO = "20260102-000000-bbbb"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / ".llmflowlab" / "evaluations.db")
    yield made
    made.close()


def keep(ledger: Ledger, result: EvaluationResult) -> None:
    """Write an evaluation down as if it had been carried out here."""
    plan = result.plan
    ledger.begin(plan, "2026-01-01 00:00:00")
    written = [
        ledger.append("outcomes", plan.evaluation_id, outcome.key, outcome.to_json())
        for outcome in (
            Outcome(cell, answer, result.scores[cell]) for cell, answer in result.answers.items()
        )
    ]
    for row in written:
        row.result()
    ledger.set_runs(
        plan.evaluation_id,
        {
            "parent": f"parent-{plan.evaluation_id}",
            "candidates": [f"run-{plan.evaluation_id}-{n}" for n in range(len(plan.candidates))],
        },
    )
    ledger.set_state(plan.evaluation_id, "finished")


def test_a_report_is_made_again_from_what_is_kept(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, made_result(20, candidates=2, evaluation_id=ONE))
    assert main(["report", f"run-{ONE}-1", "--output", str(tmp_path / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["evaluation_id"] == ONE
    files = document["files"]
    for name in ("answers_csv", "results_jsonl", "report_html", "evaluation_json"):
        assert Path(files[name]).parent == tmp_path / "out"
        assert Path(files[name]).is_file()
    assert all(Path(plot).suffix == ".svg" and Path(plot).is_file() for plot in files["plots"])
    line = json.loads(Path(files["results_jsonl"]).read_text("utf-8").splitlines()[0])
    assert line["run_id"] == f"run-{ONE}-0"
    assert f"run-{ONE}-1" in Path(files["report_html"]).read_text("utf-8")


def test_a_report_goes_to_its_evaluations_folder_and_names_its_files(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, made_result(20, candidates=2, evaluation_id=ONE))
    assert main(["report", ONE]) == 0
    folder = tmp_path / ".llmflowlab" / "evaluations" / ONE
    captured = capsys.readouterr()
    assert str(folder / "report.html") in captured.out
    assert (folder / "plots" / "scores.svg").is_file()
    assert f"evaluate --resume {ONE}" in captured.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(
            ["report", "nothing"], "'nothing' is neither a run nor an evaluation", id="id"
        ),
        pytest.param(["diff", "nothing", ONE], "'nothing' is neither a run", id="diff id"),
        pytest.param(["diff", ONE, TWO], f"{ONE!r} has several candidates", id="several"),
        pytest.param(["diff", f"{ONE}:1", f"run-{ONE}-0"], "are the same candidate", id="same"),
        pytest.param(["diff", f"{ONE}:3", TWO], f"{ONE} has candidates 1 to 2", id="number"),
        pytest.param(["diff", f"{ONE}:0", TWO], f"{ONE} has candidates 1 to 2", id="zero"),
        pytest.param(["diff", f"{ONE}:x", TWO], f"{ONE} has candidates 1 to 2", id="letter"),
        pytest.param(
            ["diff", f"{ONE}:1", f"{TWO}:1", "--scorer", "tone"], "no scorer 'tone'", id="scorer"
        ),
    ],
)
def test_what_cannot_be_compared_or_found_is_one_sentence(
    ledger: Ledger, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, made_result(10, candidates=2, evaluation_id=ONE))
    keep(ledger, made_result(10, candidates=2, evaluation_id=TWO))
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert reason in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", [["report", "x"], ["diff", "x", "y"]], ids=["report", "diff"])
def test_an_empty_home_stays_empty(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 2
    assert "No evaluation was made in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_diff_counts_and_lists_the_worst_first_in_80_columns(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, made_result(40, candidates=1, evaluation_id=ONE, chance=(0.9,), text="A " * 60))
    keep(
        ledger,
        made_result(43, candidates=1, evaluation_id=TWO, chance=(0.5,), seed=3, text="A " * 60),
    )
    assert main(["diff", ONE, TWO, "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert main(["diff", ONE, TWO]) == 0
    out = capsys.readouterr().out
    assert counts["only_in_b"] == 3
    assert counts["worse"] > counts["better"] > 0
    words = f"{counts['better']} better, {counts['worse']} worse, {counts['same']} same"
    assert f"correctness, from A to B: {words}" in out
    assert "3 only in B." in out
    lines = out.splitlines()
    table = [line for line in lines if line.rstrip().endswith(("-100", "+100"))]
    assert len(table) == counts["better"] + counts["worse"]
    assert [line.endswith("-100") for line in table] == [True] * counts["worse"] + [False] * counts[
        "better"
    ]
    assert max(len(line) for line in table) <= 80
    assert "95 % CI" in lines[-1]


def test_two_candidates_of_one_evaluation_are_named_by_run_or_number(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, made_result(30, candidates=3, evaluation_id=ONE))
    assert main(["diff", f"run-{ONE}-0", f"run-{ONE}-2", "--json"]) == 0
    by_run = json.loads(capsys.readouterr().out)
    assert main(["diff", f"{ONE}:1", f"{ONE}:3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == by_run
    assert (by_run["a"]["candidate"], by_run["b"]["candidate"]) == (
        "gemini:gemini-2.5-flash",
        "azure:gpt-4.1-mini",
    )
    assert by_run["test"]["n"] == 27


def test_an_evaluation_of_several_stands_for_the_candidate_the_other_names(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, made_result(30, candidates=3, evaluation_id=ONE))
    keep(ledger, made_result(30, candidates=1, evaluation_id=TWO))
    assert main(["diff", ONE, TWO, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["a"] == {
        "evaluation_id": ONE,
        "run_id": f"run-{ONE}-0",
        "candidate": "gemini:gemini-2.5-flash",
    }


def test_an_answer_cannot_command_the_terminal(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"\x1b[2J{HOSTILE}"
    keep(ledger, made_result(30, candidates=2, evaluation_id=ONE, text=text))
    assert main(["diff", f"{ONE}:1", f"{ONE}:2"]) == 0
    assert "\x1b" not in capsys.readouterr().out
