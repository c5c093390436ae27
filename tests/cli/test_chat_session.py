from __future__ import annotations

import signal
import threading
from decimal import Decimal

import pytest

from llmflowlab.asking.interruption import interruptible
from llmflowlab.cli.chat.stream import SilentView
from llmflowlab.cli.chat.turn_line import summary_line
from llmflowlab.errors import (
    AuthenticationFailed,
    ContextTooLong,
    InputError,
    StreamInterrupted,
    TrackingError,
)
from llmflowlab.lab.chat_session import Chat
from llmflowlab.lab.conversation import Exchange
from llmflowlab.messages import Parameters
from llmflowlab.providers.base import Finished, StreamEvent, TextDelta, Usage, UsageReport
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.settings import Settings, load_settings
from tests.cli.fakes import FakeApp
from tests.patience import PATIENCE


class Priced(ScriptedProvider):
    name = "gemini"
    display_name = "Gemini"
    supplier = "Google"
    free = False


def started(settings: Settings, *answers: Script, **more: object) -> tuple[FakeApp, Chat]:
    provider = ScriptedProvider(answers, settings=settings)
    app = FakeApp(settings, providers=[provider])
    return app, Chat(app.lab, provider, **more)  # type: ignore[arg-type]


def view(app: FakeApp) -> SilentView:
    return SilentView(app.screen, "Scripted")


def test_a_turn_is_recorded_with_all_that_is_known_of_it(settings: Settings) -> None:
    app, chat = started(
        settings,
        "The capital of France is Paris, and it has been so for a very long time.",
        system="Be brief.",
        parameters=Parameters(temperature=0.2),
    )
    outcome = chat.ask("Which is the capital of France?", view(app))
    (recorder,) = app.recorders
    (record,) = recorder.turns
    assert record is outcome.record
    assert recorder.start.candidate.model == "scripted:model"
    assert recorder.start.candidate.system == "Be brief."
    assert recorder.start.candidate.parameters.temperature == 0.2
    assert record.state == "complete"
    assert record.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Which is the capital of France?"},
    ]
    assert (record.prompt_tokens, record.completion_tokens) == (8, 16)
    assert not record.tokens_estimated
    assert record.cost == Decimal(0)
    assert record.language == "en"
    assert record.finish_reason == "stop"
    assert record.time_to_first_token is not None


def test_the_next_prompt_carries_the_conversation(settings: Settings) -> None:
    app, chat = started(settings, "one", "two")
    chat.ask("first", view(app))
    chat.ask("second", view(app))
    provider = chat.provider
    assert isinstance(provider, ScriptedProvider)
    sent = provider.requests[-1].messages
    assert [(m.role, m.content) for m in sent] == [
        ("user", "first"),
        ("assistant", "one"),
        ("user", "second"),
    ]
    assert [turn.index for turn in app.recorders[0].turns] == [0, 1]


def test_counts_that_the_provider_left_out_are_ours_and_marked(settings: Settings) -> None:
    app, chat = started(settings, [TextDelta("hello there"), Finished("stop")])
    record = chat.ask("hi", view(app)).record
    assert record.tokens_estimated
    assert record.prompt_tokens
    assert record.completion_tokens
    assert summary_line(record).startswith(f"~{record.prompt_tokens} + ~{record.completion_tokens}")


def test_an_unknown_price_stays_unknown(settings: Settings) -> None:
    provider = Priced(["hello"], model="model-nobody-knows", settings=settings)
    app = FakeApp(settings, providers=[provider])
    record = Chat(app.lab, provider).ask("hi", view(app)).record
    assert record.cost_usd is None
    assert "cost unknown" in summary_line(record)


def test_a_known_price_is_computed_from_the_tokens(settings: Settings) -> None:
    settings.prices_file.write_text(
        '{"gemini:mine": {"input_per_million": "2", "output_per_million": "10"}}', encoding="utf-8"
    )
    usage = UsageReport(Usage(prompt_tokens=1_000, completion_tokens=500))
    provider = Priced(
        [[TextDelta("hello"), usage, Finished("stop")]], model="mine", settings=settings
    )
    app = FakeApp(settings, providers=[provider])
    record = Chat(app.lab, provider).ask("hi", view(app)).record
    assert record.cost == Decimal("0.007")
    assert "1,000 + 500 tokens · $0.007 · " in summary_line(record)


def test_a_bad_price_file_is_said_before_anything_is_paid(settings: Settings) -> None:
    settings.prices_file.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"prices\.json"):
        started(settings, "never sent")


def test_a_failed_turn_is_recorded_and_left_out_of_the_conversation(settings: Settings) -> None:
    error = AuthenticationFailed("The key was refused; check it.", provider="scripted")
    app, chat = started(settings, error, "fine")
    outcome = chat.ask("hi", view(app))
    assert outcome.error is error
    (record,) = app.recorders[0].turns
    assert (record.state, record.error_reason) == ("failed", "authentication")
    assert record.error == "The key was refused; check it."
    assert record.prompt_tokens is None
    assert chat.ask("again", view(app)).record.messages == [{"role": "user", "content": "again"}]


def test_an_answer_that_broke_off_is_kept_and_marked(settings: Settings) -> None:
    broke = StreamInterrupted("The line broke.", provider="scripted")
    app, chat = started(settings, [TextDelta("half an"), broke])
    outcome = chat.ask("hi", view(app))
    assert (outcome.record.state, outcome.record.answer) == ("incomplete", "half an")
    assert chat.conversation.exchanges[-1].answer == "half an"
    assert outcome.record.error == "The line broke."


def test_ctrl_c_keeps_what_came_and_the_session(settings: Settings) -> None:
    class Impatient(SilentView):
        def event(self, event: StreamEvent) -> None:
            signal.raise_signal(signal.SIGINT)
            reading.set()

    reading = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    app, chat = started(
        settings, [TextDelta("half"), lambda: assert_set(reading), TextDelta(" more")], "whole"
    )
    with interruptible() as pressed:
        record = chat.ask("hi", Impatient(app.screen, "Scripted"), cancelled=pressed).record
    assert (record.state, record.answer) == ("interrupted", "half")
    assert signal.getsignal(signal.SIGINT) is before
    assert chat.ask("again", view(app)).record.state == "complete"
    assert len(app.recorders[0].turns) == 2


def assert_set(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def test_an_unexpected_failure_is_recorded_and_the_chat_goes_on(settings: Settings) -> None:
    app, chat = started(settings, ZeroDivisionError("boom"), "fine")
    outcome = chat.ask("hi", view(app))
    assert outcome.record.state == "failed"
    assert "ZeroDivisionError" in str(outcome.record.error)
    assert chat.ask("hi", view(app)).record.state == "complete"


def test_a_change_of_the_candidate_begins_a_session_that_continues_the_old_one(
    settings: Settings,
) -> None:
    app, chat = started(settings, "one", "two")
    chat.ask("first", view(app))
    assert chat.change(parameters=Parameters(temperature=0.9))
    chat.ask("second", view(app))
    first, second = app.recorders
    assert first.closed
    assert second.start.continues == first.start.session_id
    assert second.start.candidate.parameters.temperature == 0.9
    assert second.turns[0].index == 0
    # What was said before stands in the trace before, once.
    (turn,) = second.turns
    assert turn.messages == [{"role": "user", "content": "second"}]
    assert (turn.earlier_exchanges, turn.previous_trace) == (1, first.turns[0].trace_id)
    provider = chat.provider
    assert isinstance(provider, ScriptedProvider)
    assert [message.content for message in provider.requests[-1].messages] == [
        "first",
        "one",
        "second",
    ]


def test_what_no_trace_holds_yet_is_in_the_next_one(settings: Settings) -> None:
    app, chat = started(
        settings, "one", ContextTooLong("Too long.", provider="scripted"), "two", "3"
    )
    chat.conversation.replace([Exchange("loaded", "before")])
    chat.ask("first", view(app))
    chat.ask("second", view(app))
    chat.conversation.undo()
    chat.ask("third", view(app))
    first, second, third = chat.turns
    assert [each["content"] for each in first.messages] == ["loaded", "before", "first"]
    assert (first.earlier_exchanges, first.previous_trace) == (0, None)
    # The older half was left out.
    assert [each["content"] for each in second.messages] == ["second"]
    assert (second.earlier_exchanges, second.previous_trace) == (1, first.trace_id)
    assert (third.earlier_exchanges, third.previous_trace) == (1, first.trace_id)


def test_a_change_before_the_first_turn_leaves_no_empty_session(settings: Settings) -> None:
    app, chat = started(settings, "one")
    assert not chat.change(system="Be brief.")
    chat.ask("first", view(app))
    (recorder,) = app.recorders
    assert recorder.start.continues is None
    assert recorder.start.candidate.system == "Be brief."


def test_a_chat_without_a_turn_leaves_nothing(settings: Settings) -> None:
    app, chat = started(settings)
    chat.close()
    assert app.recorders == []


def test_what_is_dropped_to_fit_the_window_is_said(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = ScriptedProvider(["word " * 400] * 4, settings=settings, window=2048)
    app = FakeApp(settings, providers=[provider])
    chat = Chat(app.lab, provider)
    for thread in threading.enumerate():
        if thread.name == "chat-prepare":
            thread.join()
    assert chat.window == 2048
    for number in range(4):
        chat.ask(f"question {number}", view(app))
    said = capsys.readouterr().err
    assert "oldest exchange" in said
    assert "to fit 2,048 tokens)" in said


def test_a_conversation_called_too_long_is_shortened_and_sent_once_more(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    too_long = ContextTooLong("It does not fit.", provider="scripted")
    app, chat = started(settings, "one", "two", too_long, "three")
    for prompt in ("a", "b"):
        chat.ask(prompt, view(app))
    record = chat.ask("c", view(app)).record
    assert record.state == "complete"
    provider = chat.provider
    assert isinstance(provider, ScriptedProvider)
    assert [each.content for each in provider.requests[-1].messages] == ["b", "two", "c"]
    assert (record.earlier_exchanges, record.previous_trace) == (1, chat.turns[1].trace_id)
    assert capsys.readouterr().err == "(dropped the 1 oldest exchange to fit the model's window)\n"


def test_a_prompt_too_long_by_itself_fails_with_the_providers_words(settings: Settings) -> None:
    too_long = ContextTooLong("It does not fit.", provider="scripted")
    app, chat = started(settings, too_long)
    assert chat.ask("c", view(app)).error is too_long


def test_a_turn_that_cannot_be_written_is_said_and_stays_in_the_conversation(
    settings: Settings,
) -> None:
    app, chat = started(settings, "one", "two")
    chat.ask("a", view(app))
    app.recorders[0].failure = TrackingError("The disk is full; make room.")
    with pytest.raises(TrackingError):
        chat.ask("b", view(app))
    assert [e.answer for e in chat.conversation.exchanges] == ["one", "two"]


def test_no_secret_of_the_settings_reaches_a_record(settings: Settings) -> None:
    secret = "sk-very-secret-0123456789"
    with_key = load_settings({"OPENAI_API_KEY": secret}, cwd=settings.home, stdin_is_terminal=False)
    app, chat = started(with_key, "hello")
    chat.ask("hi", view(app))
    assert secret not in repr(app.recorders[0].turns) + repr(app.recorders[0].start)
