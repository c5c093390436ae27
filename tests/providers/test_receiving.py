"""What every provider's stream has in common, whatever family it is from."""

from __future__ import annotations

import pytest

from llmflowlab.asking.calling import CallPolicy, call
from llmflowlab.errors import BadAnswer, ConfigurationError, Overloaded, StreamInterrupted
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import (
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.receiving import events_of
from llmflowlab.providers.scripted import ScriptedProvider, Step

HELLO = Request(messages=(Message("user", "Say hello"),))
STOP = Finished("stop")


def events(*steps: Step) -> list[StreamEvent]:
    return list(events_of(ScriptedProvider([list(steps)]), HELLO))


def counted(*steps: Step) -> Usage | None:
    found = [event.usage for event in events(*steps) if isinstance(event, UsageReport)]
    return found[-1] if found else None


def test_an_ordinary_answer_comes_through_as_it_is():
    said: list[StreamEvent] = [
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Usage(prompt_tokens=1)),
        STOP,
    ]
    assert events(*said) == said


def test_texts_are_made_storable_on_the_way():
    # An answer with half a character in it ended a run when it was to be written.
    assert events(TextDelta("a\ud83d"), TextDelta("\ude00\0"), ReasoningDelta("\ude00"), STOP) == [
        TextDelta("a"),
        TextDelta("\U0001f600\ufffd"),
        ReasoningDelta("\ufffd"),
        STOP,
    ]
    assert events(TextDelta("a\ud83d"), STOP) == [TextDelta("a"), TextDelta("\ufffd"), STOP]


def test_thinking_in_the_text_is_apart_in_every_provider():
    answer = call(
        ScriptedProvider(["<think>\n5? no\n</think>\n\n4"]), HELLO, policy=CallPolicy(max_tries=1)
    )
    assert (answer.text, answer.reasoning) == ("4", "5? no\n")


def test_thinking_that_was_shown_as_answer_is_no_part_of_it():
    answer = call(ScriptedProvider(["so 4 </think> 4"]), HELLO, policy=CallPolicy(max_tries=1))
    assert (answer.text, answer.reasoning) == ("4", "so 4 ")


def test_an_answer_of_nothing_but_thought_has_no_text():
    answer = call(ScriptedProvider(["<think> let me see"]), HELLO, policy=CallPolicy(max_tries=1))
    assert (answer.text, answer.reasoning) == ("", "let me see")


ZERO = Usage(prompt_tokens=0, completion_tokens=0)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([TextDelta("4"), UsageReport(ZERO), STOP], id="after the text"),
        pytest.param([UsageReport(ZERO), TextDelta("4"), STOP], id="before the text"),
        pytest.param([UsageReport(ZERO), ReasoningDelta("hm"), STOP], id="before a thought"),
    ],
)
def test_no_tokens_beside_a_text_are_unknown_tokens(steps: list[Step]):
    assert counted(*steps) == Usage()


def test_no_tokens_without_a_text_may_be_true():
    assert counted(UsageReport(Usage(prompt_tokens=9, completion_tokens=0)), STOP) == Usage(
        prompt_tokens=9, completion_tokens=0
    )


def test_a_later_report_does_not_lower_the_prompt_below_its_cached_part():
    whole = UsageReport(Usage(prompt_tokens=5010, completion_tokens=1, cached_tokens=5000))
    later = UsageReport(Usage(prompt_tokens=10, completion_tokens=7))
    assert counted(whole, TextDelta("4"), later, STOP) == Usage(
        prompt_tokens=5010, completion_tokens=7, cached_tokens=5000
    )


def test_a_later_report_without_the_prompt_leaves_it_known():
    first = UsageReport(Usage(prompt_tokens=12, completion_tokens=1))
    assert counted(first, TextDelta("4"), UsageReport(Usage(completion_tokens=5)), STOP) == Usage(
        prompt_tokens=12, completion_tokens=5
    )
    # What grows is not taken from before: 1 is no count of the whole.
    assert counted(first, TextDelta("4"), UsageReport(Usage()), STOP) == Usage(prompt_tokens=12)


def test_a_count_that_cannot_be_right_is_unknown():
    assert counted(UsageReport(Usage(prompt_tokens=-1, completion_tokens=10**30)), STOP) == Usage()


@pytest.mark.parametrize("error", [RecursionError(), AttributeError("x"), RuntimeError("pool")])
def test_whatever_is_no_error_of_ours_becomes_one(error: Exception):
    with pytest.raises(BadAnswer, match="Scripted sent something that cannot be read") as seen:
        events(error)
    assert seen.value.__cause__ is error
    with pytest.raises(StreamInterrupted):
        events(TextDelta("Hel"), error)


@pytest.mark.parametrize(
    "error", [ConfigurationError("no"), Overloaded("busy", provider="scripted")]
)
def test_our_own_errors_pass_through(error: Exception):
    with pytest.raises(type(error)) as seen:
        events(error)
    assert seen.value is error


def test_what_was_held_back_when_the_line_broke_had_come():
    broken: list[Step] = [
        TextDelta("4 <"),
        StreamInterrupted("the line broke", provider="scripted"),
    ]
    answer = call(ScriptedProvider([broken]), HELLO, policy=CallPolicy(max_tries=1))
    assert (answer.text, answer.state) == ("4 <", "incomplete")


def test_a_model_s_name_is_bounded():
    assert events(Finished("stop", "m" * 10_000))[-1] == Finished("stop", "m" * 200)


def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("llmflowlab.providers.receiving._LONGEST", 1000)
    sent = 0

    def on_and_on() -> None:
        nonlocal sent
        sent += 1
        assert sent < 100, "read on"

    piece: list[Step] = [on_and_on, TextDelta("x" * 30), ReasoningDelta("y" * 30)]
    provider = ScriptedProvider([piece * 50])
    answer = call(provider, HELLO, policy=CallPolicy())
    assert (answer.state, answer.tries) == ("incomplete", 1)
    assert answer.error is not None
    assert "wrote more than 1,000 characters without an end; set a limit" in answer.error.message
    assert len(answer.text) <= 1000
