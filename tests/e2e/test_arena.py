"""An arena at the keys of a real terminal: by a server's models at two widths, and by the model inside."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from llmflowlab.people.votes import votes_of
from llmflowlab.people.word_store import WordStore
from llmflowlab.settings import load_settings
from tests.cli.pseudo_terminal import PseudoTerminal
from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.e2e.test_local import MODEL, REFERENCE, THREADS, put_model
from tests.loopback import LoopbackServer

LEFT, RIGHT, ESCAPE, CTRL_D = "\x1b[D", "\x1b[C", "\x1b", "\x04"
ASKED = "Which answer is better?"


def votes(home: Path) -> list[tuple[str, str]]:
    """Return what was voted: the verdict, and who stood left."""
    settings = load_settings({}, cwd=home)
    with closing(WordStore(settings.people_file)) as words:
        return [(vote.verdict, vote.left) for vote in votes_of(words)]


def arena(
    home: Path, *arguments: str, width: int = 80, environment: Mapping[str, str] | None = None
) -> PseudoTerminal:
    return PseudoTerminal(
        home, "arena", "--as", "Ann", *arguments, width=width, environment=dict(environment or {})
    )


def over(terminal: PseudoTerminal, pattern: re.Pattern[str]) -> bool:
    return pattern.search(terminal.everything) is not None


@pytest.mark.parametrize("width", [80, 120])
def test_two_answers_stand_beside_each_other_and_one_key_is_a_vote(
    mlflow_home: Path, loopback: LoopbackServer, width: int
) -> None:
    loopback.scenario.answers = {"Who are you?": "I am a model."}
    terminal = arena(
        mlflow_home,
        *("--model", "openai", "--model", "gemini", "--seed", "1"),
        width=width,
        environment=loopback.environment(),
    )
    terminal.wait_for("Prompt")
    terminal.type("Who are you?\r")
    terminal.wait_for(ASKED)
    assert "gpt" not in terminal.everything.split("Battle 1")[1]
    assert "gemini" not in terminal.everything.split("Battle 1")[1]
    titles = [line for line in terminal.shown.splitlines() if "← left" in line and "─" in line]
    assert [("right →" in line) for line in titles] == [width == 120]
    assert "← left · → right · t tie · b both bad · s skip · Esc leaves" in terminal.shown
    terminal.type(LEFT)
    terminal.wait_for("Battle 1: left is better")
    terminal.wait_for("openai:gpt-4.1-mini")
    terminal.type("And now?\r")
    terminal.wait_for("u undo last vote · Esc leaves")
    terminal.type("u")
    terminal.wait_for("The vote on battle 1 is taken back")
    terminal.type("b")
    terminal.wait_for("Back to battle 2.")
    terminal.wait_until(lambda: terminal.shown.endswith("last vote · Esc leaves"), "the keys")
    terminal.type("t")
    terminal.wait_for("Battle 2: tie")
    terminal.type(CTRL_D)
    assert terminal.exit_code() == 0
    assert sorted(verdict for verdict, _ in votes(mlflow_home)) == ["both_bad", "tie"]
    assert "Traceback" not in terminal.everything


@pytest.mark.skipif(not MODEL.is_file(), reason=f"{MODEL.name} is not there: run `make model`")
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp has no wheel here"
)
@pytest.mark.xdist_group("local")
def test_the_model_inside_is_voted_on_under_two_system_prompts_and_ranked(
    mlflow_home: Path,
) -> None:
    put_model(mlflow_home)
    cities = ("Italy", "Austria", "Poland", "Peru", "Chad")
    file = mlflow_home / "five.csv"
    file.write_text(
        "question\n" + "".join(f"What is the capital of {c}?\n" for c in cities), "utf-8"
    )
    systems = ("Answer in one word.", "Answer in a sentence.")
    terminal = arena(
        mlflow_home,
        *("--model", "local", "--data", str(file), "--seed", "3", "--max-tokens", "200"),
        *(part for system in systems for part in ("--system", system)),
        environment=THREADS,
    )
    given = 0
    for number in range(1, len(cities) + 1):
        # Where an answer is cut, or empty, nobody is asked.
        reached = re.compile(rf"Battle {number}\n(.|\n)*({re.escape(ASKED)}|does not count)")
        terminal.wait_until(partial(over, terminal, reached), f"battle {number}")
        told = terminal.everything.rpartition(f"Battle {number}\n")[2]
        if ASKED in told:
            terminal.type(LEFT if number % 3 else RIGHT)
            given += 1
            terminal.wait_for(f"Battle {number}: ")
    assert terminal.exit_code() == 0
    assert given >= 3
    found = votes(mlflow_home)
    assert len(found) == given
    lab = Lab(mlflow_home, THREADS)
    document = lab.run("arena", "leaderboard", "--json").document
    people = document["people"]
    assert people["battles"] == given
    wins = {c["label"]: c["wins"] for c in people["contestants"]}
    mine = sum(verdict == "a" for verdict, _ in found)
    assert wins == {f"{REFERENCE} (system 1)": mine, f"{REFERENCE} (system 2)": given - mine}
    ranked = [c["wins"] for c in people["contestants"]]
    assert ranked == sorted(ranked, reverse=True)
    (run,) = Everything(lab.settings).arenas()
    assert run.data.metrics["votes"] == given
