"""A first day of the lab on every store that MLflow offers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import QUESTIONS
from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.loopback import LoopbackServer

MODEL = "ollama:llama3.2"
NAME = "llm_ollama_chat"
CHAT = ("chat", "--model", MODEL, "--json", "--message")


@pytest.fixture(autouse=True)
def by_this_process_too(where: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The look into the store is MLflow's own, which reads its password there."""
    for name, value in where.items():
        monkeypatch.setenv(name, value)


def lab_in(home: Path, where: Mapping[str, str], loopback: LoopbackServer) -> Lab:
    home.mkdir(exist_ok=True)
    return Lab(home, {**loopback.environment(), **where})


def test_chat_evaluation_and_promotion_arrive_and_the_figures_are_equal(
    tmp_path: Path, where: Mapping[str, str], loopback: LoopbackServer
) -> None:
    lab = lab_in(tmp_path, where, loopback)
    questions = tmp_path / "questions.csv"
    questions.write_text(QUESTIONS, encoding="utf-8")
    assert lab.run(*CHAT, "first").code == 0
    assert lab.run(*CHAT, "of another candidate", "--system", "Be brief.").code == 0

    stored = Everything(lab.settings)
    assert [run.info.status for run in stored.runs()] == ["FINISHED", "FINISHED"]
    assert len(stored.traces()) == 2
    first, second = stored.versions(NAME)
    assert (first.current_stage, second.current_stage) == ("Archived", "Staging")
    aliased = stored.client.get_model_version_by_alias(NAME, "staging")
    assert str(aliased.version) == str(second.version) == "2"
    run = stored.client.get_run(second.run_id)
    assert run.data.tags["llmflowlab.model_version"] == "2"
    assert "ollama_artifacts.json" in stored.artifacts(run.info.run_id)
    by_server = where.get("MLFLOW_TRACKING_URI", "").startswith("http")
    place = "mlflow-artifacts:/" if by_server else (tmp_path / "mlartifacts").as_uri()
    assert run.info.artifact_uri.startswith(place)

    scored = ("--scorer", "contains", "--scorer", "token_f1")
    asked = lab.run("evaluate", "--model", MODEL, "--data", str(questions), *scored, "--json")
    assert asked.code == 0, asked.err
    verified = lab.run("verify", asked.document["evaluation_id"], "--json")
    assert verified.code == 0, verified.said
    (evaluated,) = stored.evaluations()
    assert evaluated.info.status == "FINISHED"
    assert len(stored.traces_of(evaluated)) == 3

    if "MLFLOW_TRACKING_URI" in where:
        # A store that others may write to: what it holds is run only once somebody has said so.
        assert lab.run("registry", "trust", "--yes").code == 0
    promoted = lab.run("registry", "promote", f"{NAME}/2", "--benchmark", str(questions), "--json")
    assert promoted.code == 0, promoted.said
    assert promoted.document["promoted"] is True
    assert str(stored.client.get_model_version_by_alias(NAME, "champion").version) == "2"
    assert " ok Tracking: " in " ".join(lab.run("doctor").out.split())
    if "MLFLOW_TRACKING_PASSWORD" in where:
        wrong = lab.run("doctor", MLFLOW_TRACKING_PASSWORD="of somebody else")
        assert "refused access (HTTP 401); set MLFLOW_TRACKING_USERNAME" in " ".join(
            wrong.out.split()
        )


def test_two_homes_at_the_same_moment_make_one_version_of_a_candidate(
    tmp_path: Path, where: Mapping[str, str], loopback: LoopbackServer
) -> None:
    uri = where.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}"
    shared = {**where, "MLFLOW_TRACKING_URI": uri}
    os.environ["MLFLOW_TRACKING_URI"] = uri
    labs = [lab_in(tmp_path / name, shared, loopback) for name in ("one", "two", "three")]
    with ThreadPoolExecutor(len(labs)) as pool:
        ended = list(pool.map(lambda lab: lab.run(*CHAT, "at once"), labs))
    assert [each.code for each in ended] == [0, 0, 0]
    stored = Everything(labs[0].settings)
    (version,) = stored.versions(NAME)
    assert version.current_stage == "Staging"
    assert str(stored.client.get_model_version_by_alias(NAME, "staging").version) == str(
        version.version
    )
    runs = stored.runs()
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    assert {run.data.tags["llmflowlab.model_version"] for run in runs} == {str(version.version)}
    models = {each.model_id for run in runs for each in run.outputs.model_outputs}
    assert {f"models:/{model}" for model in models} == {version.source}
