"""`main.py evaluate`: what it takes, what it refuses before any call, and what it prints."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.evaluation.run.ledger import Ledger
from tests.loopback import LoopbackServer, Tokens
from tests.providers.local_files import write_gguf
from tests.warm import SITE

CSV = """question,answer,category
What is coverage?,scored rows divided by rows,terms
What is a judge?,the model behind an LLM scorer,terms
What is a turn?,a prompt and its answer,terms
"""
CANDIDATE = ["--model", "guide:docs"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "terms.csv"
    file.write_text(CSV, encoding="utf-8")
    return file


def evaluate(data: Path, *options: str) -> int:
    return main(["evaluate", "--data", str(data), *options])


def test_without_a_model_a_new_home_compares_the_small_model_with_the_guide(
    data: Path, mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A home without the small model says what to type, and refuses as ever.
    assert evaluate(data, "--dry-run") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Name at least one model")
    assert "models fetch` brings a small model" in line
    write_gguf(mlflow_home / "models" / "tiny.gguf")
    saved = mlflow_home / "first.yaml"
    assert evaluate(data, "--dry-run", "--save-config", str(saved)) == 0
    said = capsys.readouterr()
    assert "compares local:tiny with guide:docs" in said.err
    assert "terms: 3 questions × 2 candidates = 6 answers" in said.out
    assert "model:\n- local:tiny\n- guide:docs\n" in saved.read_text("utf-8")
    assert evaluate(data, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["candidates"] == ["local:tiny", "guide:docs"]
    # Once something was evaluated, nobody is guessed.
    assert evaluate(data, *CANDIDATE, "--json") == 0
    capsys.readouterr()
    assert evaluate(data, "--dry-run") == 2
    assert capsys.readouterr().err.startswith("Name at least one model")


def test_a_cluster_without_ray_is_refused_with_what_installs_it(
    data: Path, mlflow_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert evaluate(data, *CANDIDATE, "--runner", "ray") == 3
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == (
        "--runner ray needs Ray; install it with python -m pip install 'llmflowlab[ray]'"
    )


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        pytest.param([], 2, "Name at least one model", id="no model"),
        pytest.param(
            [*CANDIDATE, "--resume", "x"], 2, "--resume goes on with the evaluation's", id="both"
        ),
        pytest.param(
            [*CANDIDATE, "--workers", "2"], 2, "--workers is about a cluster", id="no cluster"
        ),
        pytest.param(
            [*CANDIDATE, "--runner", "ray", "--until-decided", "0.1"],
            2,
            "--until-decided needs all rows in one process",
            id="not on a cluster",
        ),
        pytest.param(["--resume", "nope"], 2, "There is no evaluation 'nope'", id="unknown id"),
        pytest.param([*CANDIDATE, *CANDIDATE], 2, "The same candidate is named", id="twice"),
        pytest.param(
            ["--model", "nobody:x"], 2, "'nobody:x' names no model", id="unknown provider"
        ),
        pytest.param([*CANDIDATE, "--map", "question"], 2, "--map 'question' is not", id="map"),
        pytest.param(
            [*CANDIDATE, "--map", "question=F"], 2, "terms.csv has no column 'F'", id="no column"
        ),
        pytest.param([*CANDIDATE, "--sample", "0"], 2, "argument --sample: '0'", id="sample 0"),
        pytest.param([*CANDIDATE, "--trials", "x"], 2, "argument --trials: 'x'", id="trials"),
        pytest.param([*CANDIDATE, "--budget", "0"], 2, "argument --budget: '0'", id="budget 0"),
        pytest.param([*CANDIDATE, "--budget", "1e12"], 2, "argument --budget", id="absurd budget"),
        pytest.param([*CANDIDATE, "--budget", "inf"], 2, "argument --budget", id="no budget"),
        pytest.param(
            [*CANDIDATE, "--concurrency", "-1"], 2, "argument --concurrency", id="concurrency -1"
        ),
        pytest.param(
            [*CANDIDATE, "--concurrency", "100000"], 2, "argument --concurrency", id="too many"
        ),
        pytest.param([*CANDIDATE, "--temperature", "9"], 2, "argument --temperature", id="heat"),
        pytest.param([*CANDIDATE, "--harness", "own"], 2, "argument --harness", id="harness"),
        pytest.param([*CANDIDATE, "--fesh"], 2, "unrecognized arguments: --fesh", id="misspelt"),
        pytest.param([*CANDIDATE, "--scorer", "blue"], 2, "'blue' is no scorer", id="scorer"),
        pytest.param(
            [*CANDIDATE, "--scorer", "safety"], 3, "safety needs a judge; name one", id="no judge"
        ),
        pytest.param(
            [*CANDIDATE, "--judge", "guide:docs"], 2, "guide:docs cannot judge", id="guide judges"
        ),
        pytest.param(
            [*CANDIDATE, "--judge", "ollama:a", "--judge", "ollama:a"],
            2,
            "ollama:a is named twice as a judge",
            id="judge twice",
        ),
        pytest.param(
            [*CANDIDATE, "--judge", "ollama:a", "--scorer", "preference"],
            2,
            "preference compares the answers of two or more candidates",
            id="preference of one",
        ),
        pytest.param(
            [*CANDIDATE, "--judge", "ollama:a", "--scorer", "judge"],
            2,
            "A judge of your own is a text file",
            id="own judge without a file",
        ),
        pytest.param(
            [*CANDIDATE, "--judge", "ollama:a", "--scorer", "x=judge:file=none.txt"],
            2,
            "none.txt cannot be read",
            id="own judge's file missing",
        ),
        pytest.param(
            [*CANDIDATE, "--judge", "ollama:a", "--scorer", "fluency:strict"],
            2,
            "fluency has no option 'strict'",
            id="judge with an option",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    data: Path,
    tmp_path: Path,
    options: list[str],
    code: int,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(data, *options) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(reason)
    assert "Traceback" not in captured.err
    assert not (tmp_path / "mlflow.db").exists()
    kept = tmp_path / ".llmflowlab" / "evaluations.db"
    if kept.exists():
        ledger = Ledger(kept)
        assert ledger.evaluations() == []
        ledger.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("question,answer\na,b,c\n", "terms.csv, line 2", id="long row"),
        pytest.param("a,b\n1,2\n", "terms.csv", id="no question"),
        pytest.param("", "terms.csv", id="empty"),
    ],
)
def test_a_bad_file_is_named(
    data: Path, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text(text, encoding="utf-8")
    assert evaluate(data, *CANDIDATE) == 2
    assert reason in capsys.readouterr().err


def test_without_a_judge_it_says_what_was_left_out(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(data, *CANDIDATE, "--dry-run") == 0
    captured = capsys.readouterr()
    assert captured.err == (
        "Left out without a judge: correctness, safety, guidelines. Name one with --judge "
        "provider:model or LLMFLOWLAB_JUDGE; it should not be one of the candidates.\n"
    )
    assert captured.out.splitlines() == [
        "terms: 3 questions × 1 candidate = 3 answers",
        "columns: question: question; expected: answer; category: category",
        "candidates: guide:docs",
        "scorers: exact_match, contains, token_f1",
        "calls: 3 to candidates",
        "cost: free",
    ]


def test_a_judge_from_the_environment_that_is_the_only_candidate_is_set_aside(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMFLOWLAB_JUDGE", "ollama:a")
    assert evaluate(data, "--model", "ollama:a", "--dry-run") == 0
    assert "LLMFLOWLAB_JUDGE is ollama:a, which is the only candidate" in capsys.readouterr().err


def test_a_judge_from_the_environment_that_is_one_of_several_candidates_judges_with_a_warning(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMFLOWLAB_JUDGE", "ollama:a")
    models = ("--model", "ollama:a", "--model", "ollama:b", "--scorer", "correctness")
    assert evaluate(data, *models, "--dry-run", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["judge"] == "ollama:a"
    assert "Careful: ollama:a judges its own answers here" in printed.err


def test_the_examination_of_a_judge_is_part_of_the_estimate(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", "guide:docs", "--judge", "ollama:a", "--scorer", "correctness")
    without = dry(data, capsys, *options)
    monkeypatch.setenv("LLMFLOWLAB_JUDGE_EXAM", "2")
    found = dry(data, capsys, *options)
    assert found["calls"]["judge"] == without["calls"]["judge"] + 4
    assert found["tokens"]["high"] > without["tokens"]["high"]


def dry(data: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    assert evaluate(data, *options, "--dry-run", "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_dry_run_prints_its_estimate_and_touches_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = dry(data, capsys, "--model", "ollama:a", "--judge", "ollama:b", "--trials", "2")
    assert document["dataset"]["rows"] == 3
    assert document["calls"] == {"candidates": 6, "reused": 0, "judge": 12, "detector": 0}
    assert document["judge"] == "ollama:b"
    assert document["cost_usd"] == {"low": 0.0, "high": 0.0}
    assert 0 < document["tokens"]["low"] < document["tokens"]["high"]
    assert not (tmp_path / "mlflow.db").exists()


def test_an_unknown_price_is_null_and_stops_only_a_budget(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    document = dry(data, capsys, "--model", "openai:nobody-knows-it")
    assert document["cost_usd"] == {"low": None, "high": None}
    assert document["unpriced"] == ["openai:nobody-knows-it"]
    model = ["--model", "openai:nobody-knows-it", "--dry-run", "--budget", "1"]
    assert evaluate(data, *model) == 3
    assert "A budget needs prices" in capsys.readouterr().err
    assert evaluate(data, *model, "--allow-unknown-cost") == 0


def test_columns_of_other_names_are_mapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fragen.csv"
    file.write_text("Kysymys;Vastaus\nPaljonko on 2 + 2?;4\n", encoding="utf-8")
    assert evaluate(file, *CANDIDATE, "--dry-run") == 2
    capsys.readouterr()
    mapped = ["--map", "question=Kysymys", "--map", "expected=Vastaus"]
    assert dry(file, capsys, *CANDIDATE, *mapped)["dataset"]["rows"] == 1


def test_default_scorers_that_could_score_nothing_are_an_error_before_the_first_call(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text("question,note\nWhy?,x\n", encoding="utf-8")
    assert evaluate(data, *CANDIDATE) == 2
    said = capsys.readouterr().err
    assert "terms has no expected answers" in said
    assert "(question: question; unused: note)" in said
    assert dry(data, capsys, *CANDIDATE, "--scorer", "length:max=9")["scorers"] == ["length"]


def test_rows_with_options_are_scored_by_the_option_that_is_chosen(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text("question,A,B,answer\nEven?,3,4,B\n", encoding="utf-8")
    planned = dry(data, capsys, *CANDIDATE)
    assert planned["scorers"] == ["multiple_choice"]
    assert planned["dataset"]["columns"] == "question: question; expected: answer; options: A, B"
    data.write_text("question,A,B,answer\nEven?,3,4,B\nWhy?,,,so\n", encoding="utf-8")
    assert dry(data, capsys, *CANDIDATE)["scorers"][-1] == "multiple_choice"


def test_rows_that_cannot_be_used_are_left_out_where_that_is_wanted(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text(CSV + ",nothing,terms\n", encoding="utf-8")
    assert evaluate(data, *CANDIDATE, "--dry-run") == 2
    capsys.readouterr()
    assert dry(data, capsys, *CANDIDATE, "--skip-bad")["dataset"]["rows"] == 3
    assert evaluate(data, *CANDIDATE, "--skip-bad", "--dry-run") == 0
    assert "1 row was left out: line 5: the question" in capsys.readouterr().err


def test_a_sample_is_the_same_for_the_same_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "many.csv"
    file.write_text(
        "question,answer\n" + "".join(f"Question {n}?,{n}\n" for n in range(40)), encoding="utf-8"
    )

    def digest(*options: str) -> str:
        drawn = dry(file, capsys, *CANDIDATE, "--sample", "5", *options)["dataset"]
        assert drawn["rows"] == 5
        return str(drawn["digest"])

    assert digest() == digest("--seed", "0")
    assert digest() != digest("--seed", "1")


def test_the_document_has_the_promised_keys_and_a_second_run_pays_nothing(
    data: Path, mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*CANDIDATE, "--scorer", "contains", "--output", "out", "--json"]
    assert evaluate(data, *options) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert list(document) == [
        *("evaluation_id", "parent_run_id", "dataset", "judge", "candidates", "comparisons"),
        *("judge_usage", "gates", "files"),
        # Beside what was promised:
        *("judging", "leaderboard", "measures", "groups", "recommendation", "sequential"),
        *("cluster", "prompts", "people"),
    ]
    (candidate,) = document["candidates"]
    assert list(candidate) == [
        *("model", "prompt", "run_id", "rows", "answered", "failed", "scores", "latency"),
        *("tokens", "cost_usd", "calls", "given", "why_failed", "label"),
        *("tokens_per_second", "system"),
    ]
    assert list(candidate["scores"]["contains"]) == [
        *("mean", "scored", "coverage", "ci_low", "ci_high", "not_scored"),
    ]
    assert list(candidate["latency"]) == ["mean", "p50", "p95"]
    assert candidate["calls"] == {"sent": 3, "reused": 0}
    assert candidate["cost_usd"] == 0
    # One line a candidate, at the end: nothing else is worth a line in so short a run.
    # (But for how far the recorder is, where the machine is busy.)
    said = [line for line in captured.err.splitlines() if not line.startswith("recording ")]
    assert [line.partition(", contains ")[0] for line in said] == ["guide:docs: 3/3 answers, free"]
    with Path(document["files"]["answers_csv"]).open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3

    assert evaluate(data, *CANDIDATE, "--scorer", "contains", "--scorer", "token_f1") == 0
    shown = capsys.readouterr().out
    assert "3 answers, 3 of them there already" in shown
    assert "calls: 0 to candidates" in shown
    assert (
        "Cost: candidates free; 3 answers taken from earlier evaluations, not paid for again."
        in shown
    )


def test_rows_that_the_budget_left_out_are_said_beside_the_document_too(
    data: Path, mlflow_home: Path, loopback: LoopbackServer
) -> None:
    loopback.scenario.tokens["openai"] = Tokens(prompt=20, completion=1000)
    model = ("--model", "openai:gpt-4.1-mini", "--max-tokens", "1000", "--concurrency", "1")
    asked = ("--data", str(data), *model, "--scorer", "contains", "--budget", "0.002", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "llmflowlab", "evaluate", *asked],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            **loopback.environment("openai"),
            "LLMFLOWLAB_HOME": str(mlflow_home),
            "PYTHONPATH": str(SITE),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    (candidate,) = json.loads(done.stdout)["candidates"]
    assert candidate["failed"] == {"budget_exhausted": 2}
    said = "openai:gpt-4.1-mini: 2 rows were left out because the budget was spent: go on with --resume"
    assert said in done.stderr
