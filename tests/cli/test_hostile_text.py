"""Text from elsewhere does not control the terminal, through whichever door it comes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from llmflowlab.evaluation.run.ledger import Ledger
from tests.cli.pseudo_terminal import PseudoTerminal
from tests.loopback import Fault, LoopbackServer

CLIPBOARD = "\x1b]52;c;ZXZpbA==\x07"
HOSTILE = f"evil{CLIPBOARD}\x9b31m\x08\x7f\u202etxt\u2066\x1b[2J"
# The program itself moves the cursor and sets colours; it never uses one of these.
POWERS = ("\x1b]", "\x07", "\x9b", "\x90", "\x7f", "\u202e", "\u2066", "\x1b[31m\u202e", "evil\x1b")

PLAIN = {"LLMFLOWLAB_PLAIN": "1"}


def shown_by(home: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run the program in a terminal; returns what it wrote there."""
    terminal = PseudoTerminal(home, *arguments, environment=environment)
    terminal.exit_code()
    return terminal.sent


def assert_harmless(sent: str, *, shows: str = "evil␛]52") -> None:
    assert shows in "".join(sent.split())
    assert [power for power in POWERS if power in sent] == []


@pytest.mark.parametrize("plain", [{}, PLAIN], ids=["menus", "plain"])
def test_an_error_that_a_server_words(
    tmp_path: Path, loopback: LoopbackServer, plain: dict[str, str]
) -> None:
    # Seen once: the body of a 400 wrote to the clipboard.
    loopback.fail(Fault("forbidden", says=f"Not here. {HOSTILE}"))
    asked = ("chat", "--model", "openai", "--message", "hello")
    assert_harmless(
        shown_by(tmp_path, *asked, environment={**loopback.environment("openai"), **plain})
    )


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["words", "json"])
def test_the_models_of_a_server(
    tmp_path: Path, loopback: LoopbackServer, form: tuple[str, ...]
) -> None:
    loopback.scenario.models["openai"] = [f"gpt-{HOSTILE}"]
    sent = shown_by(
        tmp_path,
        *("models", *form),
        environment=loopback.environment("openai"),
    )
    assert_harmless(sent, shows="evil\\u001b]52" if form else "evil␛]52")


def hostile_file(folder: Path) -> Path:
    """Write a benchmark whose name, header, ids, categories and texts are hostile."""
    file = folder / f"data {HOSTILE.replace('/', '')}.csv"
    rows = "".join(
        f'"{HOSTILE}{n}","What is {HOSTILE} {n}?","{HOSTILE}","evil{CLIPBOARD}"\n' for n in range(4)
    )
    file.write_text(f"id,question,answer,category{HOSTILE}\n{rows}", encoding="utf-8")
    return file


def test_a_question_file_that_is_checked(tmp_path: Path) -> None:
    assert_harmless(shown_by(tmp_path, "data", "check", str(hostile_file(tmp_path))))


def test_an_answer_its_history_and_what_info_says(
    mlflow_home: Path, loopback: LoopbackServer
) -> None:
    loopback.scenario.answer = lambda question: f"# {HOSTILE}\n\n`{HOSTILE}` {HOSTILE}"
    model = f"gpt-{HOSTILE}"
    loopback.scenario.models["openai"] = [model]
    environment = loopback.environment("openai")
    terminal = PseudoTerminal(
        mlflow_home, "chat", "--model", f"openai:{model}", environment=environment
    )
    terminal.wait_for("You ›")
    terminal.type("hm?\r")
    terminal.wait_for("tokens ·")
    for command in ("/history", "/undo", "/stats"):
        terminal.type(f"{command}\r")
        terminal.wait_for(f"You › {command}")
    terminal.type("exit\r")
    assert terminal.exit_code() == 0
    assert_harmless(terminal.sent)
    for form, shows in (((), "evil␛]52"), (("--json",), "evil\\u001b]52")):
        assert_harmless(shown_by(mlflow_home, "info", *form), shows=shows)


def test_an_evaluation_its_report_and_a_version_in_the_registry(
    mlflow_home: Path, loopback: LoopbackServer
) -> None:
    loopback.scenario.answer = lambda question: HOSTILE
    model = f"openai:gpt-{HOSTILE}"
    loopback.scenario.models["openai"] = [model.removeprefix("openai:")]
    environment = loopback.environment("openai")
    asked = ("--model", model, "--model", "guide", "--data", str(hostile_file(mlflow_home)))
    assert_harmless(shown_by(mlflow_home, "plan", *asked, environment=environment))
    sent = shown_by(
        mlflow_home,
        *("evaluate", *asked, "--scorer", "exact_match", "--wait"),
        environment=environment,
    )
    assert_harmless(sent)
    with closing(Ledger(mlflow_home / ".llmflowlab" / "evaluations.db")) as ledger:
        (evaluation,) = (stored.id for stored in ledger.evaluations())
    assert_harmless(shown_by(mlflow_home, "diff", f"{evaluation}:1", f"{evaluation}:2"))
    assert_harmless(shown_by(mlflow_home, "report", evaluation), shows=evaluation)
    said = ("--message", "hello", "--wait")
    assert_harmless(shown_by(mlflow_home, "chat", "--model", model, *said, environment=environment))
    shown = ("registry", "show", "llm_openai_chat@staging")
    assert_harmless(shown_by(mlflow_home, *shown))
    assert_harmless(shown_by(mlflow_home, *shown, "--json"), shows="\\u001b]52")
