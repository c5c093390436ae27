from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from llmflowlab.cli.menu import _CHOICES
from tests.cli.pseudo_terminal import PseudoTerminal
from tests.loopback import Fault, LoopbackServer

CTRL_C = "\x03"
CTRL_D = "\x04"
ESC = "\x1b"
DOWN = "\x1b[B"
MENU = "What would you like to do?"
EXIT = "0 Exit"


@pytest.mark.parametrize("width", [80, 120])
def test_the_menu_opens_and_is_left_with_arrow_keys(tmp_path: Path, width: int) -> None:
    terminal = PseudoTerminal(tmp_path, width=width)
    terminal.wait_for(MENU)
    for line in (
        "1 Chat (with MLflow tracking)",
        "2 Evaluate (GenAI MLflow)",
        "3 Show info (model comparison)",
        EXIT,
        "to fetch  Local: SmolLM2-135M-Instruct.Q4_1, 98 MB (Chat offers it)",
        "6 not set up: Gemini, Ollama, OpenAI, Azure, Claude, MLflow",
        "Esc goes back · Ctrl-D leaves",
    ):
        terminal.wait_for(line)
    terminal.type(DOWN * (len(_CHOICES) - 1))
    terminal.wait_for(f"❯ {EXIT}")
    terminal.type("\r")
    assert terminal.exit_code() == 0
    assert "Traceback" not in terminal.everything


def test_ctrl_c_in_the_menu_leaves_with_130(tmp_path: Path) -> None:
    terminal = PseudoTerminal(tmp_path)
    terminal.wait_for("❯ 1 Chat")
    terminal.type(CTRL_C)
    assert terminal.exit_code() == 130
    assert "Traceback" not in terminal.everything


def test_no_colours_are_sent_where_they_are_not_wanted(tmp_path: Path) -> None:
    terminal = PseudoTerminal(tmp_path, environment={"NO_COLOR": "1"})
    terminal.wait_for("❯ 1 Chat")
    colours = {cell.fg for row in terminal._screen.buffer.values() for cell in row.values()}
    assert colours == {"default"}
    terminal.type(CTRL_C)
    terminal.exit_code()


def test_a_chat_from_the_menu_and_back(mlflow_home: Path) -> None:
    terminal = PseudoTerminal(mlflow_home)
    terminal.wait_for("❯ 1 Chat")
    terminal.type("1")
    terminal.wait_for("Which model would you like to talk with?")
    terminal.type(CTRL_C)
    terminal.wait_for("❯ 1 Chat")
    terminal.type("\r")
    terminal.wait_for("❯ Guide")
    terminal.type("\r")
    terminal.wait_for("You ›")
    terminal.wait_for("Esc or Ctrl-D goes back to the menu · Ctrl-C stops an answer · /help")
    terminal.type("What is perplexity?")
    terminal.wait_for("Enter sends · Alt-Enter begins a new line · Ctrl-C empties the line")
    # It is one line, so that it fits: what was wrapped would stand in two.
    assert "Enter sends · Alt-Enter begins a new line · Ctrl-C empties the line" in terminal.shown
    terminal.type("\r")
    terminal.wait_for("tokens · free ·")
    assert "perplexity" in terminal.everything.lower().replace("what is perplexity?", "")
    terminal.type(CTRL_C)
    terminal.wait_for("(exit or Ctrl-D leaves the chat)")
    terminal.type("/rate 5 helpful\r")
    terminal.wait_for("Noted.")
    terminal.type(CTRL_D)
    terminal.wait_for("1 turn · cost: free · kept in")
    terminal.wait_for("❯ 1 Chat")
    terminal.type(ESC)
    assert terminal.exit_code() == 0
    assert "Traceback" not in terminal.everything
    artifacts = (mlflow_home / "artifacts" / "guide_artifacts.json").read_text(encoding="utf-8")
    assert "What is perplexity?" in artifacts


def test_a_sign_turns_until_the_first_token_and_leaves_nothing(
    mlflow_home: Path, loopback: LoopbackServer
) -> None:
    loopback.fail(Fault("hang"))
    terminal = PseudoTerminal(
        mlflow_home, "chat", "--model", "openai:gpt-4.1-mini", environment=loopback.environment()
    )
    terminal.wait_for("You ›")
    terminal.type("count\r")
    terminal.wait_for("OpenAI · 1 s (Ctrl-C stops)")
    terminal.type(CTRL_C)
    terminal.wait_for("(stopped: nothing had come yet; /retry asks again)")
    assert "(Ctrl-C stops)" not in terminal.everything
    terminal.type("quit\r")
    terminal.wait_for("1 turn · cost:")
    assert terminal.exit_code() == 0


def test_thinking_is_a_sign_and_one_key_shows_it(
    mlflow_home: Path, loopback: LoopbackServer
) -> None:
    loopback.scenario.answer = lambda question: (
        "<think>weighing both sides, then all of it once more"
    )
    loopback.fail(Fault("hang", after=8))
    terminal = PseudoTerminal(
        mlflow_home, "chat", "--model", "openai:gpt-4.1-mini", environment=loopback.environment()
    )
    terminal.wait_for("You ›")
    terminal.type("hm?\r")
    terminal.wait_for("OpenAI is thinking · ")
    terminal.type(CTRL_C)
    terminal.wait_for("Ctrl-T or /thinking shows its thinking")
    assert "weighing" not in terminal.everything
    terminal.type("\x14")
    terminal.wait_for("weighing both")
    terminal.type("exit\r")
    assert terminal.exit_code() == 0


def test_ctrl_c_stops_an_answer_and_leaves_the_display_whole(
    mlflow_home: Path, loopback: LoopbackServer
) -> None:
    # The terminal once echoed ^C into the live display, which left a line of it behind.
    items = "\n".join(f"{number}. item number {number}" for number in range(1, 400))
    loopback.scenario.answer = lambda question: f"Before.\n\n{items}"
    # It goes no further by itself, so that the key comes in its middle however slow the machine is.
    loopback.fail(Fault("hang", after=60))
    terminal = PseudoTerminal(
        mlflow_home, "chat", "--model", "openai:gpt-4.1-mini", environment=loopback.environment()
    )
    terminal.wait_for("You ›")
    terminal.type("count\r")
    terminal.wait_for("5 item number 5")
    terminal.type(CTRL_C)
    terminal.wait_for("(stopped: what came is kept; /retry asks again)")
    assert "^C" not in terminal.everything
    assert "Before.\n\n" in terminal.everything
    assert "Before.\n\n\n" not in terminal.everything
    terminal.type("/exit\r")
    assert terminal.exit_code() == 0
    artifacts = (mlflow_home / "artifacts" / "openai_artifacts.json").read_text(encoding="utf-8")
    assert "item number 5" in artifacts


def test_turns_are_pinned_replayed_and_carried_to_another_model(mlflow_home: Path) -> None:
    terminal = PseudoTerminal(mlflow_home, "chat", "--model", "guide:docs", width=120)
    terminal.wait_for("You ›")
    terminal.type("What is perplexity?\r")
    terminal.wait_for("tokens · free ·")
    terminal.type("/pin How sure a model is\r")
    terminal.wait_for("(turn 1 is row 1 of")
    terminal.type("/replay guide:docs\r")
    terminal.wait_for("In all, over 1 turn answered by both")
    terminal.wait_for("went on from its own answers")
    # Both stand side by side.
    assert any(line.count("guide:docs") == 2 for line in terminal.everything.splitlines())
    terminal.type("/model guide:docs\r")
    terminal.wait_for("guide:docs is answering already.")
    terminal.type("exit\r")
    terminal.wait_for("1 turn · cost: free")
    assert terminal.exit_code() == 0
    assert "How sure a model is" in (mlflow_home / "pinned.csv").read_text(encoding="utf-8")
    artifacts = (mlflow_home / "artifacts" / "guide_artifacts.json").read_text(encoding="utf-8")
    assert artifacts.count('"What is perplexity?"') == 2


def test_the_service_runs_in_the_menu_s_terminal_until_ctrl_c(mlflow_home: Path) -> None:
    terminal = PseudoTerminal(mlflow_home)
    terminal.wait_for("❯ 1 Chat")
    terminal.type("8")
    terminal.wait_for("❯ Start it here")
    terminal.type("\r")
    terminal.wait_for("❯ A model")
    terminal.type("\r")
    terminal.wait_for("Which model answers?")
    terminal.type(ESC)
    terminal.wait_for("❯ A model")
    terminal.type("\r")
    terminal.wait_for("❯ Guide")
    terminal.type("\r")
    terminal.wait_for("says how to ask. Ctrl-C ends it.")
    address = re.search(r"http://127\.0\.0\.1:\d+", terminal.everything)
    assert address is not None
    assert httpx.get(f"{address[0]}/v1/models", trust_env=False).status_code == 200
    terminal.type(CTRL_C)
    terminal.wait_for("The service has ended.")
    terminal.wait_for("❯ Start it here")
    terminal.type(ESC)
    terminal.wait_for("❯ 1 Chat")
    terminal.type("0")
    assert terminal.exit_code() == 0
    assert "Traceback" not in terminal.everything


def test_a_refusal_breaks_between_words(tmp_path: Path) -> None:
    terminal = PseudoTerminal(tmp_path, "evaluate", "--model", "guide", "--scorer", "nope")
    assert terminal.exit_code() == 2
    lines = [line for line in terminal.everything.splitlines() if line.strip()]
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80
    # Pins: "squad_exact, n" and "umeric_match" stood in two lines.
    assert "numeric_match" in terminal.everything
    assert all("numeric_match" in line for line in lines if "umeric_match" in line)
