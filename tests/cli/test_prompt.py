from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from llmflowlab.cli.chat.editor import PromptEditor, SlashCompleter
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.settings import Settings

ALT_ENTER = "\x1b\r"
CTRL_C = "\x03"
UP = "\x1b[A"
# Windows knows no modes; there the folder of the user is what keeps others out.
OWNER_ONLY = 0o666 if sys.platform == "win32" else 0o600


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


def editor(settings: Settings) -> PromptEditor:
    return PromptEditor(PlainScreen(settings), settings)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        pytest.param("hello \r", "hello", id="one-line"),
        pytest.param(f"one{ALT_ENTER}two\r", "one\ntwo", id="alt-enter"),
        pytest.param("one\\\rtwo\r", "one\ntwo", id="backslash"),
        pytest.param("\x1b[200~one\ntwo\x1b[201~\r", "one\ntwo", id="pasted"),
        pytest.param(f"wrong{CTRL_C}right\r", "right", id="ctrl-c-empties-the-line"),
    ],
)
def test_a_prompt_is_read(keys: PipeInput, settings: Settings, typed: str, read: str) -> None:
    keys.send_text(typed)
    assert editor(settings).read() == read


def test_ctrl_c_at_an_empty_prompt_is_told_apart(keys: PipeInput, settings: Settings) -> None:
    keys.send_text(CTRL_C)
    with pytest.raises(KeyboardInterrupt):
        editor(settings).read()


def test_ctrl_d_leaves(
    keys: PipeInput, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    keys.send_text("\x04")
    assert editor(settings).read() is None


def test_prompts_are_remembered_across_sessions(keys: PipeInput, settings: Settings) -> None:
    keys.send_text("remember me\r")
    editor(settings).read()
    keys.send_text(UP + "\r")
    assert editor(settings).read() == "remember me"


def test_only_the_owner_may_read_the_history(settings: Settings) -> None:
    settings.state_dir.mkdir()
    file = settings.state_dir / "prompt_history"
    file.write_text("", encoding="utf-8")
    file.chmod(0o644)
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        editor(settings)
    assert stat.S_IMODE(file.stat().st_mode) == OWNER_ONLY


def test_a_home_that_cannot_be_written_costs_only_the_memory(
    keys: PipeInput, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(settings.state_dir).write_text("a file where the folder should be", encoding="utf-8")
    keys.send_text("hello\r")
    assert editor(settings).read() == "hello"
    assert "prompts are not remembered" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        pytest.param("/hi", ["/history"], id="one"),
        pytest.param("/s", ["/system", "/set", "/save", "/stats"], id="several"),
        pytest.param("/set t", [], id="argument"),
        pytest.param("hello /h", [], id="not-at-the-beginning"),
    ],
)
def test_commands_are_completed(typed: str, offered: list[str]) -> None:
    found = SlashCompleter().get_completions(Document(typed), CompleteEvent())
    assert [completion.text for completion in found] == offered
