"""The live view in a real terminal: keys, and that the terminal is left as it was found."""

from __future__ import annotations

import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.evaluation.run.ledger import Ledger
from tests.cli.pseudo_terminal import MAIN, PseudoTerminal
from tests.loopback.server import LoopbackServer

ROWS = "question,answer\n" + "".join(f"Question {n}?,{n}\n" for n in range(400))


def modes(terminal: PseudoTerminal) -> Any:
    return termios.tcgetattr(terminal.child.child_fd)[:4]


@pytest.fixture
def started(mlflow_home: Path, loopback: LoopbackServer) -> PseudoTerminal:
    # Long enough that it is still running when the last key has come, on a busy machine too.
    loopback.scenario.latency = 1.0
    (mlflow_home / "many.csv").write_text(ROWS, encoding="utf-8")
    terminal = PseudoTerminal(
        mlflow_home,
        *("evaluate", "--data", "many.csv", "--model", "openai:gpt-4.1-mini"),
        *("--scorer", "contains", "--concurrency", "2", "--budget", "1"),
        environment=loopback.environment(),
    )
    terminal.wait_for("spent of $1.00")
    return terminal


def test_keys_change_a_running_evaluation_and_q_ends_it_in_order(
    started: PseudoTerminal, mlflow_home: Path
) -> None:
    started.type("+")
    started.wait_for("concurrency 3")
    started.type("b")
    started.wait_for("new budget in USD:")
    started.type("0.75\r")
    started.wait_for("spent of $0.75")
    started.type("q")
    started.wait_for("Interrupted: the figures cover what was answered until then.")
    assert started.exit_code() == 130
    assert "Traceback" not in started.everything


def test_another_process_adjusts_it(
    started: PseudoTerminal, mlflow_home: Path, loopback: LoopbackServer
) -> None:
    ledger = Ledger(mlflow_home / ".llmflowlab" / "evaluations.db")
    evaluation = ledger.evaluations()[0].id
    ledger.close()
    found = subprocess.run(
        [sys.executable, str(MAIN), "adjust", evaluation, "--concurrency", "5", "--budget", "0.9"],
        cwd=mlflow_home,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == (
        f"{evaluation} goes on with concurrency 5 and a budget of $0.9 in about a second.\n"
    )
    started.wait_for("concurrency 5")
    started.wait_for("spent of $0.9")
    started.type("q")
    assert started.exit_code() == 130


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param(signal.SIGHUP, 129, id="SIGHUP"),
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
    ],
)
def test_the_terminal_is_left_as_it_was(
    started: PseudoTerminal, mlflow_home: Path, number: signal.Signals, code: int
) -> None:
    assert not modes(started)[3] & termios.ECHO
    assert modes(started)[3] & termios.ISIG
    started.child.kill(number)
    while started._read():
        pass
    assert modes(started)[3] & termios.ECHO
    assert modes(started)[3] & termios.ICANON
    assert not started._screen.cursor.hidden
    assert started.exit_code() == code
    ledger = Ledger(mlflow_home / ".llmflowlab" / "evaluations.db")
    assert ledger.evaluations()[0].state == "interrupted"
    ledger.close()
