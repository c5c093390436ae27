"""Every model with every prompt and every set of parameters."""

from __future__ import annotations

import json

import pytest

from llmflowlab.cli import main
from llmflowlab.errors import InputError
from llmflowlab.prompts.prompt_registry import load_prompt
from llmflowlab.settings import load_settings
from llmflowlab.tracking.store import open_store

DATA = "question,answer\nWhat is coverage?,scored rows\n"


@pytest.fixture
def home(mlflow_home, monkeypatch):
    (mlflow_home / "q.csv").write_text(DATA, encoding="utf-8")
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(mlflow_home))
    return mlflow_home


def evaluate(capfd, *options):
    code = main(["evaluate", "--model", "guide:docs", "--data", "q.csv", *options])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


def candidates(home):
    from llmflowlab.evaluation.run.ledger import Ledger

    ledger = Ledger(home / ".llmflowlab" / "evaluations.db")
    plan = ledger.plan(ledger.evaluations()[0].id)
    ledger.close()
    return plan.candidates


def test_systems_and_temperatures_multiply(home, capfd):
    code, out, err = evaluate(
        capfd,
        "--json",
        "--system",
        "A",
        "--system",
        "B",
        "--temperature",
        "0",
        "--temperature",
        "1",
    )
    assert code == 0, err
    assert len(json.loads(out)["candidates"]) == 4
    assert [c.label for c in candidates(home)] == [
        "guide:docs (system 1, temperature 0.0)",
        "guide:docs (system 1, temperature 1.0)",
        "guide:docs (system 2, temperature 0.0)",
        "guide:docs (system 2, temperature 1.0)",
    ]


def test_one_system_needs_no_number(home, capfd):
    code, _, err = evaluate(capfd, "--json", "--system", "Be short.")
    assert code == 0, err
    (candidate,) = candidates(home)
    assert (candidate.label, candidate.system) == ("guide:docs", "Be short.")


def test_prompts_of_the_registry_are_tried_by_version(home, capfd):
    store = open_store(load_settings({}, cwd=home, stdin_is_terminal=False))
    import mlflow.genai

    for text in ("Answer in one word.", "Answer in one sentence."):
        mlflow.genai.register_prompt(name="brief", template=text)
    assert load_prompt(store, "brief").reference == "brief@2"
    with pytest.raises(InputError, match="no 'brief@9'"):
        load_prompt(store, "brief@9")
    with pytest.raises(InputError, match="no 'other'"):
        load_prompt(store, "other")
    code, out, err = evaluate(capfd, "--json", "--prompt", "brief@1", "--prompt", "brief")
    assert code == 0, err
    assert [c["prompt"] for c in json.loads(out)["candidates"]] == ["brief@1", "brief@2"]
    assert [c.system for c in candidates(home)] == [
        "Answer in one word.",
        "Answer in one sentence.",
    ]


def test_the_same_candidate_twice_is_refused(home, capfd):
    code, _, err = evaluate(capfd, "--temperature", "0.5", "--temperature", "0.5")
    assert code == 2
    assert "named twice" in err


def test_a_chat_takes_its_system_prompt_from_the_registry(home, capfd):
    open_store(load_settings({}, cwd=home, stdin_is_terminal=False))
    import mlflow.genai

    mlflow.genai.register_prompt(name="kind", template="Be kind.")
    base = ["chat", "--model", "guide:docs", "--message", "What is coverage?"]
    assert main([*base, "--prompt", "kind@1", "--json"]) == 0
    run_id = json.loads(capfd.readouterr().out)["run_id"]
    store = open_store(load_settings({}, cwd=home, stdin_is_terminal=False))
    params = store.client.get_run(run_id).data.params
    assert params["system_prompt"] == "Be kind."
    assert params["prompt_version"] == "kind@1"
    assert main([*base, "--prompt", "kind", "--system", "Be brief."]) == 2
    assert "both set the system prompt" in capfd.readouterr().err
    assert main([*base, "--prompt", "nobody"]) == 2
    assert "no 'nobody'" in capfd.readouterr().err
