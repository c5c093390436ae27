"""The scripted provider plays what it is given, in order, and remembers what it was asked."""

from __future__ import annotations

import pytest

from llmflowlab.errors import Overloaded
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import Finished, ModelInfo, Provider, TextDelta, Usage, UsageReport
from llmflowlab.providers.scripted import Script, ScriptedProvider, ScriptExhausted, Step
from llmflowlab.settings import Settings

HELLO = Request(messages=(Message("user", "Say hello"),), system="Be very brief")


def test_text_is_streamed_in_words_with_usage_and_an_end():
    provider = ScriptedProvider(["Hello  there,\nworld"], model="tiny")
    assert list(provider.stream(HELLO)) == [
        TextDelta("Hello  "),
        TextDelta("there,\n"),
        TextDelta("world"),
        UsageReport(Usage(prompt_tokens=5, completion_tokens=3)),
        Finished("stop", "tiny"),
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\n", " a  b\n", "Grüße, 世界 🌍", "a\n\n- b\n- c\n"])
def test_text_arrives_as_it_was_written(text: str):
    events = list(ScriptedProvider([text]).stream(HELLO))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text
    assert isinstance(events[-1], Finished)


def test_answers_come_in_turn_and_requests_are_remembered():
    provider = ScriptedProvider(["one"])
    provider.queue("two", "three")
    again = Request(messages=(Message("user", "Again"),))
    words = [next(provider.stream(request)) for request in (HELLO, again)]
    assert words == [TextDelta("one"), TextDelta("two")]
    assert (provider.requests, provider.unanswered) == ([HELLO, again], 1)


def test_failures_are_raised_where_the_script_has_them():
    busy = Overloaded("busy", provider="scripted")
    provider = ScriptedProvider([busy, [TextDelta("Hel"), busy]])
    with pytest.raises(Overloaded):
        next(provider.stream(HELLO))
    stream = provider.stream(HELLO)
    assert next(stream) == TextDelta("Hel")
    with pytest.raises(Overloaded):
        next(stream)


def test_a_function_answers_by_the_request_and_may_return_another_script():
    def echo(request: Request) -> Script:
        return lambda again: [TextDelta(again.messages[0].content), Finished("length")]

    provider = ScriptedProvider([echo])
    assert list(provider.stream(HELLO)) == [TextDelta("Say hello"), Finished("length")]


def test_steps_may_do_something_between_events():
    done: list[str] = []
    script: list[Step] = [TextDelta("a"), lambda: done.append("between"), Finished("stop")]
    assert list(ScriptedProvider([script]).stream(HELLO)) == [TextDelta("a"), Finished("stop")]
    assert done == ["between"]


def test_an_empty_script_says_so_unless_there_is_a_default():
    with pytest.raises(ScriptExhausted, match="no answer to request 1"):
        next(ScriptedProvider().stream(HELLO))
    provider = ScriptedProvider(["first"], default="always")
    words = [next(provider.stream(HELLO)) for _ in range(3)]
    assert words == [TextDelta("first"), TextDelta("always"), TextDelta("always")]


def test_latency_is_waited_out_by_the_function_given():
    waits: list[float] = []
    provider = ScriptedProvider(default="x", latency=0.2, sleep=waits.append)
    next(provider.stream(HELLO))
    assert waits == [0.2]


def test_it_is_a_provider_like_any_other(settings: Settings):
    provider = ScriptedProvider(["x"], settings=settings, window=100)
    assert isinstance(provider, Provider)
    assert (provider.reference, provider.context_window()) == ("scripted:model", 100)
    assert provider.list_models() == [ModelInfo("model", 100, "answers from a script")]
    assert provider.settings is settings
    assert ScriptedProvider.readiness(settings, 1.0).ready
    provider.close()
    assert provider.closed
