"""A fresh machine without any key: menu, chat, evaluate, info, exit; in a terminal and line by line."""

from __future__ import annotations

import csv
import json

import pytest

from tests.cli.pseudo_terminal import PseudoTerminal
from tests.e2e.program import Lab
from tests.e2e.stored import Everything

MENU = "❯ 1 Chat"
DOWN = "\x1b[B"
QUESTIONS = (
    "question,expected\n"
    "What is a p-value?,the probability of a difference at least as large\n"
    "What is the capital of France?,Paris\n"
)


def test_without_any_key_everything_works_in_a_terminal(lab: Lab) -> None:
    (lab.home / "benchmark.csv").write_text(QUESTIONS, encoding="utf-8")
    terminal = PseudoTerminal(lab.home, environment=lab.environment)
    terminal.wait_for("not set up: Gemini")
    _chat(terminal)
    _evaluate(terminal)
    _info(terminal)
    terminal.type("\x1b")
    assert terminal.exit_code() == 0
    assert "Traceback" not in terminal.everything
    lab.wait_for_delivery()
    _assert_stored(lab)


def _chat(terminal: PseudoTerminal) -> None:
    terminal.wait_for(MENU)
    terminal.type("\r")
    terminal.wait_for("❯ Guide: offline help desk")
    terminal.type("\r")
    terminal.wait_for("You ›")
    terminal.type("What is a p-value?\r")
    terminal.wait_for("From: glossary, p-value")
    terminal.wait_for("tokens · free ·")
    terminal.type("/exit\r")
    terminal.wait_for(MENU)


def _evaluate(terminal: PseudoTerminal) -> None:
    terminal.type("2")
    terminal.wait_for("❯ benchmark.csv")
    terminal.type("\r")
    terminal.wait_for("How many of its 2 questions?")
    terminal.type("\r")
    terminal.wait_for("❯ ● guide:docs")
    terminal.type("\r")
    terminal.wait_for("❯ no judge")
    terminal.type("\r")
    terminal.wait_for("❯ ● exact_match")
    terminal.type("\r")
    terminal.wait_for("System prompt")
    terminal.type("\r")
    terminal.wait_for("Budget in USD")
    terminal.type("\r")
    terminal.wait_for("calls: 2 to candidates")
    terminal.wait_for("cost: free")
    terminal.wait_for("Save these choices?")
    terminal.type("y\r")
    terminal.wait_for("Start?")
    terminal.type("y")
    terminal.wait_for("evaluate --config evaluation.yaml")
    terminal.wait_for("Conclusion")
    terminal.wait_for("guide:docs: contains 50% (95 % CI 9% to 91%) on 2 scored rows.")
    terminal.wait_for("Show all tables and comparisons?")
    terminal.type("y")
    terminal.wait_for("All comparisons")
    terminal.wait_for(MENU)


def _info(terminal: PseudoTerminal) -> None:
    terminal.type("3")
    terminal.wait_for("Models compared")
    terminal.wait_for("Lowest average latency: guide:docs")
    terminal.wait_for("❯ Guide: parameters and metrics")
    terminal.type("\r")
    terminal.wait_for("model_name Guide")
    terminal.wait_for("Look closer?", times=2)
    terminal.type(DOWN + "\r")
    terminal.wait_for("What is a p-value?")
    terminal.type("\x03")
    terminal.wait_for("Look closer?", times=3)
    terminal.type("\x03")
    terminal.wait_for(MENU)


def _assert_stored(lab: Lab) -> None:
    stored = Everything(lab.settings)
    run = stored.run()
    assert run.info.run_name == "Chat_Guide"
    assert run.info.status == "FINISHED"
    assert run.data.metrics["total_cost_estimate"] == 0
    # The guide reports no usage: its tokens are counted.
    assert run.data.tags["llmflowlab.tokens"] == "counted"
    (version,) = stored.versions("llm_guide_chat")
    assert version.current_stage == "Staging"
    (record,) = lab.records("guide")
    assert record["prompt"] == "What is a p-value?"
    assert record["tokens_estimated"] is True
    info = json.loads((lab.settings.info_dir / "guide_info.json").read_text("utf-8"))
    assert info["metrics"]["total"]["turns"] == 1

    (evaluated,) = stored.evaluations()
    assert evaluated.info.run_name == "Eval_Guide_benchmark"
    assert evaluated.info.status == "FINISHED"
    assert evaluated.data.metrics["contains/mean"] == 0.5
    assert len(stored.traces_of(evaluated)) == 2
    (answers,) = (lab.settings.state_dir / "evaluations").glob("*/answers.csv")
    with answers.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["question"] for row in rows] == [
        "What is a p-value?",
        "What is the capital of France?",
    ]
    assert "From: glossary, p-value" in rows[0]["guide:docs answer"]


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("", id="menu"),
        pytest.param("1\n", id="chat-model"),
        pytest.param("1\nguide\n", id="chat-prompt"),
        pytest.param("2\n", id="data"),
        pytest.param("2\n2\n", id="data-file"),
        pytest.param("2\n1\n", id="sample"),
        pytest.param("2\n1\n\n", id="models"),
        pytest.param("2\n1\n\n1\n", id="judge"),
        pytest.param("2\n1\n\n1\n1\n", id="scorers"),
        pytest.param("2\n1\n\n1\n1\nregex\n", id="scorer-options"),
        pytest.param("2\n1\n\n1\n1\n1\n", id="system-prompt"),
        pytest.param("2\n1\n\n1\n1\n1\n\n", id="budget"),
        pytest.param("2\n1\n\n1\n1\n1\n\n\n", id="saving"),
        pytest.param("2\n1\n\n1\n1\n1\n\n\n\n", id="confirmation"),
        pytest.param("4\n", id="exit"),
    ],
)
def test_the_end_of_input_ends_every_question_with_code_0(lab: Lab, typed: str) -> None:
    ended = lab.run(typed=typed)
    assert ended.code == 0
    assert "went wrong" not in ended.err
    assert lab.journals() == []
    assert not (lab.home / "artifacts").exists()


def test_mlflows_harness_draws_nothing_over_the_screen(lab: Lab) -> None:
    (lab.home / "benchmark.csv").write_text(QUESTIONS, encoding="utf-8")
    ended = lab.run("evaluate", "--model", "guide", "--harness", "mlflow")
    assert ended.code == 0, ended.said
    assert "Evaluating" not in ended.said
    assert "%|" not in ended.said


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        pytest.param(
            "ModuleNotFoundError(\"No module named 'xllamacpp'\", name='xllamacpp')",
            "the package xllamacpp is missing; `pip install -r requirements.txt` brings it",
            id="missing",
        ),
        pytest.param(
            "ImportError('GLIBCXX_3.4.32 not found')",
            "the package xllamacpp does not load on this system",
            id="broken",
        ),
    ],
)
def test_where_no_model_runs_inside_one_sentence_says_so_and_the_guide_goes_on(
    lab: Lab, raised: str, told: str
) -> None:
    package = lab.home / "packages" / "xllamacpp"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"raise {raised}\n", encoding="utf-8")
    lab.environment["PYTHONPATH"] = str(package.parent)

    for command, code in (
        (("doctor",), 3),
        (("models",), 0),
        (("models", "fetch"), 3),
        (("chat", "--model", "local", "--message", "Hello"), 3),
    ):
        ended = lab.run(*command)
        assert ended.code == code, ended.said
        assert ended.said.lower().count(told) == 1
        assert "local:SmolLM2" not in ended.said

    started = lab.run(typed="1\nguide\nWhat is a p-value?\n")
    assert started.code == 0
    assert "Local, MLflow · see `doctor`" in started.out
    assert f"- Local: {told}" in started.out
    assert "From: glossary, p-value" in started.out
