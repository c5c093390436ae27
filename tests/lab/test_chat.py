"""A chat without a screen: what its view is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from llmflowlab.asking.calling import WaitNotice
from llmflowlab.asking.metering import Metering
from llmflowlab.errors import ContextTooLong
from llmflowlab.lab import chat_session
from llmflowlab.lab.chat_events import ChatNotice, ExchangesDropped, RegisteredAlready
from llmflowlab.lab.chat_session import Chat
from llmflowlab.providers.base import StreamEvent, TextDelta
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.journal import read_journal
from tests.cli.fakes import FakeLab
from tests.patience import PATIENCE


@dataclass
class Heard:
    """A view that remembers."""

    text: str = ""
    notices: list[ChatNotice] = field(default_factory=list)
    closed: int = 0

    def event(self, event: StreamEvent) -> None:
        if isinstance(event, TextDelta):
            self.text += event.text

    def wait(self, notice: WaitNotice) -> None:
        pass

    def notice(self, notice: ChatNotice) -> None:
        self.notices.append(notice)

    def close(self) -> None:
        self.closed += 1


class Served(ScriptedProvider):
    name = "mlflow"


def chat(settings: Settings, provider: ScriptedProvider) -> tuple[FakeLab, Chat]:
    lab = FakeLab(settings, providers=[provider])
    return lab, Chat(lab, provider)


def test_a_view_hears_the_answer_and_is_closed_once(settings: Settings) -> None:
    lab, talk = chat(settings, ScriptedProvider(["one two"], settings=settings))
    heard = Heard()
    outcome = talk.ask("hi", heard)
    assert (heard.text, heard.closed, heard.notices) == ("one two", 1, [])
    assert outcome.record is lab.recorders[0].turns[0]


def test_what_is_left_out_is_told_as_a_value(settings: Settings) -> None:
    long = ContextTooLong("Too long.", provider="scripted")
    _, talk = chat(settings, ScriptedProvider(["a", "b", long, "c"], settings=settings))
    for prompt in ("1", "2"):
        talk.ask(prompt, Heard())
    heard = Heard()
    assert talk.ask("3", heard).error is None
    assert heard.notices == [ExchangesDropped(number=1, window=None)]


def test_a_session_with_a_registered_model_says_so_once(settings: Settings) -> None:
    _, talk = chat(settings, Served(["a", "b"], settings=settings))
    first, second = Heard(), Heard()
    talk.ask("1", first)
    talk.ask("2", second)
    assert (first.notices, second.notices) == ([RegisteredAlready()], [])


def test_an_event_stops_an_answer_and_what_came_is_kept(settings: Settings) -> None:
    cancelled, shown = threading.Event(), threading.Event()

    class Impatient(Heard):
        def event(self, event: StreamEvent) -> None:
            super().event(event)
            cancelled.set()
            shown.set()

    def wait() -> None:
        assert shown.wait(PATIENCE)

    provider = ScriptedProvider([[TextDelta("half"), wait, TextDelta(" more")]], settings=settings)
    lab, talk = chat(settings, provider)
    record = talk.ask("hi", Impatient(), cancelled=cancelled).record
    assert (record.state, record.answer) == ("interrupted", "half")
    assert lab.recorders[0].turns == [record]


class Killed(BaseException):
    """What stands in for `kill -9`: nothing of the chat's catches it."""


@pytest.mark.parametrize("place", ["counting", "telling the language"])
def test_an_answer_that_was_shown_is_on_disk_before_anything_is_measured(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    # Of 59 answers that were shown whole, 6 were lost to a kill while the language model was loaded.
    def kill(*args: object, **more: object) -> None:
        raise Killed

    if place == "counting":
        monkeypatch.setattr(Metering, "tokens", kill)
    else:
        monkeypatch.setattr(chat_session, "measured", kill)

    def never() -> Delivery:
        raise AssertionError("no turn was recorded")

    provider = ScriptedProvider(["whole answer"], settings=settings)
    lab = FakeLab(settings, providers=[provider])
    monkeypatch.setattr(lab, "recorder", lambda start: ChatRecorder(settings, start, never))
    talk = Chat(lab, provider, system="Be brief.")
    with pytest.raises(Killed):
        talk.ask("hi", Heard())
    (journal,) = settings.journals_dir.glob("chat-*.jsonl")
    found = read_journal(journal)
    assert found.start is not None
    assert [(turn.prompt, turn.answer) for turn in found.turns] == [("hi", "whole answer")]
    assert [message["content"] for message in found.turns[0].messages] == ["Be brief.", "hi"]
    assert found.turns[0].cost is None
