"""Two people judge the same forty answers at the keys, in a terminal of 80 by 24."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.pseudo_terminal import MAIN, PseudoTerminal
from tests.warm import SITE, SOURCE

ROWS = 40
QUESTIONS = "question,answer\n" + "".join(
    f"What is {n} + {n}?,{2 * n}\n" for n in range(1, ROWS + 1)
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A home in which forty answers were had, of which each test has a copy."""

    home: Path
    evaluation: str


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory, migrated_db: Path, warm_source: str | None
) -> Asked:
    home = tmp_path_factory.mktemp("asked")
    shutil.copy(migrated_db, home / "mlflow.db")
    (home / "sums.csv").write_text(QUESTIONS, encoding="utf-8")
    warm = {} if warm_source is None else {SOURCE: warm_source}
    return Asked(home, evaluated(home, "--data", "sums.csv", "--model", "guide", **warm))


@pytest.fixture
def evaluation(tmp_path: Path, asked: Asked) -> str:
    shutil.copytree(asked.home, tmp_path, dirs_exist_ok=True)
    return asked.evaluation


def evaluated(home: Path, *arguments: str, **variables: str) -> str:
    command = [sys.executable, str(MAIN), "evaluate", *arguments, "--scorer", "contains", "--json"]
    done = subprocess.run(
        command,
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(SITE), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["evaluation_id"])


def begin(home: Path, *arguments: str, width: int = 80) -> PseudoTerminal:
    return PseudoTerminal(home, "review", *arguments, width=width, height=24)


def shows(terminal: PseudoTerminal, text: str) -> None:
    terminal.wait_until(lambda: text in terminal.shown, text)


@pytest.mark.parametrize("width", [80, 120])
def test_two_people_judge_the_same_answers_and_see_how_far_they_agree(
    tmp_path: Path, evaluation: str, width: int
) -> None:
    for person, keys in (("ada", "y4"), ("bob", "n4")):
        terminal = begin(tmp_path, evaluation, "--as", person, width=width)
        shows(terminal, f"0 of {ROWS} judged · answer 1 · {person}")
        shows(terminal, "Is the answer correct?  y yes  n no")
        # The keys stand on the screen, in one line.
        shows(terminal, "c comment  s skip  d discard  b back  f forward  u undo  w whole  q leave")
        terminal.type("y4" * (ROWS // 2))
        shows(terminal, f"{ROWS // 2} of {ROWS} judged")
        # Whoever leaves goes on there.
        terminal.type("\x1b")
        assert terminal.exit_code() == 0
        assert (
            f"{ROWS // 2} of {ROWS} judged, and kept; this review goes on there"
            in terminal.everything
        )
        terminal = begin(tmp_path, evaluation, "--as", person, width=width)
        shows(terminal, f"{ROWS // 2} of {ROWS} judged · answer {ROWS // 2 + 1} · {person}")
        terminal.type(keys * (ROWS // 2))
        shows(terminal, "All answers are judged.")
        terminal.type("q")
        assert terminal.exit_code() == 0
        assert "Traceback" not in terminal.everything
    assert "Agreement" in terminal.everything
    command = [sys.executable, str(MAIN), "review", evaluation, "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    people = {e["question"]: e for e in json.loads(done.stdout)["agreement"] if e["people"]}
    assert (people["correct"]["n"], people["correct"]["same"]) == (ROWS, 0.5)
    assert people["quality"]["same"] == 1.0


def test_a_comment_an_undo_and_a_key_that_answers_nothing(tmp_path: Path, evaluation: str) -> None:
    terminal = begin(tmp_path, evaluation, "--as", "ada")
    shows(terminal, "Is the answer correct?")
    terminal.type("7")
    shows(terminal, "7 answers nothing here; the keys stand beside the question.")
    terminal.type("c")
    terminal.wait_for("› Comment")
    terminal.type("too vague\r")
    shows(terminal, "“too vague”")
    terminal.type("n2")
    shows(terminal, "answer 2")
    terminal.type("u")
    shows(terminal, "correct: no · “too vague”")
    shows(terminal, "How good is it?  1 (worst)  2  3  4  5 (best)")
    terminal.type("1d")
    shows(terminal, "2 of 40 judged")
    terminal.type("b")
    shows(terminal, "Set aside; a verdict brings it back.")
    terminal.type("uu")
    shows(terminal, "0 of 40 judged")
    terminal.type("uuu")
    shows(terminal, "There is nothing of yours that could be undone.")
    terminal.type("y\x03")
    assert terminal.exit_code() == 130
    assert "1 answer judged by ada." in terminal.everything


def test_a_long_answer_is_scrolled_and_a_long_context_is_cut_until_it_is_asked_for(
    mlflow_home: Path,
) -> None:
    answer = " ".join(f"word{n}" for n in range(600)) + " \x1b[2Jlast."
    context = " ".join(f"context{n}" for n in range(200)) + " end."
    (mlflow_home / "given.csv").write_text(
        f'question,answer,context,given\nWhat?,x,"{context}","{answer}"\n', encoding="utf-8"
    )
    evaluation = evaluated(mlflow_home, "--data", "given.csv", "--answers", "given")
    terminal = begin(mlflow_home, evaluation)
    shows(terminal, "more lines: w)")
    shows(terminal, "more lines below: ↓ or space ──")
    assert "last." not in terminal.shown
    terminal.type(" " * 20)
    shows(terminal, "␛[2Jlast.")
    assert "Is the answer correct?" in terminal.shown
    terminal.type("\x1b[5~" * 20 + "w")
    shows(terminal, "context100")
    assert "more lines: w)" not in terminal.shown
    terminal.type("\x04")
    assert terminal.exit_code() == 0


def test_whoever_is_killed_in_the_middle_has_said_what_they_said(
    tmp_path: Path, evaluation: str
) -> None:
    terminal = begin(tmp_path, evaluation, "--as", "ada")
    shows(terminal, "0 of 40 judged")
    terminal.type("y4")
    shows(terminal, "1 of 40 judged")
    terminal.type("y")
    shows(terminal, "correct: yes")
    terminal.child.kill(signal.SIGKILL)
    again = begin(tmp_path, evaluation, "--as", "ada")
    shows(again, "1 of 40 judged · answer 2 · ada")
    shows(again, "correct: yes")
    again.type("q")
    assert again.exit_code() == 0
