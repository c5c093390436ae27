from __future__ import annotations

import pytest

from llmflowlab.cli.ui.plain import PlainScreen, table_lines
from llmflowlab.cli.ui.screen import Choice, EndOfInput, Table
from llmflowlab.settings import Settings
from tests.cli.fakes import Typing

CHOICES = [
    Choice("Chat (with MLflow tracking)", "chat", names=("chat",)),
    Choice("Change", "change"),
    Choice("Exit", "exit"),
]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param("1", "chat", id="number"),
        pytest.param("chat", "chat", id="short-name"),
        pytest.param("CHAT (with mlflow tracking)", "chat", id="title-in-any-case"),
        pytest.param("1 Chat (with MLflow tracking)", "chat", id="number-and-title"),
        pytest.param("ex", "exit", id="only-beginning-that-fits"),
    ],
)
def test_a_choice_is_taken_by_number_or_name(
    settings: Settings, typed: Typing, line: str, value: str
) -> None:
    typed(line + "\n")
    assert PlainScreen(settings).select("What?", CHOICES) == value


def test_an_unclear_choice_is_explained_and_asked_again(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("7\nch\n\n2\n")
    assert PlainScreen(settings).select("What?", CHOICES) == "change"
    seen = capsys.readouterr()
    assert seen.out == (
        "What?\n  1 Chat (with MLflow tracking)\n  2 Change\n  3 Exit\n> \n> \n> \n> \n"
    )
    assert seen.err == (
        "'7' is none of these; type a number from 1 to 3 or a name.\n"
        "'ch' is none of these; type a number from 1 to 3 or a name.\n"
        "'' is none of these; type a number from 1 to 3 or a name.\n"
    )


@pytest.mark.parametrize(("line", "value"), [("0", 11), ("10", 10), ("9", 9)])
def test_the_last_of_many_numbered_lines_is_0(
    settings: Settings,
    typed: Typing,
    capsys: pytest.CaptureFixture[str],
    line: str,
    value: int,
) -> None:
    typed(f"11\n{line}\n")
    lines = [Choice(f"line {number}", number) for number in range(1, 12)]
    assert PlainScreen(settings).select("What?", lines, numbered=True) == value
    seen = capsys.readouterr()
    assert "  10 line 10\n  0 line 11\n" in seen.out
    assert "type a number from 0 to 10 or a name" in seen.err


def test_an_empty_line_takes_the_default(settings: Settings, typed: Typing) -> None:
    typed("\n")
    assert PlainScreen(settings).select("What?", CHOICES, default="exit") == "exit"


def test_a_disabled_choice_is_shown_with_its_reason_and_has_no_number(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("2\n")
    choices = [Choice("A", "a"), Choice("B", "b", disabled="set B_KEY"), Choice("C", "c")]
    assert PlainScreen(settings).select("Which?", choices) == "c"
    assert capsys.readouterr().out == "Which?\n  1 A\n  2 C\n  - B: set B_KEY\n> \n"


@pytest.mark.parametrize("question", ["select", "checkbox", "text", "confirm"])
def test_the_end_of_input_ends_every_question(
    settings: Settings, typed: Typing, question: str
) -> None:
    typed("")
    screen = PlainScreen(settings)
    ask = {
        "select": lambda: screen.select("?", CHOICES),
        "checkbox": lambda: screen.checkbox("?", CHOICES),
        "text": lambda: screen.text("?"),
        "confirm": lambda: screen.confirm("?"),
    }
    with pytest.raises(EndOfInput):
        ask[question]()


def test_several_choices_are_separated_by_commas_and_taken_once(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("1, 9\n3, chat, 3\n")
    assert PlainScreen(settings).checkbox("Which?", CHOICES) == ["exit", "chat"]
    assert "'9' is none of these" in capsys.readouterr().err


def test_no_choices_mean_the_default_ones(settings: Settings, typed: Typing) -> None:
    typed("\n")
    assert PlainScreen(settings).checkbox("Which?", CHOICES, default=["exit"]) == ["exit"]


def test_text_is_checked_and_asked_again(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("x\n 12 \n")
    check = lambda text: None if text.isdigit() else "Give a number."  # noqa: E731
    assert PlainScreen(settings).text("How many", check=check) == "12"
    assert capsys.readouterr().err == "Give a number.\n"


@pytest.mark.parametrize(
    ("line", "default", "value"),
    [("y", False, True), ("No", True, False), ("", True, True), ("maybe\nyes", False, True)],
)
def test_a_confirmation_takes_yes_no_or_the_default(
    settings: Settings, typed: Typing, line: str, default: bool, value: bool
) -> None:
    typed(line + "\n")
    assert PlainScreen(settings).confirm("Sure?", default=default) is value


def test_a_table_is_set_in_columns_with_winners_marked_and_unknown_said() -> None:
    table = Table(
        title="Models",
        columns=("model", "turns"),
        rows=(("a:long-name", "12"), ("b:x", None)),
        numbers=frozenset({1}),
        marked=frozenset({(0, 1)}),
        notes=("That is all.",),
    )
    assert table_lines(table) == [
        "Models",
        "model          turns",
        "-----------  -------",
        "a:long-name     12 *",
        "b:x          unknown",
        "That is all.",
    ]


def test_progress_is_said_by_tenths(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainScreen(settings).progress("downloading x") as shown:
        for done in (0, 1, 5, 10, 11, 100):
            shown.update("pulling", done, 100)
        shown.update("success")
    assert capsys.readouterr().err.splitlines() == [
        "downloading x ...",
        "pulling: 0 %",
        "pulling: 10 %",
        "pulling: 100 %",
        "success",
    ]
