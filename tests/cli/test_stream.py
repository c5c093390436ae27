from __future__ import annotations

import io

import pyte
import pytest
from rich.console import Console

from llmflowlab.asking.calling import WaitNotice
from llmflowlab.cli.chat.stream import MarkdownView, PlainView, SilentView, wait_text
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.cli.ui.terminal import TerminalScreen
from llmflowlab.errors import ConnectionFailed, Overloaded, RateLimited
from llmflowlab.providers.base import Finished, ReasoningDelta, Rethought, TextDelta
from llmflowlab.settings import Settings

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil\x07click\x1b]8;;\x07 \x9b31m \u202egnp.exe [bold]x[/bold]"


def drawn(settings: Settings, pieces: list[str], *, width: int = 40, height: int = 10) -> str:
    """Feed an answer to the live view and return all lines a terminal holds in the end."""
    file = io.StringIO()
    console = Console(
        file=file,
        force_terminal=True,
        width=width,
        height=height,
        highlight=False,
        color_system=None,
    )
    view = MarkdownView(TerminalScreen(settings), "Gemini", console)
    for piece in pieces:
        view.event(TextDelta(piece))
    view.event(Finished("stop"))
    view.close()
    screen = pyte.HistoryScreen(width, height, history=10_000)
    pyte.Stream(screen).feed(file.getvalue().replace("\n", "\r\n"))
    past = ["".join(line[x].data for x in range(width)) for line in screen.history.top]
    return "\n".join(line.rstrip() for line in [*past, *screen.display]).rstrip()


def test_a_long_answer_in_small_pieces_loses_and_repeats_no_line(settings: Settings) -> None:
    paragraphs = [f"paragraph number {n}" for n in range(40)]
    text = "\n\n".join(paragraphs)
    pieces = [text[i : i + 7] for i in range(0, len(text), 7)]
    lines = [line for line in drawn(settings, pieces).splitlines() if line]
    assert lines == paragraphs


def test_a_block_longer_than_the_window_is_whole_in_the_end(settings: Settings) -> None:
    code = [f"line_{n} = {n}" for n in range(60)]
    text = "before\n\n```python\n" + "\n".join(code) + "\n```\nafter"
    shown = drawn(settings, [text[i : i + 11] for i in range(0, len(text), 11)])
    assert [line.strip() for line in shown.splitlines() if line.strip()] == [
        "before",
        *code,
        "after",
    ]


def test_markdown_is_rendered_and_a_list_keeps_its_numbers(settings: Settings) -> None:
    shown = drawn(settings, ["**bold** and\n\n1. one\n\n2. two\n", "\n3. three"])
    assert "bold and" in shown
    assert "*" not in shown
    for item in ("1 one", "2 two", "3 three"):
        assert item in shown


def test_what_a_model_prints_cannot_control_the_terminal(settings: Settings) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=False, width=200)
    view = MarkdownView(TerminalScreen(settings), "Gemini", console)
    for char in HOSTILE:
        view.event(TextDelta(char))
    view.close()
    shown = file.getvalue()
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    assert "[bold]x[/bold]" in shown


def test_a_link_shows_where_it_leads(settings: Settings) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    view = MarkdownView(TerminalScreen(settings), "Gemini", console)
    view.event(TextDelta("see [the bank](http://evil.example/x)"))
    view.close()
    assert "\x1b]8;" not in file.getvalue()
    assert "http://evil.example/x" in file.getvalue()


def test_plain_text_goes_out_as_it_comes_and_reasoning_stays_off_standard_output(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    view = PlainView(PlainScreen(settings), "Ollama")
    view.event(ReasoningDelta("hm\x1b[2J "))
    view.event(ReasoningDelta("well"))
    view.event(TextDelta("**4"))
    assert capsys.readouterr().out == "**4"
    view.event(TextDelta("2**\n"))
    view.close()
    seen = capsys.readouterr()
    assert seen.out == "2**\n"


def test_reasoning_is_harmless_and_ends_before_the_answer(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    view = PlainView(PlainScreen(settings), "Ollama", thinking=True)
    for event in (ReasoningDelta("hm\x1b[2J "), TextDelta("42"), ReasoningDelta("again")):
        view.event(event)
    view.close()
    seen = capsys.readouterr()
    assert seen.out == "42\n"
    assert "\x1b" not in seen.err
    assert seen.err.startswith("[thinking] hm")
    assert seen.err.endswith("\n[thinking] again\n")


def test_reasoning_that_nobody_asked_for_stays_apart(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    file = io.StringIO()
    for view in (
        PlainView(PlainScreen(settings), "Ollama"),
        MarkdownView(TerminalScreen(settings), "Ollama", Console(file=file, width=60)),
    ):
        for event in (TextDelta("4"), ReasoningDelta("hm"), TextDelta("2")):
            view.event(event)
        view.close()
    assert capsys.readouterr() == ("4\n2\n", "")
    assert "hm" not in file.getvalue()


@pytest.mark.parametrize("thinking", [False, True])
def test_reasoning_between_texts_leaves_both_whole(settings: Settings, thinking: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=False, width=60)
    view = MarkdownView(TerminalScreen(settings), "Ollama", console, thinking=thinking)
    for event in (TextDelta("first"), ReasoningDelta("hm"), TextDelta("second")):
        view.event(event)
    view.close()
    assert [line.strip() for line in file.getvalue().splitlines() if line.strip()] == [
        "first",
        "second",
    ]


@pytest.mark.parametrize(
    ("error", "seconds", "text"),
    [
        pytest.param(
            RateLimited("x", provider="gemini", status=429),
            12.0,
            "Gemini allows no more requests for the moment (429); trying again in 12 s, "
            "try 2 of 5 ... (Ctrl-C gives up)",
            id="rate-limited",
        ),
        pytest.param(
            Overloaded("x", provider="gemini", status=503),
            0.62,
            "Gemini is busy (503); trying again in 0.6 s, try 2 of 5 ... (Ctrl-C gives up)",
            id="overloaded",
        ),
        pytest.param(
            ConnectionFailed("x", provider="gemini"),
            3.0,
            "Gemini cannot be reached; trying again in 3.0 s, try 2 of 5 ... (Ctrl-C gives up)",
            id="unreachable",
        ),
    ],
)
def test_waits_between_tries_are_said(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    error: RateLimited,
    seconds: float,
    text: str,
) -> None:
    notice = WaitNotice(error, seconds, 2, 5)
    assert wait_text(notice, "Gemini") == text
    SilentView(PlainScreen(settings), "Gemini").wait(notice)
    assert capsys.readouterr().err == text + "\n"


def test_a_person_is_told_that_what_was_shown_was_thinking(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    file = io.StringIO()
    for view in (
        PlainView(PlainScreen(settings), "Ollama"),
        MarkdownView(TerminalScreen(settings), "Ollama", Console(file=file, width=60)),
    ):
        for event in (TextDelta("so 4"), Rethought("</think>"), TextDelta("4")):
            view.event(event)
        view.close()
    seen = capsys.readouterr()
    assert seen.out == "so 4\n4\n"
    assert "the model's thinking; its answer follows" in seen.err
    assert [line.strip() for line in file.getvalue().splitlines() if line.strip()] == ["so 4", "4"]
