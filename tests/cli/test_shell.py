from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import llmflowlab
from llmflowlab import cli
from llmflowlab.cli import dispatch
from llmflowlab.cli.arguments import parse
from llmflowlab.cli.context import App
from llmflowlab.errors import (
    ConfigurationError,
    GateNotMet,
    InputError,
    Interrupted,
    ProviderError,
    TrackingError,
)
from llmflowlab.settings import Settings
from tests.cli.fakes import Typing
from tests.patience import PATIENCE

ROOT = Path(llmflowlab.__file__).parent.parent


def doing(monkeypatch: pytest.MonkeyPatch, action: Callable[[], int]) -> None:
    def carry_out(arguments: argparse.Namespace, settings: Settings) -> int:
        return action()

    monkeypatch.setattr(dispatch, "dispatch", carry_out)
    monkeypatch.setattr(dispatch, "open_menu", lambda settings: action())


def raising(error: BaseException) -> Callable[[], int]:
    def fail() -> int:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(InputError("Say it."), 2, id="input"),
        pytest.param(ConfigurationError("Say it."), 3, id="configuration"),
        pytest.param(ProviderError("Say it.", provider="gemini"), 4, id="provider"),
        pytest.param(TrackingError("Say it."), 4, id="tracking"),
        pytest.param(GateNotMet("Say it."), 5, id="gate"),
        pytest.param(Interrupted("Say it."), 130, id="interrupted"),
    ],
)
def test_every_error_ends_in_one_sentence_and_its_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
) -> None:
    doing(monkeypatch, raising(error))
    assert cli.main(["doctor"]) == code
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "Say it.\n")


def test_ctrl_c_ends_with_130_and_no_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    doing(monkeypatch, raising(KeyboardInterrupt()))
    assert cli.main([]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
def test_the_unexpected_is_one_sentence_unless_debugging(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], debug: bool
) -> None:
    if debug:
        monkeypatch.setenv("LLMFLOWLAB_DEBUG", "1")
    doing(monkeypatch, raising(ZeroDivisionError("over\nzero")))
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert "(ZeroDivisionError: over zero)" in said
    assert ("Traceback" in said) is debug


def test_a_bad_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMFLOWLAB_MAX_TRIES", "many")
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err == (
        "LLMFLOWLAB_MAX_TRIES is 'many'; set it to a number above 0 (default 5).\n"
    )


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        pytest.param(["nonsense"], "there is no command 'nonsense'; see", id="unknown-command"),
        pytest.param(["evalute"], "'evalute' (did you mean evaluate?); see", id="command"),
        pytest.param(["data", "chek", "x"], "'chek' (did you mean check?); see", id="action"),
        pytest.param(["chat", "--nonsense"], "--nonsense; see", id="unknown-option"),
        pytest.param(
            ["evaluate", "--modell=x"],
            "unrecognized arguments: --modell=x (did you mean --model?); "
            "see `python main.py evaluate --help`.",
            id="option",
        ),
        pytest.param(
            ["data", "check", "x", "--strikt"],
            "(did you mean --strict?); see `python main.py data check --help`.",
            id="option-of-an-action",
        ),
        pytest.param(["evaluate", "--harness", "fsat"], "(did you mean fast?)", id="choice"),
        pytest.param(["chat", "--temperature", "3"], "from 0 to 2", id="out-of-range"),
        pytest.param(["chat", "--max-tokens", "x"], "a whole number", id="not-a-number"),
        pytest.param(["chat", "--message"], "expected one argument", id="missing-value"),
        pytest.param(["ui", "--port", "0"], "from 1 to 65535", id="no-port"),
        pytest.param(["info", "--provider", "x"], "'x' is no provider", id="no-provider"),
        pytest.param(["chat", "--model", "x:y", "--message", "a"], "names no model", id="no-model"),
        pytest.param(["chat", "--message", "a\udcff"], "not valid UTF-8", id="not-utf-8"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    assert cli.main(argv) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert words in seen.err
    assert seen.err.count("\n") == 1


@pytest.mark.parametrize("command", ["chat", "info", "models", "doctor", "ui"])
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert cli.main([command, "--help"]) == 0
    assert f"usage: python main.py {command}" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"LLMFlowLab {llmflowlab.__version__}\n"


def test_options_of_chat_are_read() -> None:
    arguments = parse(["chat", "--model", "guide", "--temperature", "0.5", "--max-tokens", "9"])
    assert (arguments.model, arguments.temperature, arguments.max_tokens) == ("guide", 0.5, 9)
    assert (arguments.top_p, arguments.seed, arguments.message) == (None, None, [])


def test_the_menu_ends_with_the_input_and_code_0(
    typed: Typing, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MLflow imported beside other tests would turn its own warnings into their errors.
    monkeypatch.setattr(App, "warm_up", lambda app: None)
    typed("")
    assert cli.main([]) == 0


HEAVY = (
    "anthropic",
    "google.genai",
    "mlflow",
    "numpy",
    "ollama",
    "openai",
    "pandas",
    "pydantic",
    "rich",
    "sklearn",
    "tiktoken",
)


@pytest.mark.parametrize(
    "modules",
    [
        "llmflowlab.cli",
        "llmflowlab.cli.menu, llmflowlab.cli.ui.terminal, llmflowlab.providers.readiness",
    ],
    ids=["shell", "terminal-menu"],
)
def test_nothing_heavy_is_imported_before_the_menu_is_drawn(modules: str) -> None:
    code = (
        f"import sys, {modules}; from llmflowlab.providers.factory import *;"
        "[provider_class(name) for name in PROVIDERS];"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = (
        "import sys; from llmflowlab import cli; from llmflowlab.cli import dispatch\n"
        "def many(arguments, settings):\n"
        "    for number in range(100000): print('x' * 50)\n"
        "    return 0\n"
        "dispatch.dispatch = many\n"
        "sys.exit(cli.main(['doctor']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""
