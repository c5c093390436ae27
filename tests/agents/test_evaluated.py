"""Every kind of agent, registered and evaluated as `mlflow:NAME/VERSION` on a benchmark of conversations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmflowlab.agents.config import candidate_config, panel_config
from llmflowlab.agents.logged import log_agent
from llmflowlab.cli import main
from llmflowlab.settings import load_settings

ROWS = [
    ("What is perplexity?", "Perplexity is the exponential of the mean cross-entropy per token."),
    ("What is a p-value?", "The p-value is the probability of a difference at least as large."),
    ("What does coverage mean?", "Coverage is the share of rows that were scored."),
]
SCORERS = ("--scorer", "exact_match", "--scorer", "bleu", "--scorer", "rouge_l")


@pytest.fixture
def home(mlflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(mlflow_home)
    rows = [
        {
            "messages": [{"role": "user", "content": question}],
            "params": {"temperature": 0.0},
            "target": target,
        }
        for question, target in ROWS
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (mlflow_home / "talks.jsonl").write_text(lines, "utf-8")
    return mlflow_home


def evaluated(capsys: pytest.CaptureFixture[str], *models: str) -> list[dict]:
    named = [part for model in models for part in ("--model", model)]
    assert main(["evaluate", *named, *SCORERS, "--data", "talks.jsonl", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["candidates"]


def test_every_kind_of_agent_scores_as_the_candidate_it_holds(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings({}, cwd=home, stdin_is_terminal=False)
    versions = []
    for kind in ("chat", "json", "responses"):
        agent = log_agent(settings, kind, candidate_config("guide:docs"), name=f"guide_{kind}")
        versions.append(f"mlflow:guide_{kind}/{agent.version}")
    panel = log_agent(
        settings, "panel", panel_config("guide:docs", "guide:docs"), name="guide_panel"
    )
    direct, *served = evaluated(
        capsys, "guide:docs", *versions, f"mlflow:guide_panel/{panel.version}"
    )
    assert direct["answered"] == len(ROWS)
    assert direct["scores"]["rouge_l"]["mean"] > 0.1
    for candidate in served[:3]:
        for scorer in ("exact_match", "bleu", "rouge_l"):
            assert candidate["scores"][scorer] == direct["scores"][scorer], candidate["model"]
    assert served[3]["answered"] == len(ROWS)
    assert served[3]["scores"]["bleu"]["coverage"] == 1.0


def test_a_batch_over_a_tabular_version_answers_in_order(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings({}, cwd=home, stdin_is_terminal=False)
    log_agent(settings, "json", candidate_config("guide:docs"), name="rows")
    broken = json.dumps({"messages": "no JSON", "params": {}})
    with (home / "talks.jsonl").open("a", encoding="utf-8") as file:
        file.write(broken + "\n")
    asked = ("registry", "batch", "rows/1", "--input", "talks.jsonl", "--output", "o.jsonl")
    assert main([*asked]) in {0, 4}
    capsys.readouterr()
    lines = [json.loads(line) for line in (home / "o.jsonl").read_text("utf-8").splitlines()]
    assert "cross-entropy" in lines[0]["content"]
    assert "difference at least as large" in lines[1]["content"]
    assert (lines[3]["content"], bool(lines[3]["error"])) == (None, True)


def test_a_batch_that_is_stopped_says_how_it_goes_on(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({}, cwd=home, stdin_is_terminal=False)
    log_agent(settings, "json", candidate_config("guide:docs"), name="rows")

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmflowlab.cli.registry.batch_command.run_batch", pressed)
    asked = ("registry", "batch", "rows/1", "--input", "talks.jsonl", "--output", "o.jsonl")
    assert main([*asked]) == 130
    assert "the same command goes on" in capsys.readouterr().err
