"""Agents as MLflow keeps them: files without keys, examples that were run, loaded without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import mlflow.genai
import pytest

from llmflowlab.agents import package as package_module
from llmflowlab.agents.config import candidate_config, panel_config, read_agent_config
from llmflowlab.agents.logged import LoggedAgent, example_for, log_agent, save_agent
from llmflowlab.agents.package import AgentKind, package
from llmflowlab.candidate import Candidate
from llmflowlab.errors import AuthenticationFailed, InputError, NotConfigured
from llmflowlab.messages import Parameters
from llmflowlab.settings import Settings, load_settings
from tests.agents.helpers import traces_in
from tests.loopback import LoopbackServer
from tests.patience import PATIENCE
from tests.warm import warm

KINDS: tuple[AgentKind, ...] = ("chat", "panel", "json", "responses")
MODEL = "openai:gpt-4.1-mini"
KEY = "loopback-openai-key-0123456789"


def config_for(kind: AgentKind, model: str = MODEL, **more: Any) -> dict[str, Any]:
    if kind == "panel":
        return panel_config(model, model, **more)
    return candidate_config(model, system_prompt="Be brief.", **more)


@pytest.fixture
def keyed(
    mlflow_home: Path,
    loopback: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
    requests_allowed: None,
) -> Iterator[Settings]:
    """Settings whose keys are good, and an environment to match."""
    for name, value in loopback.environment("openai").items():
        monkeypatch.setenv(name, value)
    loopback.scenario.answer = lambda question: "Certainly."
    settings = load_settings(cwd=mlflow_home, stdin_is_terminal=False)
    with traces_in(mlflow_home):
        yield settings


def text_of(kind: AgentKind, answer: Any) -> str:
    if kind == "json":
        return str(json.loads(answer[0])["content"])
    if kind == "responses":
        return str(answer["output"][0]["content"][0]["text"])
    return str(answer["choices"][0]["message"]["content"])


def traces_of(logged: LoggedAgent) -> list[Any]:
    mlflow.flush_trace_async_logging()
    experiment = mlflow.MlflowClient().get_logged_model(logged.model_id).experiment_id
    return mlflow.search_traces(locations=[experiment], return_type="list")


def files_under(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_is_run_at_logging_and_again_from_the_stored_version(
    keyed: Settings, loopback: LoopbackServer, kind: AgentKind
) -> None:
    logged = log_agent(keyed, kind, config_for(kind), name=f"agent_{kind}")
    asked = len(loopback.requests)
    assert asked == (2 if kind == "panel" else 1)
    model = mlflow.pyfunc.load_model(logged.uri)
    assert logged.uri == f"models:/agent_{kind}/1"
    assert text_of(kind, model.predict(model.input_example)) == "Certainly."
    assert len(loopback.requests) == 2 * asked
    if kind != "json":
        assert list(model.predict_stream(model.input_example))
    assert model.metadata.signature is not None
    assert model.metadata.model_id == logged.model_id


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_no_trace_and_no_row_of_the_store_holds_the_key(
    keyed: Settings, mlflow_home: Path, loopback: LoopbackServer, kind: AgentKind
) -> None:
    logged = log_agent(keyed, kind, config_for(kind))
    model = mlflow.pyfunc.load_model(logged.uri)
    model.predict(model.input_example)
    loopback.scenario.keys["openai"] = "another"
    if kind == "json":
        assert "authentication" in model.predict(model.input_example)[0]
    else:
        with pytest.raises(mlflow.MlflowException):
            model.predict(model.input_example)
    mlflow.flush_trace_async_logging()
    assert traces_of(logged)
    found = [path for path, content in files_under(mlflow_home) if KEY.encode() in content]
    assert found == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_is_code_with_pinned_requirements(
    keyed: Settings, tmp_path: Path, kind: AgentKind
) -> None:
    folder = tmp_path / "model"
    save_agent(keyed, folder, kind, config_for(kind))
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert f"{kind}_agent.py" in names
    assert "code/llmflowlab/agents/core.py" in names
    assert not [name for name in names if name.endswith((".pkl", ".pyc"))]
    left_out = ("cli", "evaluation", "history")
    assert not [n for n in names if n.startswith(tuple(f"code/llmflowlab/{r}" for r in left_out))]
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert all("==" in line for line in lines)
    assert {line.partition("==")[0] for line in lines} == {"mlflow", "python-dotenv", "openai"}
    # Nor does a path of the machine that logged it stand anywhere.
    here = str(Path(package_module.__file__).parents[2]).encode()
    assert [path for path, content in files_under(folder) if here in content] == []


def test_an_installed_package_is_named_instead_of_carried(
    keyed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_module, "_installed_requirement", lambda root: "llmflowlab")
    save_agent(keyed, tmp_path / "model", "chat", config_for("chat"))
    lines = (tmp_path / "model" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("llmflowlab") for line in lines)
    assert not (tmp_path / "model" / "code").exists()


def test_a_checkout_is_carried() -> None:
    assert package().package_path is not None


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_that_cannot_answer_its_example_is_not_logged(
    keyed: Settings, loopback: LoopbackServer, kind: AgentKind
) -> None:
    loopback.scenario.keys["openai"] = "another"
    with pytest.raises((AuthenticationFailed, InputError), match="key"):
        log_agent(keyed, kind, config_for(kind), name="never")
    assert list(mlflow.MlflowClient().search_registered_models()) == []


def test_without_a_key_the_message_names_it(
    keyed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(NotConfigured, match="OPENAI_API_KEY"):
        log_agent(keyed, "chat", config_for("chat"))


@pytest.mark.parametrize("where", ["system_prompt", "example"])
def test_a_key_in_the_configuration_or_the_example_is_refused(
    keyed: Settings, mlflow_home: Path, where: str
) -> None:
    config, example = config_for("chat"), example_for("chat")
    if where == "system_prompt":
        config["system_prompt"] = f"Use the key {KEY}."
    else:
        example["messages"][0]["content"] = KEY
    with pytest.raises(InputError, match="holds a key"):
        log_agent(keyed, "chat", config, example=example)
    assert not (mlflow_home / "mlartifacts").exists()


def test_a_prompt_of_the_registry_is_resolved_and_named(
    keyed: Settings, loopback: LoopbackServer
) -> None:
    for text in ("Be kind.", "Be terse."):
        mlflow.genai.register_prompt("tone", text)
    logged = log_agent(keyed, "chat", config_for("chat"), prompt="tone@1")
    config = mlflow.pyfunc.load_model(logged.uri).model_config
    assert (config["system_prompt"], config["prompt"]) == ("Be kind.", "tone@1")
    assert loopback.last.body["messages"][0]["content"] == "Be kind."
    with pytest.raises(InputError, match="tone@7"):
        log_agent(keyed, "chat", config_for("chat"), prompt="tone@7")
    with pytest.raises(InputError, match="takes no prompt"):
        log_agent(keyed, "panel", config_for("panel"), prompt="tone")


def test_a_key_file_is_named_in_the_configuration_and_followed_when_it_rotates(
    keyed: Settings, mlflow_home: Path, loopback: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    file = mlflow_home / "secret"
    file.write_text(KEY, encoding="utf-8")
    logged = log_agent(keyed, "chat", config_for("chat", key_file=str(file)))
    model = mlflow.pyfunc.load_model(logged.uri)
    loopback.scenario.keys["openai"] = "rotated-key-9876543210"
    file.write_text("rotated-key-9876543210", encoding="utf-8")
    assert text_of("chat", model.predict(model.input_example)) == "Certainly."


def test_a_sessions_configuration_is_one_that_agents_read() -> None:
    candidate = Candidate(
        model="gemini:gemini-2.5-flash",
        display_name="Gemini",
        supplier="Google",
        system="Be brief.",
        prompt="tone@1",
        parameters=Parameters(temperature=0.2, seed=3),
    )
    parameters = candidate.parameters
    assert candidate.model_config() == candidate_config(
        candidate.model, system_prompt="Be brief.", prompt="tone@1", parameters=parameters
    )
    assert read_agent_config(candidate.model_config()).parameters == parameters


def test_eight_threads_load_four_kinds_at_once_and_each_gets_its_own(
    keyed: Settings, tmp_path: Path, loopback: LoopbackServer
) -> None:
    folders = {}
    for kind in KINDS:
        folders[kind] = tmp_path / kind
        config = config_for(kind)
        save_agent(keyed, folders[kind], kind, config)
    together = threading.Barrier(8)

    def load_and_ask(number: int) -> tuple[str, str]:
        kind = KINDS[number % 4]
        together.wait(PATIENCE)
        model = mlflow.pyfunc.load_model(str(folders[kind]))
        agent = type(model._model_impl.get_raw_model()) if kind != "json" else None
        answer = model.predict(example_for(kind))
        return kind if agent is None else agent.__name__, text_of(kind, answer)

    expected = ["ChatAgent", "PanelAgent", "json", "TwinAgent"] * 2
    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(load_and_ask, range(8)))
        assert found == [(name, "Certainly.") for name in expected]


def test_eight_threads_load_eight_candidates_and_none_gets_anothers(
    keyed: Settings, tmp_path: Path, loopback: LoopbackServer
) -> None:
    for number in range(8):
        config = candidate_config(MODEL, system_prompt=f"You are number {number}.")
        save_agent(keyed, tmp_path / str(number), "chat", config)
    together = threading.Barrier(8)

    def system_of(number: int) -> str:
        together.wait(PATIENCE)
        model = mlflow.pyfunc.load_model(str(tmp_path / str(number)))
        said = [{"role": "user", "content": f"{number}?"}]
        model.predict({"messages": said})
        asked = [r.body for r in loopback.requests if r.body["messages"][-1] == said[0]]
        return str(asked[-1]["messages"][0]["content"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(system_of, range(8))) == [f"You are number {n}." for n in range(8)]


_FRESH = """
import json, sys
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(model.input_example)
import llmflowlab
rooms = sorted({name.split(".")[1] for name in sys.modules if name.startswith("llmflowlab.")})
print(json.dumps({"answer": answer, "from": llmflowlab.__file__, "rooms": rooms}))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_it_loads_in_a_fresh_process_without_the_checkout(
    keyed: Settings, tmp_path: Path, kind: AgentKind
) -> None:
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    save_agent(keyed, folder, kind, config_for(kind, "guide:docs", tracing=False))
    elsewhere.mkdir()
    done = subprocess.run(
        warm([sys.executable, "-I", "-W", "ignore", "-c", _FRESH, str(folder)]),
        cwd=elsewhere,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert Path(seen["from"]).is_relative_to(folder)
    assert text_of(kind, seen["answer"])
    assert seen["rooms"] == [
        *(
            "agents",
            "asking",
            "candidate",
            "conversations",
            "errors",
            "guardrails",
            "loading",
            "messages",
            "program",
            "providers",
        ),
        *("settings", "template", "text"),
    ]


def test_what_log_agent_returns_can_be_printed_without_a_key(keyed: Settings) -> None:
    logged = log_agent(keyed, "chat", config_for("chat"))
    assert isinstance(logged, LoggedAgent)
    assert KEY not in repr(logged)


def test_whoever_loads_a_model_can_turn_its_traces_off(keyed: Settings) -> None:
    for kind in ("chat", "panel", "json"):
        logged = log_agent(keyed, kind, config_for(kind))
        model = mlflow.pyfunc.load_model(logged.uri, model_config={"tracing": False})
        before = len(traces_of(logged))
        model.predict(model.input_example)
        assert len(traces_of(logged)) == before


_PANEL = """
import json, sys
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict({"messages": [{"role": "user", "content": "What is a run?"}]})
import llmflowlab
print(json.dumps({"answer": answer, "from": llmflowlab.__file__}, default=str))
"""


def test_a_panel_with_a_registered_model_works_without_the_checkout(
    keyed: Settings, mlflow_home: Path, tmp_path: Path
) -> None:
    # The rooms that look a version up were left out of the package that travels.
    log_agent(keyed, "chat", candidate_config("guide:docs", tracing=False), name="helper")
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    config = panel_config("guide:docs", "mlflow:helper/1", tracing=False)
    save_agent(keyed, folder, "panel", config)
    elsewhere.mkdir()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        warm([sys.executable, "-I", "-W", "ignore", "-c", _PANEL, str(folder)]),
        cwd=elsewhere,
        env={**env, "LLMFLOWLAB_HOME": str(mlflow_home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert Path(seen["from"]).is_relative_to(folder)
    assert seen["answer"]["choices"][0]["message"]["content"].strip()
    assert "judge" in json.dumps(seen["answer"])
