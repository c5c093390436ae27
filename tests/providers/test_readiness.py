"""Looking up which providers are ready: beside the menu, within a deadline, without any SDK."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmflowlab.providers import readiness as readiness_module
from llmflowlab.providers.base import Readiness
from llmflowlab.providers.factory import PROVIDERS
from llmflowlab.providers.ollama.provider import OllamaProvider
from llmflowlab.providers.readiness import ReadinessChecks
from llmflowlab.settings import Settings, load_settings
from tests.loopback.scenario import Fault, FaultKind
from tests.loopback.server import LoopbackServer, closed_port
from tests.patience import PATIENCE

Look = Callable[[Settings, float], Readiness]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Look]:
    """Replace every provider's look; those not named are ready at once."""
    found: dict[str, Look] = {}

    def provider_class(name: str) -> SimpleNamespace:
        ready = found.get(name, lambda settings, timeout: Readiness(True, f"{name} is there"))
        return SimpleNamespace(readiness=ready)

    monkeypatch.setattr(readiness_module, "provider_class", provider_class)
    return found


def test_everything_is_known_in_the_order_of_the_providers(
    looks: dict[str, Look], settings: Settings
):
    checks = ReadinessChecks(settings, timeout=PATIENCE)
    assert list(checks.snapshot().values()) == [None] * len(PROVIDERS)
    assert not checks.done
    checks.start()
    assert checks.wait(PATIENCE)
    assert checks.snapshot() == {n: Readiness(True, f"{n} is there") for n in PROVIDERS}
    assert list(checks.snapshot()) == list(PROVIDERS)


def test_what_is_known_shows_while_another_is_still_looked_for(
    looks: dict[str, Look], settings: Settings
):
    found = threading.Event()

    def slow(settings: Settings, timeout: float) -> Readiness:
        assert found.wait(PATIENCE)
        return Readiness(True, "at last")

    looks["ollama"] = slow
    checks = ReadinessChecks(settings, timeout=PATIENCE)
    checks.start()
    while sum(value is not None for value in checks.snapshot().values()) < len(PROVIDERS) - 1:
        checks.wait(0.01)
    assert (checks.snapshot()["ollama"], checks.done) == (None, False)
    found.set()
    assert checks.wait(PATIENCE)
    assert checks.snapshot()["ollama"] == Readiness(True, "at last")


def test_a_look_that_never_ends_is_told_at_the_deadline_and_believed_later(
    looks: dict[str, Look], settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(readiness_module, "_GRACE", 0.0)
    found, told = threading.Event(), threading.Event()

    def slow(settings: Settings, timeout: float) -> Readiness:
        assert found.wait(PATIENCE)
        told.set()
        return Readiness(True, "at last")

    looks["ollama"] = slow
    checks = ReadinessChecks(settings, timeout=0.02)
    checks.start()
    assert checks.wait(PATIENCE)
    assert checks.snapshot()["ollama"] == Readiness(False, "no answer within 0.02 s")
    assert (checks.done, checks.ended) == (True, False)
    found.set()
    assert told.wait(PATIENCE)
    while not checks.ended:
        checks.wait(0.01)
    assert checks.snapshot()["ollama"] == Readiness(True, "at last")


def test_a_look_that_breaks_is_told_and_writes_nothing(
    looks: dict[str, Look], settings: Settings, capfd: pytest.CaptureFixture[str]
):
    def broken(settings: Settings, timeout: float) -> Readiness:
        raise ZeroDivisionError

    looks["gemini"] = broken
    checks = ReadinessChecks(settings, timeout=PATIENCE)
    checks.start()
    assert checks.wait(PATIENCE)
    assert checks.snapshot()["gemini"] == Readiness(
        False, "could not be looked up (ZeroDivisionError)"
    )
    assert capfd.readouterr() == ("", "")


def test_starting_and_looking_imports_no_sdk():
    program = """
        import sys
        from pathlib import Path
        from llmflowlab.providers.readiness import ReadinessChecks
        from llmflowlab.settings import load_settings

        settings = load_settings({"OLLAMA_HOST": "127.0.0.1:9"}, cwd=Path.cwd())
        checks = ReadinessChecks(settings, timeout=120)
        checks.start()
        assert checks.wait(120)
        heavy = ("google", "openai", "anthropic", "ollama", "httpx", "httpx2", "pydantic", "mlflow",
                 "sklearn", "pandas", "rich")
        assert None not in checks.snapshot().values()
        print([name for name in heavy if name in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=Path(__file__).parents[2],
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


# -- Ollama's look, the only one that asks the network ---------------------------------------------


def look(tmp_path: Path, timeout: float = 5.0, **environ: str) -> Readiness:
    settings = load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)
    return OllamaProvider.readiness(settings, timeout)


@pytest.mark.parametrize(
    ("models", "text"),
    [
        (["a:latest", "b:latest", "c:latest"], ", 3 models"),
        (["a:latest"], ", 1 model"),
        ([], ", no model yet (chat offers to pull one)"),
    ],
)
def test_an_ollama_that_answers_is_ready(
    models: list[str], text: str, loopback: LoopbackServer, tmp_path: Path
):
    loopback.scenario.models["ollama"] = models
    found = look(tmp_path, OLLAMA_HOST=loopback.url)
    assert found == Readiness(True, loopback.url + text)


def test_no_ollama_names_the_default_address_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*args: object) -> socket.socket:
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.create_connection", refuse)
    assert look(tmp_path) == Readiness(
        False, "nothing answers at http://localhost:11434; install it or set OLLAMA_HOST"
    )


def test_no_ollama_at_an_address_of_ones_own_names_that(tmp_path: Path):
    address = f"127.0.0.1:{closed_port()}"
    assert look(tmp_path, OLLAMA_HOST=address) == Readiness(
        False, f"nothing answers at http://{address}; install it or set OLLAMA_HOST"
    )


@pytest.mark.parametrize("fault", ["reset", "hang"])
def test_a_server_that_takes_the_call_but_not_more_counts_as_none(
    fault: FaultKind, loopback: LoopbackServer, tmp_path: Path
):
    loopback.fail(Fault(fault, on="other"))
    found = look(tmp_path, 0.2, OLLAMA_HOST=loopback.url)
    assert found == Readiness(
        False, f"nothing answers at {loopback.url}; install it or set OLLAMA_HOST"
    )


@pytest.mark.parametrize("path", ["", "/elsewhere"])
def test_something_else_at_the_address_is_told(path: str, loopback: LoopbackServer, tmp_path: Path):
    loopback.fail(Fault("malformed", on="other"))
    found = look(tmp_path, OLLAMA_HOST=loopback.url + path)
    assert found == Readiness(
        False, f"{loopback.url}{path} answers, but not as Ollama does; check OLLAMA_HOST"
    )


def test_a_gateway_that_wants_a_key_says_which(loopback: LoopbackServer, tmp_path: Path):
    loopback.scenario.keys["ollama"] = "gateway-key-0123456789"
    assert look(tmp_path, OLLAMA_HOST=loopback.url) == Readiness(
        False, f"{loopback.url} wants a key; set OLLAMA_API_KEY"
    )
    key = loopback.scenario.keys["ollama"]
    assert look(tmp_path, OLLAMA_HOST=loopback.url, OLLAMA_API_KEY=key).ready


def test_something_that_does_not_speak_http_counts_as_none(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def talk() -> None:
            line, _ = server.accept()
            with line:
                line.recv(4096)
                line.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        found = look(tmp_path, OLLAMA_HOST=f"127.0.0.1:{port}")
        thread.join()
    assert found.text.startswith("nothing answers at")


def test_https_to_a_server_without_it_is_no_silence(loopback: LoopbackServer, tmp_path: Path):
    address = loopback.url.replace("http:", "https:")
    found = look(tmp_path, 2.0, OLLAMA_HOST=address).text
    assert found.startswith(f"no trusted connection to {address} can be made")
    loopback.failures.clear()


def test_an_unusable_address_is_told(tmp_path: Path):
    found = look(tmp_path, OLLAMA_HOST="ftp://host")
    assert found == Readiness(
        False, "OLLAMA_HOST is no address; write it as in http://localhost:11434."
    )


def test_a_list_of_no_models_may_be_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answers = iter([(200, json.dumps({"models": None}).encode()), (200, b"[]"), (200, b"{}")])
    monkeypatch.setattr(
        "llmflowlab.providers.ollama.address._ask_here", lambda *args: next(answers)
    )
    assert [look(tmp_path).ready for _ in range(3)] == [True, False, False]
