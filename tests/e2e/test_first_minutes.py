"""The way of somebody without a key, from the start screen to the first comparison's report.

Questions are answered by their words, as they come: the menu may ask more of them one day.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.pseudo_terminal import PseudoTerminal
from tests.e2e.program import Lab
from tests.e2e.test_local import REFERENCE, THREADS, put_model, pytestmark

__all__ = ["pytestmark"]

MENU = "What would you like to do"
QUESTIONS = (
    "question,expected\n"
    "What is the capital of France?,Paris\n"
    "What is a p-value?,the probability of a difference at least as large\n"
    "What is 2 plus 2?,4\n"
)


def choose(terminal: PseudoTerminal, title: str) -> None:
    """Take a line of the menu, whatever its number is."""
    terminal.wait_until(lambda: terminal.question == MENU, "the menu")
    found = re.search(rf"(\d+) {title}", terminal.shown)
    assert found, terminal.shown
    assert len(found[1]) == 1, "no key takes it"
    terminal.type(found[1])


def test_a_real_answer_and_a_first_comparison_come_without_a_key(tmp_path: Path) -> None:
    lab = Lab(tmp_path, THREADS)
    put_model(lab.home)
    (lab.home / "benchmark.csv").write_text(QUESTIONS, encoding="utf-8")
    terminal = PseudoTerminal(lab.home, environment=lab.environment)
    terminal.wait_for("ready Local: SmolLM2-135M-Instruct.Q4_1, inside this program, needs no key")

    choose(terminal, "Chat")
    terminal.wait_for("❯ Local:")
    terminal.type("\r")
    terminal.wait_for("You ›")
    terminal.type("What is the capital of France?\r")
    terminal.wait_for("tokens · free ·")
    terminal.type("exit\r")
    terminal.wait_for("1 turn · cost: free · kept in")
    (turn,) = lab.records("local")
    assert turn["answer"].strip()
    assert turn["tokens_estimated"] is False

    choose(terminal, "Evaluate")
    asked = [MENU]
    while True:
        terminal.wait_until(lambda: terminal.question not in {"", *asked[1:]}, "a question")
        if terminal.question == MENU:
            if len(asked) > 1:
                break
            terminal.wait_until(lambda: terminal.question != MENU, "the first question")
            continue
        asked.append(terminal.question)
        if asked[-1] == "Which models":
            terminal.wait_for(f"❯ ● {REFERENCE}")
            terminal.wait_for("● guide:docs")
        short = "Answer in one word." if asked[-1].startswith("System prompt") else ""
        terminal.type(f"{short}\r")
    assert {"Which questions", "Which models", "Which scorers", "Start"} <= set(asked)

    result = " ".join(terminal.everything.split())
    assert "3 questions × 2 candidates = 6 answers" in result
    for said in ("Leaderboard by contains", "Conclusion", "Cost: candidates free.", "Report: "):
        assert result.count(said) == 1
    (report,) = (lab.settings.state_dir / "evaluations").glob("*/report.html")
    page = report.read_text(encoding="utf-8")
    assert REFERENCE in page
    assert "guide:docs" in page

    choose(terminal, "Exit")
    assert terminal.exit_code() == 0
    assert "Traceback" not in terminal.everything
    lab.wait_for_delivery()
