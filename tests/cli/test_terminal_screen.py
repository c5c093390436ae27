from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from llmflowlab.cli.status import ProviderStatus
from llmflowlab.cli.ui.screen import Choice, EndOfInput, GoBack, Tone
from llmflowlab.cli.ui.terminal import TerminalScreen
from llmflowlab.cli.ui.wrapping import wrapped
from llmflowlab.providers.base import Readiness
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeChecks
from tests.patience import PATIENCE

DOWN = "\x1b[B"
CTRL_C = "\x03"
CTRL_D = "\x04"
CHOICES: list[Choice[str | None]] = [
    Choice("Chat", "chat"),
    Choice("Azure", "azure", disabled="no"),
    Choice("Exit", None),
]


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


@pytest.fixture
def screen(settings: Settings) -> TerminalScreen:
    return TerminalScreen(settings)


def test_arrow_keys_pass_over_what_is_disabled(keys: PipeInput, screen: TerminalScreen) -> None:
    keys.send_text(DOWN + "\r")
    assert screen.select("What?", CHOICES) is None


def test_the_number_of_a_line_takes_it(keys: PipeInput, screen: TerminalScreen) -> None:
    keys.send_text("3")
    assert screen.select("What?", CHOICES, numbered=True) is None


@pytest.mark.parametrize("count", [10, 11])
def test_the_last_of_many_lines_is_taken_by_0(
    keys: PipeInput, screen: TerminalScreen, count: int
) -> None:
    keys.send_text("0")
    lines = [Choice(f"line {number}", number) for number in range(1, count + 1)]
    assert screen.select("What?", lines, numbered=True) == count


def test_the_number_of_a_disabled_line_does_nothing(
    keys: PipeInput, screen: TerminalScreen
) -> None:
    keys.send_text("21")
    assert screen.select("What?", CHOICES, numbered=True) == "chat"


def test_ctrl_c_leaves_a_menu(keys: PipeInput, screen: TerminalScreen) -> None:
    keys.send_text(CTRL_C)
    with pytest.raises(KeyboardInterrupt):
        screen.select("What?", CHOICES)


def test_the_default_is_pointed_at(keys: PipeInput, screen: TerminalScreen) -> None:
    keys.send_text("\r")
    choices = [Choice("A", "a"), Choice("B", "b")]
    assert screen.select("What?", choices, default="b") == "b"


def test_a_long_menu_is_narrowed_by_typing(keys: PipeInput, screen: TerminalScreen) -> None:
    keys.send_text("17\r")
    choices = [Choice(f"model-{number}", number) for number in range(20)]
    assert screen.select("Which?", choices) == 17


def test_marks_are_set_with_space(keys: PipeInput, screen: TerminalScreen) -> None:
    keys.send_text(" " + DOWN + " \r")
    choices = [Choice("A", "a"), Choice("B", "b"), Choice("C", "c")]
    assert screen.checkbox("Which?", choices, default=["b", "c"]) == ["a", "c"]


def test_text_and_confirmation_are_read(keys: PipeInput, screen: TerminalScreen) -> None:
    keys.send_text("  llama3.2 \r" + "y")
    assert screen.text("Name?") == "llama3.2"
    assert screen.confirm("Sure?") is True


def test_the_status_is_redrawn_while_the_menu_is_open(
    keys: PipeInput, screen: TerminalScreen
) -> None:
    checks = FakeChecks({"gemini": None, "guide": Readiness(True, "offline")})
    drawn: list[list[str]] = []
    redrawn = threading.Event()

    class Watched(ProviderStatus):
        def wait(self, seconds: float) -> None:
            checks.known["gemini"] = Readiness(False, "set GEMINI_API_KEY")

        def lines(self, width: int) -> list[tuple[Tone, str]]:
            lines = super().lines(width)
            drawn.append([line for _, line in lines])
            if any("not set up" in line for _, line in lines) and not redrawn.is_set():
                redrawn.set()
                keys.send_text("\r")
            return lines

    assert screen.select("What?", CHOICES, status=Watched(checks)) == "chat"
    assert drawn[-1] == [
        "  ready  Guide: offline",
        "  1 not set up: Gemini · see `doctor`",
    ]


def test_a_look_that_is_late_is_shown_while_the_menu_is_open(
    keys: PipeInput, screen: TerminalScreen
) -> None:
    # The menu once went on saying "no answer within 1 s" of whatever a busy machine was slow to find.
    class Overdue(FakeChecks):
        done, ended = True, False

    checks = Overdue({"gemini": Readiness(False, "no answer within 1 s")})
    shown = threading.Event()

    class Late(ProviderStatus):
        def wait(self, seconds: float) -> None:
            if shown.is_set():
                checks.known["gemini"] = Readiness(True, "gemini-2.5-flash")
                checks.ended = True

        def lines(self, width: int) -> list[tuple[Tone, str]]:
            lines = super().lines(width)
            shown.set()
            if "gemini-2.5-flash" in lines[0][1]:
                keys.send_text("\r")
            return lines

    assert screen.select("What?", CHOICES, status=Late(checks)) == "chat"


@pytest.mark.parametrize("error", [RuntimeError("no running event loop"), AttributeError("None")])
def test_a_menu_that_is_answered_while_its_status_is_drawn_anew_says_nothing_of_it(
    keys: PipeInput, screen: TerminalScreen, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A traceback stood below the menu: prompt_toolkit's loop was gone between two of its steps."""
    tried, invalidate = threading.Event(), Application.invalidate

    def invalidated(self: Application[object]) -> None:
        if threading.current_thread().name != "menu-status":
            invalidate(self)
            return
        tried.set()
        keys.send_text("\r")
        raise error

    monkeypatch.setattr(Application, "invalidate", invalidated)
    seen: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    assert screen.select("What?", CHOICES, status=ProviderStatus(FakeChecks({}))) == "chat"
    for thread in [each for each in threading.enumerate() if each.name == "menu-status"]:
        thread.join(PATIENCE)
    assert tried.is_set()
    assert seen == []


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            79,
            [
                ("good", "  ready  Guide: answers from the lab's documentation, offline"),
                (
                    "quiet",
                    "  5 not set up: Gemini, Ollama, OpenAI, Azure, Claude · see `doctor`",
                ),
            ],
        ),
        (
            50,
            [
                ("good", "  ready  Guide: answers from the lab's documentat…"),
                ("quiet", "  5 not set up: Gemini, Ollama, Op… · see `doctor`"),
            ],
        ),
    ],
)
def test_a_status_has_a_line_for_what_is_ready_and_one_for_the_rest(
    width: int, lines: list[tuple[str, str]]
) -> None:
    assert ProviderStatus(FakeChecks()).lines(width) == lines


def test_what_is_still_looked_at_stands_in_one_line() -> None:
    checks = FakeChecks({"gemini": None, "ollama": None, "guide": Readiness(True, "offline")})
    assert ProviderStatus(checks).lines(79)[1:] == [("quiet", "  looking at Gemini, Ollama ...")]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("short", ["short"], id="short"),
        pytest.param("one two three four", ["one two", "three four"], id="between-words"),
        pytest.param("  one two three", ["  one two", "  three"], id="indented"),
        pytest.param("a http://localhost:11434/x", ["a", "http://localhost:11434/x"], id="address"),
        pytest.param("kept   as it\nis", ["kept   as it", "is"], id="lines-that-fit"),
    ],
)
def test_long_lines_break_between_words(text: str, lines: list[str]) -> None:
    assert wrapped(text, 12).split("\n") == lines


@pytest.mark.parametrize("key", ["\x1b", CTRL_C, CTRL_D])
@pytest.mark.parametrize("kind", ["select", "checkbox", "text", "confirm"])
def test_esc_goes_back_and_ctrl_d_leaves_at_every_question(
    keys: PipeInput, screen: TerminalScreen, kind: str, key: str
) -> None:
    ask = {
        "select": lambda: screen.select("What?", CHOICES, numbered=True),
        "checkbox": lambda: screen.checkbox("What?", CHOICES),
        "text": lambda: screen.text("What?"),
        "confirm": lambda: screen.confirm("What?"),
    }[kind]
    keys.send_text(key)
    with pytest.raises((KeyboardInterrupt, EndOfInput)) as raised:
        ask()
    assert raised.type is {"\x1b": GoBack, CTRL_C: KeyboardInterrupt, CTRL_D: EndOfInput}[key]


def test_keys_that_begin_with_esc_do_not_go_back(keys: PipeInput, screen: TerminalScreen) -> None:
    keys.send_text("one two\x1bb\x1b[DX\r")
    assert screen.text("Name?") == "oneX two"
