"""The whole program with a real tracking server, and while that server is away."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.loopback import LoopbackServer, closed_port
from tests.mlflow_server import mlflow_server


def test_what_a_server_that_is_away_misses_is_delivered_when_it_is_back(
    mlflow_home: Path, loopback: LoopbackServer, questions: Path
) -> None:
    home, port = mlflow_home / "lab", closed_port()
    home.mkdir()
    uri = f"http://127.0.0.1:{port}"
    # A loaded machine may take long over a server's first answers.
    server = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
    lab = Lab(home, {**loopback.environment(), **server})
    chat = ("chat", "--model", "ollama:llama3.2", "--message")

    lab.waits = False
    away = lab.run(*chat, "first")
    assert away.code == 0
    assert "MLflow" not in away.err
    told = f"MLflow at {uri} does not answer; the session is kept in"
    lab.wait_until(lambda: told in lab.report())
    seen = lab.run("doctor")
    assert "1 session still on the way to MLflow" in seen.out
    assert f"MLflow at {uri} does not answer" in " ".join(seen.out.split())
    assert [record["run_id"] for record in lab.records("ollama")] == [None]

    models = ("--model", "ollama:llama3.2", "--judge", "gemini:gemini-2.5-flash")
    held = lab.run("evaluate", *models, "--data", str(questions), "--wait")
    assert held.code == 4
    assert f"MLflow at {uri} does not answer" in held.err
    assert "exact_match" in held.out
    (resume,) = [line for line in held.err.splitlines() if "evaluate --resume " in line]
    evaluation = resume.split("--resume ")[1].strip()

    lab.waits = True
    with mlflow_server(mlflow_home, port):
        assert lab.run(*chat, "second").code == 0
        # The evaluation is brought there too, by the process that delivers sessions.
        lab.wait_for_delivery()
        assert lab.journals() == []
        delivered = lab.run("evaluate", "--resume", evaluation, "--json")
        assert delivered.code == 0, delivered.err
        assert len(loopback.chats("ollama")) == 2 + 3
        assert len(loopback.chats("gemini")) == 2 * 3
        _assert_stored(lab, delivered.document["candidates"][0]["run_id"])
        _assert_seen_elsewhere(mlflow_home / "elsewhere", server)


def _assert_stored(lab: Lab, evaluated: str) -> None:
    stored = Everything(lab.settings)
    runs = stored.runs()
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert None not in [record["run_id"] for record in lab.records("ollama")]
    assert len(stored.versions("llm_ollama_chat")) == 1
    (run,) = stored.evaluations()
    assert run.info.run_id == evaluated
    assert run.info.status == "FINISHED"
    assert len(stored.traces_of(run)) == 3


def _assert_seen_elsewhere(home: Path, server: dict[str, str]) -> None:
    home.mkdir()
    document = Lab(home, server).run("info", "--json").document
    assert document["sessions"] == 2
    (known,) = document["models"]
    assert known["model"] == "ollama:llama3.2"
    assert known["turns"] == 2
    assert known["quality"]["dataset"] == "questions"
