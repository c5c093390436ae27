"""`main.py monitor canary`: begun, run and looked at, in words and as documents."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

from llmflowlab.cli.arguments import parse
from llmflowlab.cli.monitor.canary_command import run_canary
from llmflowlab.errors import ExitCode, InputError, Overloaded, ProviderError
from llmflowlab.monitoring import canary_search
from llmflowlab.monitoring.canary_search import MOST_CALLS
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp
from tests.monitoring.canary_models import OPEN, model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # One call after the other, so that a seeded model says the same at every run.
    return Settings(home=tmp_path, environment={}, concurrency=1, max_tries=1)


@pytest.fixture(autouse=True)
def candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_search, "CANDIDATES", OPEN)


def typed(*words: str) -> argparse.Namespace:
    return parse(["monitor", "canary", *words])


def run(settings: Settings, provider: ScriptedProvider, *words: str) -> int:
    return run_canary(FakeApp(settings, providers=[provider]), typed(*words))


INIT = ("init", "--model", "scripted:model", "--name", "desk", "--every", "1d")


def test_from_its_beginning_to_its_alarm(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    few = (*INIT, "--prompts", "24", "--questions", "2")
    assert run(settings, model("one"), *few) == ExitCode.DONE
    out, announced = capsys.readouterr()
    assert f"takes up to {MOST_CALLS:,} short calls" in announced
    assert "--budget USD bounds what they cost" in announced
    for part in (
        "desk: 24 border prompts, 2 questions; a round every 1 d.",
        "Its baseline takes 12 rounds",
        "Chance of a false alarm in 30 rounds (30 days): 1.0 % at most",
        "noticed within 10 rounds",
        "monitor canary run desk --every 86400s",
    ):
        assert part in out
    assert run(settings, model("one"), "run", "desk", "--rounds", "13") == ExitCode.DONE
    out = capsys.readouterr().out
    assert "round 4 of 12: learning" in out
    assert "round 12 of 12: baseline" in out
    assert "round 13: quiet, evidence of" in out
    other = model("two", served="served-2", knows=False)
    assert run(settings, other, "run", "desk", "--json") == ExitCode.GATE_NOT_MET
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["state"], document["rounds"], document["rounds_asked"]) == ("changed", 14, 1)
    assert document["served_new"] == ["served-2"]
    assert document["false_alarm_chance"] == 0.01
    assert {layer["layer"] for layer in document["layers"]} == {
        "words", "new_words", "right", "length", "refusals", "latency",
    }  # fmt: skip
    assert run(settings, other, "status", "desk") == ExitCode.GATE_NOT_MET
    out = capsys.readouterr().out
    assert "desk: changed, 14 rounds." in out
    assert "it serves served-2 now; in the baseline it was served-1. That is certain." in out
    assert run(settings, other, "status", "--json") == ExitCode.GATE_NOT_MET
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed == {key: document[key] for key in listed}


def test_what_init_says_as_a_document_is_what_it_keeps(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(settings, model("one"), *INIT, "--prompts", "6", "--json") == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert len(document["border_prompts"]) == 6
    assert document["notices_swap_within_rounds"] is None
    kept = json.loads((settings.state_dir / "canaries" / "desk" / "canary.json").read_text())
    assert [choice["prompt"] for choice in kept["choices"]] == [
        each["prompt"] for each in document["border_prompts"]
    ]
    asked = document["calls_per_round"]
    assert asked["watching"] == 6 + 10
    assert asked["baseline"] == 6 * document["samples_per_round"] + 10


def test_a_schedule_waits_goes_on_after_a_failure_and_ends_at_the_budget_or_a_change(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(settings, model("one"), *INIT, "--prompts", "2", "--questions", "1") == ExitCode.DONE
    down = [True]

    def answer(request: object) -> object:
        return Overloaded("It is overloaded.", provider="scripted") if down[0] else "Yes."

    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        down[0] = False

    provider = ScriptedProvider(default=answer)  # type: ignore[arg-type]
    arguments = typed("run", "desk", "--every", "1h", "--rounds", "3")
    app = FakeApp(settings, providers=[provider])
    assert run_canary(app, arguments, wait=wait) == ExitCode.DONE
    captured = capsys.readouterr()
    assert "The next round is asked in 1 h." in captured.err
    assert "at one every 1 h they are 1.25 days" in captured.err
    assert "round 2 of 12: learning" in captured.out
    assert waits == [3_600.0, 3_600.0]
    down[0] = True
    with pytest.raises(ProviderError, match="It is overloaded"):
        run(settings, provider, "run", "desk")


def test_a_list_without_canaries_says_how_to_begin(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(settings, model("one"), "status") == ExitCode.DONE
    assert "monitor canary init --model REF" in capsys.readouterr().out
    with pytest.raises(InputError, match="There is no canary desk"):
        run(settings, model("one"), "status", "desk")


@pytest.mark.parametrize(
    "words",
    [
        ("init",),
        ("init", "--model", "x", "--alpha", "1"),
        ("init", "--model", "x", "--every", "soon"),
        ("init", "--model", "x", "--prompts", "-1"),
        ("run",),
        ("run", "desk", "--rounds", "0"),
        (),
    ],
)
def test_what_cannot_be_understood_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises((InputError, SystemExit)):
        typed(*words)


def test_a_home_that_takes_no_files_is_said_at_once(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(Exception, match="cannot be written"):
        run(replace(settings, home=file / "home"), model("one"), "status")
