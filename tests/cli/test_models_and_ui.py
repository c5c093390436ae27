from __future__ import annotations

import json
import socket
import subprocess
import threading
from decimal import Decimal
from typing import Any

import pytest

from llmflowlab.cli import mlflow_ui, model_choice, models_command
from llmflowlab.cli.arguments import parse
from llmflowlab.errors import ConfigurationError, ConnectionFailed, InputError, NotConfigured
from llmflowlab.lab import catalogue
from llmflowlab.lab.candidates import FirstComparison, first_compared
from llmflowlab.lab.catalogue import Listing, list_models
from llmflowlab.lab.labels import LABELS
from llmflowlab.providers.base import ModelInfo, PullProgress, Readiness
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings, load_settings
from tests.cli.fakes import FakeApp, FakeChecks, Typing
from tests.loopback.server import closed_port
from tests.patience import PATIENCE
from tests.providers.local_files import write_gguf

LISTINGS = {
    "gemini": Listing(
        "gemini", (), "gemini-2.5-flash", NotConfigured("Set GEMINI_API_KEY.", provider="gemini")
    ),
    "ollama": Listing("ollama", (), "llama3.2"),
    "openai": Listing(
        "openai",
        (ModelInfo("zeta"), ModelInfo("mine", 128_000, "large")),
        "mine",
    ),
    "azure": Listing("azure", (), None, ConnectionFailed("Azure is away.", provider="azure")),
    "anthropic": Listing(
        "anthropic", (), None, NotConfigured("Set ANTHROPIC_API_KEY.", provider="anthropic")
    ),
    "guide": Listing("guide", (ModelInfo("docs", None, "offline"),), "docs"),
    "mlflow": Listing("mlflow", (), None),
}
READY = FakeChecks(
    {
        "gemini": Readiness(False, "set GEMINI_API_KEY"),
        "ollama": Readiness(True, "http://localhost:11434, no model yet"),
        "openai": Readiness(True, "key set"),
        "azure": Readiness(True, "key set"),
        "anthropic": None,
        "guide": Readiness(True, "offline"),
    }
)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(settings: Settings, providers: list[str], *, deadline: float) -> list[Listing]:
        return [LISTINGS[name] for name in providers if name in LISTINGS]

    monkeypatch.setattr(models_command, "list_models", given)
    monkeypatch.setattr(model_choice, "list_models", given)


@pytest.fixture
def priced(settings: Settings) -> Settings:
    settings.prices_file.write_text(
        '{"openai:mine": {"input_per_million": "0.15", "output_per_million": "20"}}',
        encoding="utf-8",
    )
    return settings


@pytest.mark.usefixtures("listed")
def test_models_are_listed_with_window_and_price(
    priced: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models_command.show_available(FakeApp(priced), as_json=False) == 0
    seen = capsys.readouterr()
    rows = {line.split()[0]: line.split()[1:] for line in seen.out.splitlines()[3:-1]}
    assert rows["openai:mine"] == ["128,000", "0.15", "20", "default,", "large"]
    assert rows["openai:zeta"] == ["unknown", "unknown", "unknown"]
    assert rows["guide:docs"] == ["unknown", "free", "free", "default,", "offline"]
    assert seen.err.splitlines() == [
        "Set GEMINI_API_KEY.",
        "Ollama holds no model.",
        "Azure is away.",
        "Set ANTHROPIC_API_KEY.",
        "MLflow holds no model.",
    ]


@pytest.mark.usefixtures("listed")
def test_models_are_one_json_document(priced: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert models_command.show_available(FakeApp(priced), as_json=True) == 0
    seen = capsys.readouterr()
    document = json.loads(seen.out)
    assert seen.err == ""
    assert document["unreachable"] == {
        "gemini": "Set GEMINI_API_KEY.",
        "azure": "Azure is away.",
        "anthropic": "Set ANTHROPIC_API_KEY.",
    }
    mine = next(model for model in document["models"] if model["model"] == "openai:mine")
    assert mine == {
        "model": "openai:mine",
        "default": True,
        "context_window": 128_000,
        "detail": "large",
        "input_usd_per_million": 0.15,
        "output_usd_per_million": 20.0,
    }


def test_the_default_model_is_offered_first_and_what_is_missing_is_shown(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str], listed: None
) -> None:
    typed("openai\n1\n")
    assert model_choice.choose_reference(FakeApp(settings, checks=READY), "Which?") == "openai:mine"
    assert capsys.readouterr().out == (
        "Which?\n"
        "  1 Ollama: http://localhost:11434, no model yet\n"
        "  2 OpenAI: key set\n"
        "  3 Azure: key set\n"
        "  4 Guide: offline\n"
        "  5 Type a model reference\n"
        "  - Gemini: set GEMINI_API_KEY\n"
        "  - Claude: no answer yet\n"
        "> \n"
        "Which model of OpenAI?\n"
        "  1 mine (large, window 128,000)\n"
        "  2 zeta\n"
        "  3 Type a name\n"
        "> \n"
    )


@pytest.mark.parametrize(
    ("lines", "reference"),
    [
        pytest.param("guide\n", "guide:docs", id="only-model-is-taken-at-once"),
        pytest.param("azure\nmy-deployment\n", "azure:my-deployment", id="nothing-listed"),
        pytest.param("type\nnonsense\ngemini:x\n", "gemini:x", id="typed-by-hand"),
    ],
)
def test_a_reference_is_found_in_other_ways(
    settings: Settings, typed: Typing, listed: None, lines: str, reference: str
) -> None:
    typed(lines)
    assert model_choice.choose_reference(FakeApp(settings, checks=READY), "Which?") == reference


def test_ollama_without_a_model_offers_to_download_one(
    settings: Settings, typed: Typing, listed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    class Pulling(ScriptedProvider):
        name = "ollama"

        def pull(self):
            yield PullProgress("pulling manifest")
            for done in (0, 500, 1_000_000_000):
                yield PullProgress("pulling 1a2b", done, 1_000_000_000)
            yield PullProgress("success")

    provider = Pulling(settings=settings, model="llama3.2")
    typed("ollama\nyes\n")
    app = FakeApp(settings, providers=[provider], checks=READY)
    assert model_choice.choose_reference(app, "Which?") == "ollama:llama3.2"
    assert capsys.readouterr().err.splitlines() == [
        "fetching llama3.2 ...",
        "pulling manifest",
        "pulling 1a2b of 1.0 GB: 0 %",
        "pulling 1a2b of 1.0 GB: 100 %",
        "success",
        "llama3.2 is there.",
    ]
    assert provider.closed


def test_several_models_are_chosen_from_all_ready_providers(
    settings: Settings, typed: Typing, listed: None
) -> None:
    typed("\n1, guide:docs (offline), type\nollama:x\n")
    chosen = model_choice.choose_models(FakeApp(settings, checks=READY), "Which models?")
    assert chosen == ["openai:mine", "guide:docs", "ollama:x"]


def test_a_judge_is_a_language_model_that_is_no_candidate_or_none(
    settings: Settings, typed: Typing, listed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    app = FakeApp(settings, checks=READY)
    typed("none\n2\n")

    def ask() -> list[str]:
        return model_choice.choose_models(
            app,
            "Which judge?",
            several=False,
            language_models_only=True,
            without=["openai:mine"],
            optional="no judge",
        )

    assert ask() == []
    assert "guide" not in capsys.readouterr().out
    assert ask() == ["openai:zeta"]


def test_a_provider_that_does_not_answer_is_given_up_at_the_deadline(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def ask(name: str, settings: Settings) -> Listing:
        if name == "ollama":
            release.wait(PATIENCE)
        return LISTINGS[name]

    monkeypatch.setattr(catalogue, "_ask", ask)
    late, fine = list_models(settings, ["ollama", "guide"], deadline=1)
    release.set()
    assert late.error is not None
    assert "did not list its models within 1 s" in late.error.message
    assert fine is LISTINGS["guide"]


def test_a_failure_that_nobody_foresaw_is_raised_to_the_caller(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(name: str, settings: Settings) -> Listing:
        raise ZeroDivisionError

    monkeypatch.setattr(catalogue, "_ask", ask)
    with pytest.raises(ZeroDivisionError):
        list_models(settings, ["guide"], deadline=30)


def test_without_keys_every_provider_but_the_guide_says_what_is_missing(
    settings: Settings,
) -> None:
    found = {entry.provider: entry for entry in list_models(settings, list(LABELS), deadline=30)}
    assert [info.name for info in found["guide"].models] == ["docs"]
    for name in ("gemini", "openai", "azure", "anthropic"):
        assert isinstance(found[name].error, NotConfigured), name


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert mlflow_ui.free_port(port) > port


def test_no_free_port_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError

    monkeypatch.setattr(socket, "socket", Taken)
    with pytest.raises(ConfigurationError, match="--port"):
        mlflow_ui.free_port(5000)


def test_a_tracking_server_is_only_pointed_at(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    remote = load_settings(
        {"MLFLOW_TRACKING_URI": "http://user:secret@lab.example:5000"},
        cwd=settings.home,
        stdin_is_terminal=False,
    )
    for as_json in (False, True):
        assert mlflow_ui.open_pages(FakeApp(remote), port=5000, as_json=as_json) == 0
        said = capsys.readouterr().out
        assert "lab.example:5000" in said
        assert "secret" not in said
    assert json.loads(said)["started"] is False


@pytest.mark.parametrize(("code", "as_json"), [(0, False), (0, True), (1, False)])
def test_the_server_gets_the_labs_store_and_its_end_is_told(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    as_json: bool,
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    answers = (
        "import socket, sys\n"
        "print('MLflow says why', flush=True)\n"
        "with socket.create_server(('127.0.0.1', int(sys.argv[1]))) as server: server.accept()\n"
    )

    class Server(subprocess.Popen):
        def __init__(self, arguments: list[str], **more: Any) -> None:
            started.append((arguments, more["env"]))
            port = arguments[arguments.index("--port") + 1]
            listens = "" if code else answers
            program = f"{listens}print('MLflow says why'); raise SystemExit({code})"
            super().__init__([arguments[0], "-c", program, port], **more)

    monkeypatch.setattr(subprocess, "Popen", Server)
    port = closed_port()
    monkeypatch.setattr(mlflow_ui, "free_port", lambda wanted: port)
    if code:
        with pytest.raises(ConfigurationError, match='ended with code 1: "MLflow says why"'):
            mlflow_ui.open_pages(FakeApp(settings), port=5000)
    else:
        assert mlflow_ui.open_pages(FakeApp(settings), port=5000, as_json=as_json) == 0
    ((arguments, environment),) = started
    # Everybody on a machine sees what others typed, and an address may hold a password.
    store = environment["MLFLOW_BACKEND_STORE_URI"]
    assert store not in " ".join(arguments)
    root = arguments[arguments.index("--default-artifact-root") + 1]
    assert store == f"sqlite:///{settings.home.as_posix()}/mlflow.db"
    assert root == (settings.home / "mlartifacts").as_uri()
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"
    seen = capsys.readouterr()
    # Said when the port answers, and not before; the server's own words stay out of the terminal.
    if as_json:
        assert json.loads(seen.out)["address"] == f"http://127.0.0.1:{port}"
    else:
        assert (f"ready: MLflow at http://127.0.0.1:{port} " in seen.out) is (code == 0)
    assert "MLflow says why" not in seen.out + seen.err
    assert "MLflow says why" in (settings.state_dir / "ui.log").read_text("utf-8")


def test_ctrl_c_ends_the_server_and_what_it_started(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    class Server(real):  # type: ignore[valid-type, misc]
        def __init__(self, arguments: list[str], **more: object) -> None:
            code = "import time; print('up', flush=True); time.sleep(60)"
            super().__init__(
                [arguments[0], "-c", code], stdout=subprocess.PIPE, start_new_session=True
            )
            servers.append(self)

        def poll(self) -> int | None:
            # Before it answers: that moment is the longest.
            if not self.stdout.closed and self.stdout.readline():
                raise KeyboardInterrupt
            return super().poll()

    monkeypatch.setattr(subprocess, "Popen", Server)
    assert mlflow_ui.open_pages(FakeApp(settings), port=5000) == 0
    (server,) = servers
    assert server.stdout is not None
    server.stdout.close()
    assert server.returncode not in (None, 0)


def test_prices_are_written_without_exponents() -> None:
    assert [models_command._price(Decimal(text)) for text in ("0", "100", "0.150", "1E+1")] == [
        "free",
        "100",
        "0.15",
        "10",
    ]


class Fetched(ScriptedProvider):
    """A model of provider `local` whose file comes from nowhere."""

    name = "local"
    weights = {"file": "small.gguf", "sha256": "0" * 64}
    failure: Exception | None = None

    def pull(self):
        yield PullProgress("from example.org", 0, 2_000_000)
        if self.failure is not None:
            raise self.failure
        yield PullProgress("done", 2_000_000, 2_000_000)


def fetching(settings: Settings, checks: FakeChecks | None = None) -> tuple[FakeApp, Fetched]:
    app = FakeApp(settings, checks=checks)
    provider = Fetched(settings=settings, model="small")
    app.lab._build = lambda reference: provider
    return app, provider


@pytest.mark.parametrize(
    ("typed_name", "reference"),
    [
        ([], "local"),
        (["small"], "local:small"),
        (["local:small"], "local:small"),
        (["ollama:llama3.2"], "ollama:llama3.2"),
        (["ollama"], "ollama"),
    ],
)
def test_a_model_is_fetched_by_name(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    typed_name: list[str],
    reference: str,
) -> None:
    app, provider = fetching(settings)
    asked: list[str] = []
    app.lab._build = lambda text: asked.append(text) or provider  # type: ignore[func-returns-value]  # None, then the provider
    assert models_command.run_command(app, parse(["models", "fetch", *typed_name])) == 0
    assert set(asked) == {reference}
    seen = capsys.readouterr()
    assert seen.out == "local:small is there.\n"
    assert "from example.org of 2.0 MB: 0 %" in seen.err
    assert app.lab.checks.snapshot()["local"] == Readiness(True, "looked at again")
    assert provider.closed


def test_what_was_fetched_is_one_json_document(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    app, _ = fetching(settings)
    assert models_command.run_command(app, parse(["models", "fetch", "--json"])) == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": "local:small",
        "weights": {"file": "small.gguf", "sha256": "0" * 64},
    }


def test_a_fetch_that_fails_says_so(settings: Settings) -> None:
    app, provider = fetching(settings)
    provider.failure = ConnectionFailed("No network.", provider="local")
    with pytest.raises(ConnectionFailed, match="No network"):
        models_command.run_command(app, parse(["models", "fetch"]))
    assert provider.closed
    with pytest.raises(InputError, match="invalid choice: 'get'"):
        parse(["models", "get"])


def test_the_menu_offers_to_fetch_the_small_model(
    settings: Settings, typed: Typing, listed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Readiness(False, "not there", to_pull="small, 2 MB")
    app, _ = fetching(settings, FakeChecks({"local": missing}))
    typed("local\n")
    assert model_choice.choose_reference(app, "Which?") == "local:small"
    seen = capsys.readouterr()
    assert "  2 Local: fetch small, 2 MB\n" in seen.out
    assert "small is there." in seen.err


def test_a_first_evaluation_compares_the_small_model_with_the_guide(
    settings: Settings, typed: Typing, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ["local:SmolLM2-135M-Instruct.Q4_1", "guide:docs"]
    app = FakeApp(
        settings, checks=FakeChecks({"local": Readiness(True, ""), "guide": Readiness(True, "")})
    )
    lacking = first_compared(app.lab)
    assert lacking.models == ()
    assert "models fetch` brings a small model" in (lacking.lacking or "")
    write_gguf(settings.models_dir / "tiny.gguf")
    assert first_compared(app.lab) == FirstComparison(("local:tiny", "guide:docs"))
    write_gguf(settings.models_dir / "SmolLM2-135M-Instruct.Q4_1.gguf", general__name="the usual")
    assert first_compared(app.lab) == FirstComparison(tuple(usual))
    guide = Listing("guide", (ModelInfo("docs"),), "docs")
    both = [Listing("local", (ModelInfo(usual[0].partition(":")[2]),), None), guide]
    for there, chosen in ((both, usual), ([guide], ["guide:docs"])):
        monkeypatch.setattr(model_choice, "list_models", lambda *a, there=there, **k: there)
        typed("\n")
        assert model_choice.choose_models(app, "Which?", first=usual) == chosen
    settings.state_dir.mkdir()
    (settings.state_dir / "evaluations.db").touch()
    assert first_compared(app.lab) == FirstComparison()
