"""The service from the menu, and what its command says where it cannot be started."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.cli.service import service_screen as screen
from llmflowlab.cli.ui.screen import EndOfInput
from llmflowlab.page import page_process
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp, Typing
from tests.loopback import closed_port


def opened(settings: Settings, typed: Typing, text: str) -> None:
    typed(text)
    screen.service_screen(FakeApp(settings))


def test_keys_are_made_and_revoked(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(settings, typed, "make\n\nshop\nmake\nshop\nmake\ntill\nrevoke\nshop\nback\n")
    said = capsys.readouterr()
    assert said.out.startswith("There is no key: the service listens on this machine alone")
    assert len(re.findall(r"lfl-[\w-]{43}\n", said.out)) == 2
    assert "'shop' (" in said.out
    assert "is revoked" in said.out
    # An empty name, and one that is taken.
    assert said.err.splitlines() == [
        "A key needs a name, such as that of who gets it.",
        "There is a key named 'shop'; choose another name, or revoke it first.",
    ]
    opened(settings, typed, "revoke\ntill\nback\n")
    assert "- Revoke a key: there is none" in capsys.readouterr().out


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Has a program that ends at once in the service's place; returns its command lines."""
    commands: list[list[str]] = []

    class Ended(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **more: Any) -> None:
            commands.append(command)
            super().__init__([sys.executable, "-c", ""], **more)

    monkeypatch.setattr(subprocess, "Popen", Ended)
    return commands


def test_a_chat_page_is_opened_where_one_is_wanted_and_can_be(
    settings: Settings,
    typed: Typing,
    started: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [False, True]
    monkeypatch.setattr(page_process, "chainlit_is_there", lambda: there.pop(0))
    port = str(closed_port())
    opened(settings, typed, f"port\n{port}\npage\npage\nstart\nmodel\nguide\npage\nstart\nback\n")
    said = capsys.readouterr()
    assert "needs Chainlit" in said.err
    assert "Chat page in the browser: yes" in said.out
    assert [command[-1] for command in started] == ["--page", port]


def test_who_answers_is_asked_once_and_the_port_is_kept(
    settings: Settings,
    typed: Typing,
    started: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = str(closed_port())
    opened(
        settings,
        typed,
        f"port\n70000\n{port}\nstart\nmodel\ntype\nopenai:gpt-4.1-mini\nstart\nback\n",
    )
    tail = ["serve", "--model", "openai:gpt-4.1-mini", "--port", port]
    assert [command[-5:] for command in started] == [tail, tail]
    said = capsys.readouterr()
    assert "A port is from 1 to 65535." in said.err
    assert said.out.count("The service has ended.") == 2
    assert "Who answers: openai:gpt-4.1-mini" in said.out


def test_a_home_without_a_version_says_how_one_comes_to_be(
    mlflow_home: Path,
    settings: Settings,
    typed: Typing,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(EndOfInput):
        opened(settings, typed, "who\nversion\n")
    assert "No model is registered yet: the first chat" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        ([], 2, "Say which model to serve: --model provider:model"),
        (["--model", "nobody"], 2, "'nobody' names no model"),
        (["--model", "openai:gpt-4.1-mini"], 3, "OpenAI has no key: set OPENAI_API_KEY"),
        (["--model", "guide", "--host", "0.0.0.0"], 3, "Without a key the service listens"),
        (["--model", "guide", "--guardrails", "no.yaml"], 2, "there is no file no.yaml"),
        (["--model", "guide", "--port", "{taken}"], 2, "cannot be used (Address already in use);"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_sentence(
    mlflow_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    why: str,
) -> None:
    monkeypatch.chdir(mlflow_home)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", *(port if one == "{taken}" else one for one in options)]) == code
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert why in said.err


def test_what_the_service_did_can_be_watched_from_its_screen(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(settings, typed, "watch\nback\n")
    assert "0 requests in 1 h to" in capsys.readouterr().out
