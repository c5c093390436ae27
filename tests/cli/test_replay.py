from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest

from llmflowlab.asking.attempt import Attempt
from llmflowlab.cli.chat.slash_commands import run_command
from llmflowlab.cli.chat.talk import Talk
from llmflowlab.errors import InputError, Overloaded
from llmflowlab.lab.chat_session import Chat
from llmflowlab.providers.base import TextDelta
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp, FakeRecorder
from tests.patience import hold


class Other(ScriptedProvider):
    name = "other"
    display_name = "Other"


class Paid(ScriptedProvider):
    """Costs what the home's prices say."""

    name = "openai"
    display_name = "OpenAI"
    free = False


def talk_of(settings: Settings, first: list[Script], other: ScriptedProvider) -> Talk:
    provider = ScriptedProvider(first, settings=settings)
    app = FakeApp(settings, providers=[provider, other])
    return Talk(app, Chat(app.lab, provider))


def run(talk: Talk, *lines: str) -> None:
    for line in lines:
        if line.startswith("/"):
            run_command(talk, line)
        else:
            talk.answer(line)


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """Ctrl-C once the first piece is there; the rest never comes before it."""
    there, over = threading.Event(), threading.Event()
    mark = Attempt._mark_first

    def marked(self: Attempt, text: str, at: float) -> None:
        mark(self, text, at)
        if text == "du":
            there.set()

    def stop() -> None:
        hold(there)
        signal.raise_signal(signal.SIGINT)
        hold(over)

    monkeypatch.setattr(Attempt, "_mark_first", marked)
    yield [TextDelta("du"), stop, TextDelta("e")]
    over.set()


def recorders(talk: Talk) -> list[FakeRecorder]:
    assert isinstance(talk.app, FakeApp)
    return talk.app.recorders


def sent(provider: ScriptedProvider) -> list[list[str]]:
    return [[message.content for message in one.messages] for one in provider.requests]


def test_the_same_prompts_go_to_another_model_which_goes_on_from_its_own_answers(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Other(["uno", "due"], settings=settings)
    talk = talk_of(settings, ["one", "two"], other)
    run(talk, "/system Be brief.", "a", "b")
    capsys.readouterr()
    run(talk, "/replay other:model")
    assert sent(other) == [["a"], ["a", "uno", "b"]]
    assert other.requests[0].system == "Be brief."
    assert other.closed
    original, replayed = recorders(talk)
    assert replayed.start.replays == original.start.session_id
    assert replayed.start.candidate.model == "other:model"
    assert [turn.answer for turn in replayed.turns] == ["uno", "due"]
    assert replayed.closed
    assert talk.chat.provider.reference == "scripted:model"
    assert [exchange.answer for exchange in talk.chat.conversation.exchanges] == ["one", "two"]
    seen = capsys.readouterr()
    shown = [line for line in seen.out.splitlines() if " · " not in line]
    assert shown[:10] == [
        *("1. a", "scripted:model:", "one", "other:model:", "uno"),
        *("2. b", "scripted:model:", "two", "other:model:", "due"),
    ]
    assert shown[10] == "In all, over 2 turns answered by both"
    assert [line.split()[:5] for line in shown[13:]] == [
        ["before:", "scripted:model", "2", "free", shown[13].split()[4]],
        ["now:", "other:model", "2", "free", shown[14].split()[4]],
    ]
    assert "went on from its own answers; recorded as a session of its own" in seen.err


def test_the_same_model_is_told_from_itself_and_why_it_may_differ_is_said(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = ScriptedProvider(["one", "two", "uno", "due"], settings=settings)
    app = FakeApp(settings, providers=[provider])
    talk = Talk(app, Chat(app.lab, provider))
    run(talk, "a", "b")
    capsys.readouterr()
    run(talk, f"/replay {provider.reference}")
    seen = capsys.readouterr()
    assert "scripted:model, then:\none\n" in seen.out
    assert "scripted:model, now:\nuno\n" in seen.out
    assert "(the same model then and now; its answers may differ: at a temperature" in seen.err
    assert "it goes on from what it says now" in seen.err


def test_the_context_can_be_the_one_that_was_there(settings: Settings) -> None:
    other = Other(["uno", "due"], settings=settings)
    talk = talk_of(settings, ["one", "two"], other)
    run(talk, "a", "b", "/replay other:model --same-context")
    assert sent(other) == [["a"], ["a", "one", "b"]]
    # The text of the first exchange stands in its own trace, and is led to rather than repeated.
    replayed = recorders(talk)[1].turns[1]
    assert replayed.previous_trace == talk.chat.turns[0].trace_id
    assert [message["content"] for message in replayed.messages] == ["b"]


def test_ctrl_c_keeps_what_came_and_asks_no_more(
    settings: Settings, capsys: pytest.CaptureFixture[str], stopping: Script
) -> None:
    other = Other(["uno", stopping], settings=settings)
    talk = talk_of(settings, ["one", "two", "three"], other)
    run(talk, "a", "b", "c", "/replay other:model")
    replayed = recorders(talk)[1]
    assert [turn.state for turn in replayed.turns] == ["complete", "interrupted"]
    assert replayed.turns[1].answer.startswith("du")
    assert replayed.interrupted
    seen = capsys.readouterr()
    assert "· interrupted" in seen.out
    assert "over 1 turn answered by both" in seen.out
    assert "(stopped: what came is kept; 1 prompt not asked)" in seen.err


def test_a_failure_ends_a_replay_with_what_came(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    down = Overloaded("Too busy; try later.", provider="other", retry_after=900)
    talk = talk_of(settings, ["one", "two"], Other(["uno", down], settings=settings))
    run(talk, "a", "b", "/replay other:model")
    seen = capsys.readouterr()
    assert "(no answer)" in seen.out
    assert "Too busy; try later." in seen.err
    assert "Too busy" not in seen.out
    assert "(ended early: what came is kept)" in seen.err


def test_a_replay_of_which_nothing_came_says_so_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    down = Overloaded("Too busy; try later.", provider="other", retry_after=900)
    talk = talk_of(settings, ["one"], Other([down], settings=settings))
    run(talk, "a", "/replay other:model")
    seen = capsys.readouterr()
    # Pins: the reason stood there twice, "what came is kept", and it "went on from its own answers".
    assert (seen.out + seen.err).count("Too busy; try later.") == 1
    assert "(ended early: nothing came)" in seen.err
    assert "went on from" not in seen.err


def test_a_budget_ends_a_replay_before_it_is_overspent(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    price = {"openai:model": {"input_per_million": 0, "output_per_million": 1_000_000}}
    (settings.home / "prices.json").write_text(json.dumps(price), encoding="utf-8")
    other = Paid(default="uno", settings=settings)
    talk = talk_of(settings, ["one", "two"], other)
    run(talk, "/set max_tokens 3", "a", "b", "/replay openai:model --budget 3.5")
    assert len(other.requests) == 1
    first, second = recorders(talk)[-1].turns
    assert (first.cost, second.state) == (Decimal(1), "failed")
    assert "more than is left of the budget" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(["/replay other:model"], "Nothing has been said", id="nothing-said"),
        pytest.param(["a", "/replay"], "Name the model", id="no-model"),
        pytest.param(["a", "/replay nobody:x"], "names no model", id="unknown"),
        pytest.param(["a", "/replay other:model --fast"], "does not take '--fast'", id="option"),
        pytest.param(["a", "/replay other:model --budget"], "'--budget'", id="no-amount"),
        pytest.param(["a", "/replay other:model --budget=-1"], "USD", id="bad-amount"),
    ],
)
def test_what_cannot_be_replayed_is_said_before_anything_is_asked(
    settings: Settings, lines: list[str], message: str
) -> None:
    other = Other(default="x", settings=settings)
    with pytest.raises(InputError, match=message):
        run(talk_of(settings, ["one"], other), *lines)
    assert not other.requests


def test_a_budget_needs_a_price(settings: Settings) -> None:
    other = Paid(default="uno", settings=settings)
    with pytest.raises(InputError, match="none is known for openai:model"):
        run(talk_of(settings, ["one"], other), "a", "/replay openai:model --budget 1")
    assert not other.requests


def test_stats_and_history_tell_models_and_stopped_answers_apart(
    settings: Settings, capsys: pytest.CaptureFixture[str], stopping: Script
) -> None:
    talk = talk_of(settings, ["one", "two"], Other([stopping], settings=settings))
    run(talk, "a", "b", "/model other:model", "c")
    capsys.readouterr()
    run(talk, "/stats", "/history")
    out = capsys.readouterr().out
    assert "  model      other:model (scripted:model 2 turns, other:model 1 turn)\n" in out
    assert "3. c (interrupted)\n" in out
