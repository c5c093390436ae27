"""Esc in a row of questions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from llmflowlab.cli.going_back import going_back
from llmflowlab.cli.ui.screen import GoBack
from llmflowlab.cli.ui.terminal import TerminalScreen
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp

ESC = "\x1b"


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


class Asked:
    """Three questions; keys are sent when a question is put, as a person would."""

    def __init__(self, settings: Settings, keys: PipeInput, *sent: str) -> None:
        self.app = FakeApp(settings, TerminalScreen(settings))
        self.put: list[str] = []
        self._keys, self._sent = keys, iter(sent)
        put = self.app.screen.text

        def text(message: str) -> str:
            self.put.append(message)
            self._keys.send_text(next(self._sent))
            return put(message)

        self.app.screen.text = text  # type: ignore[method-assign, assignment]  # the keys come with it

    def questions(self) -> tuple[str, ...]:
        return tuple(self.app.screen.text(name) for name in ("first", "second", "third"))


def test_esc_asks_the_question_before_again(settings: Settings, keys: PipeInput) -> None:
    asked = Asked(settings, keys, "a\r", "b\r", ESC, ESC, "A\r", "B\r", "C\r")
    screen = asked.app.screen
    assert going_back(asked.app, asked.questions) == ("A", "B", "C")
    assert asked.put == ["first", "second", "third", "second", "first", "second", "third"]
    assert asked.app.screen is screen


def test_esc_in_the_first_question_leaves_them(settings: Settings, keys: PipeInput) -> None:
    asked = Asked(settings, keys, ESC)
    screen = asked.app.screen
    with pytest.raises(GoBack):
        going_back(asked.app, asked.questions)
    assert asked.app.screen is screen
