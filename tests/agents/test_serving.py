"""Agents behind MLflow's own servers, as processes of their own, called over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, OpenAI, RateLimitError

from llmflowlab.agents.config import candidate_config, panel_config
from llmflowlab.agents.logged import save_agent
from llmflowlab.agents.package import AgentKind
from llmflowlab.settings import load_settings
from tests.loopback import LoopbackServer, closed_port
from tests.patience import PATIENCE
from tests.warm import SITE, warm

MODEL = "openai:gpt-4.1-mini"


@contextmanager
def server(command: list[str], port: int, cwd: Path, env: dict[str, str]) -> Iterator[str]:
    """Run a server until the block ends; yields its address as soon as it is healthy."""
    log = cwd / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            warm([sys.executable, *command]),
            cwd=cwd,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            until = time.monotonic() + PATIENCE
            while True:
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < until, log.read_text(encoding="utf-8")
                try:
                    with urllib.request.urlopen(f"{address}/health", timeout=PATIENCE):
                        break
                except OSError:
                    # A server that is starting takes no connection yet; this is a wait for it.
                    process_ended(process, 0.2)
            yield address
        finally:
            if process.poll() is not None:
                pass
            elif hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGTERM)
            else:
                process.terminate()
            process.wait(PATIENCE)


def process_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def post(address: str, path: str, payload: Any) -> tuple[int, str]:
    request = urllib.request.Request(
        address + path,
        data=json.dumps(payload).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


@pytest.fixture
def environment(mlflow_home: Path, loopback: LoopbackServer) -> dict[str, str]:
    """What the serving process gets: a key, and not the checkout."""
    loopback.scenario.answer = lambda question: f"You asked {question}"
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "LLMFLOWLAB_HOME"}}
    return {
        **kept,
        **loopback.environment("openai"),
        "PYTHONPATH": str(SITE),
        "LLMFLOWLAB_MAX_TRIES": "1",
        "MLFLOW_TRACKING_URI": f"sqlite:///{(mlflow_home / 'mlflow.db').as_posix()}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # The server's program is looked for among this environment's.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")]),
    }


def saved(
    kind: AgentKind,
    folder: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(cwd=folder, stdin_is_terminal=False)
    config = panel_config(MODEL, MODEL) if kind == "panel" else candidate_config(MODEL)
    save_agent(settings, folder / "model", kind, config)
    return folder / "model"


def scoring_server(model: Path, port: int) -> list[str]:
    place = ["-h", "127.0.0.1", "-p", str(port)]
    return ["-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local", *place]


@pytest.mark.usefixtures("requests_allowed")
def test_a_chat_model_answers_the_openai_payload_and_failures_have_their_status(
    tmp_path: Path,
    environment: dict[str, str],
    loopback: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The panel speaks for both chat models: it is the one that could mix requests up.
    model, port = saved("panel", tmp_path, environment, monkeypatch), closed_port()
    with server(scoring_server(model, port), port, tmp_path, environment) as address:
        payload = {"messages": [{"role": "user", "content": "why?"}], "temperature": 0.5}
        status, body = post(address, "/invocations", payload)
        assert status == 200, body
        answer = json.loads(body)
        assert answer["choices"][0]["message"]["content"].startswith("You asked")
        assert answer["custom_outputs"]["fallback"] is False
        assert loopback.last.body["temperature"] == 0.5
        status, body = post(address, "/invocations", {**payload, "n": 3})
        assert status == 400
        assert "once per request" in body
        loopback.fail("rate_limited")
        status, body = post(address, "/invocations", payload)
        assert status == 429
        assert "stack_trace" not in json.loads(body)


@pytest.mark.usefixtures("requests_allowed")
def test_the_tabular_model_answers_rows(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, port = saved("json", tmp_path, environment, monkeypatch), closed_port()
    with server(scoring_server(model, port), port, tmp_path, environment) as address:
        said = [json.dumps([{"role": "user", "content": text}]) for text in ("a?", "b?")]
        rows = [{"messages": text} for text in (said[0], "broken", said[1])]
        status, body = post(address, "/invocations", {"dataframe_records": rows})
        assert status == 200, body
        first, broken, last = (json.loads(text) for text in json.loads(body)["predictions"])
        assert (first["content"], last["content"]) == ("You asked a?", "You asked b?")
        assert broken["error"]["reason"] == "bad_input"


@pytest.mark.usefixtures("requests_allowed")
def test_the_agent_server_answers_and_streams_the_twin(
    tmp_path: Path,
    environment: dict[str, str],
    loopback: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, port = saved("responses", tmp_path, environment, monkeypatch), closed_port()
    # From the carried code alone, as on a machine that has only the model.
    start = f"import sys; sys.path.insert(0, {str(model / 'code')!r})\n"
    start += "from llmflowlab.agents.agent_server import main\n"
    start += f"main([{str(model)!r}, '--port', '{port}'])"
    with server(["-I", "-c", start], port, tmp_path, environment) as address:
        payload = {"input": [{"role": "user", "content": "why?"}]}
        status, body = post(address, "/invocations", payload)
        assert status == 200, body
        assert json.loads(body)["output"][0]["content"][0]["text"] == "You asked why?"
        status, body = post(address, "/responses", {**payload, "stream": True})
        told = [line for line in body.splitlines() if line.startswith("data: ")]
        lines = [line.removeprefix("data: ") for line in told]
        assert lines[-1] == "[DONE]"
        events = [json.loads(line) for line in lines[:-1]]
        deltas = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
        assert len(deltas) > 1
        assert "".join(deltas) == "You asked why?"
        assert events[-1]["type"] == "response.completed"
        with OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
            asked: dict[str, Any] = {"model": "any", "input": "why?", "instructions": "Be kind."}
            answer = client.responses.create(**asked)
            assert (answer.output_text, answer.instructions) == ("You asked why?", "Be kind.")
            assert loopback.last.body["messages"][0]["content"] == "Be kind."
            with client.responses.stream(**asked) as stream:
                kinds = [event.type for event in stream]
                assert stream.get_final_response().output_text == "You asked why?"
            assert kinds[0] == "response.created"
            with pytest.raises(BadRequestError) as refused:
                client.responses.create(**asked, temperature=9)
            assert refused.value.code == "invalid_request"
            assert "temperature is 9" in refused.value.message
            loopback.fail("rate_limited")
            with pytest.raises(RateLimitError):
                client.responses.create(**asked, stream=True)
        too_much = post(address, "/v1/responses", {"input": "x" * 20_000_001})
        assert too_much[0] == 413
