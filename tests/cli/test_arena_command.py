"""The arena line by line: prompts and votes as a script types them, and what is refused."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from llmflowlab.cli.arena.arena_command import declare_options, run_command
from llmflowlab.cli.arena.arena_screen import arena_screen
from llmflowlab.cli.ui.screen import EndOfInput
from llmflowlab.errors import ExitCode, InputError, LabError, ProviderError
from llmflowlab.lab.lab import Lab
from llmflowlab.people.votes import ArenaVote, votes_of
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp, Typing

TWO = ("--model", "scripted:m1", "--model", "scripted:m2", "--as", "Ann", "--seed", "1")
OUT = pytest.CaptureFixture[str]


def app(settings: Settings, *scripts: Script) -> FakeApp:
    models = [
        ScriptedProvider(default=script, model=f"m{number}", settings=settings)
        for number, script in enumerate(scripts or ("one", "two"), 1)
    ]
    return FakeApp(settings, providers=models)


def run(on: FakeApp, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    declare_options(parser)
    return run_command(on, parser.parse_args(arguments))


def kept(settings: Settings) -> list[ArenaVote]:
    with closing(Lab(settings).words()) as words:
        return votes_of(words)


def test_prompts_and_votes_are_typed_and_names_come_after_the_vote(
    settings: Settings, typed: Typing, capsys: OUT
) -> None:
    typed("Who are you?\nleft\nAnd you?\nt\nLast?\nskip\n")
    with pytest.raises(EndOfInput):
        run(app(settings), *TWO)
    out, err = capsys.readouterr()
    assert [vote.prompt for vote in kept(settings)] == ["Who are you?", "And you?"]
    assert kept(settings)[1].verdict == "tie"
    first = out.split("Battle 1: left is better")
    assert "scripted:" not in first[0]
    assert "scripted:m1" in first[1]
    assert first[0].index("← left:") < first[0].index("right →:") < first[0].index("1 left")
    assert "Battle 3: skipped" in out
    assert "3 battles, 2 votes, free." in err


def test_the_last_vote_is_taken_back_at_the_vote_and_at_the_prompt(
    settings: Settings, typed: Typing, capsys: OUT
) -> None:
    typed("A?\nleft\nB?\nundo\nboth bad\nright\n/undo\nskip\n/undo\ntie\n/undo\n")
    with pytest.raises(EndOfInput):
        run(app(settings), *TWO)
    err = capsys.readouterr().err
    assert "The vote on battle 1 is taken back. Vote again, or skip it." in err
    assert "Back to battle 2." in err
    # What is said anew is said again, as in a terminal.
    assert "Battle 1: both bad, voted with the names known." in err
    assert "Battle 2: skipped." in err
    assert "The vote on battle 2 is taken back" in err
    # The last one was taken back, and the input ended before it was cast anew.
    assert kept(settings) == []


def test_nothing_can_be_taken_back_before_the_first_vote(
    settings: Settings, typed: Typing, capsys: OUT
) -> None:
    typed("/undo\n")
    with pytest.raises(EndOfInput):
        run(app(settings), *TWO)
    assert "Nothing was voted yet." in capsys.readouterr().err


def test_questions_of_a_file_are_asked_by_themselves_until_the_last(
    settings: Settings, typed: Typing, tmp_path: Path, capsys: OUT
) -> None:
    file = tmp_path / "few.csv"
    file.write_text("question,category\nOne?,x\nTwo?,y\nThree?,y\n", "utf-8")
    typed("left\nright\n")
    assert run(app(settings), *TWO, "--data", str(file), "--sample", "2") == ExitCode.DONE
    assert len({vote.prompt for vote in kept(settings)}) == 2
    assert "Each question of the file was asked." in capsys.readouterr().err


def test_a_side_that_fails_is_named_and_nobody_is_asked(
    settings: Settings, typed: Typing, tmp_path: Path, capsys: OUT
) -> None:
    file = tmp_path / "few.csv"
    file.write_text("question\nA?\nB?\nC?\nD?\n", "utf-8")
    down = ProviderError("It is down; try again.", provider="scripted")
    typed("")
    with pytest.raises(ProviderError, match="3 battles in a row came to nothing") as caught:
        run(app(settings, "one", down), *TWO, "--data", str(file))
    assert caught.value.exit_code == ExitCode.PROVIDER_FAILED
    out, err = capsys.readouterr()
    assert err.count("scripted:m2: It is down; try again.") == 3
    assert "Which answer is better?" not in out
    assert kept(settings) == []


def test_what_an_answer_says_cannot_control_the_terminal(
    settings: Settings, typed: Typing, capsys: OUT
) -> None:
    typed("Hi?\nleft\n")
    with pytest.raises(EndOfInput):
        run(app(settings, "\x1b[2J\x1b]0;gotcha\x07one", "two"), *TWO)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name two models"),
        (("--model", "scripted:m1"), "needs two candidates"),
        ((*TWO[:4], "--sample", "3"), "name it with --data"),
        ((*TWO[:4], "--as", " "), "--as must be a name"),
        ((*TWO[:4], "--as", "x\ny"), "--as must be a name"),
        ((*TWO[:4], "--data", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_what_cannot_be_held_is_said_in_a_sentence(
    settings: Settings, arguments: Sequence[str], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        run(app(settings), *arguments)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_the_leaderboard_of_nobody_says_how_to_begin(settings: Settings) -> None:
    with pytest.raises(LabError, match="Nobody has voted"):
        run(app(settings), "leaderboard", "--json")


def test_votes_are_parted_by_voter_and_written_as_a_page(
    settings: Settings, typed: Typing, tmp_path: Path, capsys: OUT
) -> None:
    for name, said in (("Ann", "left"), ("Ben", "tie")):
        typed(f"Hi?\n{said}\n")
        with pytest.raises(EndOfInput):
            run(app(settings, "<b>one</b>", "two"), *TWO[:4], "--as", name)
    capsys.readouterr()
    page = tmp_path / "board.html"
    arguments = ("leaderboard", "--by", "voter", "--style-control", "--json")
    assert run(app(settings), *arguments, "--html", str(page)) == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["voters"] == ["Ann", "Ben"]
    assert [(g["value"], g["battles"]) for g in document["groups"]] == [("Ann", 1), ("Ben", 1)]
    assert set(document["people"]["style"]) == {"length", "headers", "lists", "bold"}
    text = page.read_text("utf-8")
    assert "voter Ben: 1 vote" in text
    assert "http" not in text.replace("http-equiv", "")
    run(app(settings), "leaderboard", "--by", "category")
    assert "category unknown: 2 votes" in capsys.readouterr().out


def test_the_menu_asks_for_models_and_prompts_and_shows_the_leaderboard(
    settings: Settings, typed: Typing, capsys: OUT, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmflowlab.cli.arena import arena_screen as screen

    monkeypatch.setattr(screen, "hand_over", lambda settings: None)
    monkeypatch.setattr(screen, "choose_models", lambda *a, **k: ["scripted:m1"])
    typed("vote\nBe brief.\nBe long.\ntyped\nHi?\nleft\n")
    with pytest.raises(EndOfInput):
        arena_screen(app(settings))
    assert len(kept(settings)) == 1
    typed("leaderboard\n")
    arena_screen(app(settings))
    assert "Leaderboard by 1 vote of 1 person" in capsys.readouterr().out


class Priced(ScriptedProvider):
    name = "openai"
    free = False


def test_a_budget_that_is_used_up_ends_the_arena_before_it_is_passed(
    settings: Settings, typed: Typing, capsys: OUT
) -> None:
    models = [
        Priced(default="one", model=name, settings=settings)
        for name in ("gpt-4.1-mini", "gpt-4.1-nano")
    ]
    on = FakeApp(settings, providers=models)
    typed("Hi?\nleft\n")
    chosen = [part for model in models for part in ("--model", model.reference)]
    assert run(on, *chosen, "--budget", "0.000001") == ExitCode.DONE
    err = capsys.readouterr().err
    assert "The budget is used up" in err
    assert [len(model.requests) for model in models] == [0, 0]
    assert kept(settings) == []
