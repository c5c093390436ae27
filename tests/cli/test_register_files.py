"""Agents that files describe: a configuration, a panel, code of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import open_store

OWN = {
    "chat": """
from mlflow.models import set_model
from mlflow.pyfunc import ChatModel
from mlflow.types.llm import ChatCompletionResponse

class Mine(ChatModel):
    def predict(self, context, messages, params):
        text = context.model_config["greeting"] + " " + messages[-1].content
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        return ChatCompletionResponse.from_dict({"choices": [choice]})

set_model(Mine())
""",
    "responses": """
from mlflow.models import set_model
from mlflow.pyfunc import ResponsesAgent
from mlflow.types.responses import ResponsesAgentResponse

class Mine(ResponsesAgent):
    def predict(self, request):
        text = "Hello " + request.input[-1].content
        return ResponsesAgentResponse(output=[self.create_text_output_item(text, "1")])

set_model(Mine())
""",
    "json": """
import mlflow

class Mine(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return ["Hello " + text for text in model_input["question"]]

mlflow.models.set_model(Mine())
""",
}


@pytest.fixture
def home(mlflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(mlflow_home)
    return mlflow_home


def registered(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    assert main(["registry", "register", *command, "--json"]) == 0
    (made,) = json.loads(capsys.readouterr().out)["registered"]
    return made


def answered(capsys: pytest.CaptureFixture[str], reference: str) -> str:
    assert main(["registry", "check", reference]) == 0, capsys.readouterr()
    capsys.readouterr()
    asked = ["chat", "--model", f"mlflow:{reference}", "--message", "What is a judge?", "--json"]
    assert main(asked) == 0
    return str(json.loads(capsys.readouterr().out)["turns"][0]["answer"])


def test_a_configuration_in_yaml_is_a_version_with_its_run(
    home: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "desk.yaml").write_text(
        "provider: guide\nmodel: docs\nsystem_prompt: Be brief.\nparameters: {temperature: 0.2}\n"
    )
    made = registered(capsys, "--model-config", "desk.yaml")
    assert (made["name"], made["version"], made["model"]) == ("llm_guide_chat", "1", "guide:docs")
    client = open_store(settings).client
    version = client.get_model_version_by_alias("llm_guide_chat", "staging")
    assert (version.run_id, version.current_stage) == (made["run_id"], "Staging")
    run = client.get_run(made["run_id"])
    assert run.data.params["system_prompt"] == "Be brief."
    assert run.data.params["temperature"] == "0.2"
    assert run.data.tags["llmflowlab.model_version"] == "1"
    logged = client.get_logged_model(str(version.source).removeprefix("models:/"))
    assert (logged.source_run_id, logged.tags["llmflowlab.model"]) == (
        run.info.run_id,
        "guide:docs",
    )
    assert "judge" in answered(capsys, "llm_guide_chat@staging").lower()


def test_a_panel_may_be_written_as_tutorials_write_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "panel.yaml").write_text(
        """
roles:
  oracle:
    endpoint: guide:docs
    system_prompt: Answer.
    configuration: {temperature: 0.1, max_tokens: 500}
  judge:
    endpoint: guide:docs
"""
    )
    made = registered(capsys, "--panel", "panel.yaml", "--name", "board")
    assert made["name"] == "board"
    assert answered(capsys, "board/1")
    assert main(["registry", "show", "board/1", "--json"]) == 0
    oracle, judge = json.loads(capsys.readouterr().out)["configuration"]["roles"]
    assert (oracle["model"], oracle["instruction"]) == ("guide:docs", "Answer.")
    assert (oracle["temperature"], oracle["max_tokens"], judge["name"]) == (0.1, 500, "judge")


@pytest.mark.parametrize("kind", sorted(OWN))
def test_code_of_ones_own_is_registered_checked_and_asked(
    home: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    (home / "mine.py").write_text(OWN[kind])
    (home / "mine.yaml").write_text("greeting: Hello\n")
    (home / "example.json").write_text('[{"question": "why?"}]')
    more = ["--example", "example.json"] if kind == "json" else []
    made = registered(capsys, "--code", "mine.py", "--model-config", "mine.yaml", *more)
    assert (made["name"], made["version"]) == ("mine", "1")
    assert answered(capsys, "mine/1") == "Hello What is a judge?"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        pytest.param(["--model-config", "no.yaml"], "no.yaml cannot be read", id="no-file"),
        pytest.param(["--model-config", "broken.yaml"], "it is no YAML in line", id="broken"),
        pytest.param(["--model-config", "list.yaml"], "must hold names and values", id="list"),
        pytest.param(["--model-config", "unknown.yaml"], "there is no 'modell' here", id="unknown"),
        pytest.param(["--panel", "unknown.yaml"], "there is no 'modell' here", id="no-panel"),
        pytest.param(["--code", "plain.py"], "say with --kind", id="no-class"),
        pytest.param(["--code", "failing.py"], "did not answer its example", id="failing"),
        pytest.param(["--model-config", "a", "--model", "guide:docs"], "leave runs", id="two-ways"),
        pytest.param(["--panel", "a", "--code", "b"], "--panel alone", id="panel-and-code"),
        pytest.param(["--model", "guide:docs", "--name", "x"], "belong to", id="name"),
    ],
)
def test_bad_input_is_one_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], command: list[str], reason: str
) -> None:
    (home / "broken.yaml").write_text("a: [1\nb: 2")
    (home / "list.yaml").write_text("- 1")
    (home / "unknown.yaml").write_text("modell: docs")
    (home / "plain.py").write_text("x = 1")
    (home / "failing.py").write_text(OWN["json"])
    assert main(["registry", "register", *command]) == 2
    captured = capsys.readouterr()
    assert reason in captured.err
    assert captured.out == ""
