from __future__ import annotations

from typing import Any

import pytest
from mlflow.pyfunc.model import PythonModelContext
from mlflow.types.llm import ChatMessage, ChatParams

from llmflowlab.agents import chat_agent
from llmflowlab.agents.chat_agent import ChatAgent
from llmflowlab.errors import InputError, Overloaded, StreamInterrupted
from llmflowlab.providers.base import Finished, Parameters, TextDelta
from llmflowlab.providers.scripted import Script, ScriptedProvider

CONFIG = {
    "provider": "gemini",
    "model": "gemini-2.5-flash",
    "system_prompt": "Be brief.",
    "parameters": {"temperature": 0.2, "max_tokens": 50, "seed": 7},
}


def load(
    monkeypatch: pytest.MonkeyPatch, *answers: Script, config: dict[str, Any] | None = None
) -> tuple[ChatAgent, ScriptedProvider]:
    provider = ScriptedProvider(answers)
    asked: list[str] = []

    def build(reference: Any, settings: Any) -> ScriptedProvider:
        asked.append(str(reference))
        return provider

    monkeypatch.setattr(chat_agent, "build", build)
    with pytest.warns(FutureWarning, match="ChatModel"):
        agent = ChatAgent()
    agent.load_context(PythonModelContext(None, config or CONFIG))
    assert asked == ["gemini:gemini-2.5-flash"]
    return agent, provider


def ask(agent: ChatAgent, *messages: ChatMessage, **params: Any) -> Any:
    said = list(messages) or [ChatMessage("user", "Hello there")]
    return agent.predict(PythonModelContext(None, CONFIG), said, ChatParams(**params))


def stream(agent: ChatAgent, **params: Any) -> Any:
    said = [ChatMessage("user", "Hello there")]
    return agent.predict_stream(PythonModelContext(None, CONFIG), said, ChatParams(**params))


def test_it_answers_as_its_candidate_would(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, provider = load(monkeypatch, "General Kenobi")
    response = ask(agent)
    (request,) = provider.requests
    assert request.system == "Be brief."
    assert request.parameters == Parameters(temperature=0.2, max_tokens=50, seed=7)
    assert response.choices[0].message.content == "General Kenobi"
    assert response.choices[0].finish_reason == "stop"
    # The scripted provider counts words: two of the system prompt, two asked, two answered.
    usage = response.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (4, 2, 6)


def test_what_a_request_asks_for_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, provider = load(monkeypatch, "Yes")
    system = ChatMessage("system", "Be long.")
    ask(agent, system, ChatMessage("user", "Hm?"), temperature=0.7, top_p=0.5, max_tokens=9)
    (request,) = provider.requests
    assert request.system == "Be long."
    assert request.parameters == Parameters(temperature=0.7, top_p=0.5, max_tokens=9, seed=7)


def test_a_conversation_is_passed_on_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, provider = load(monkeypatch, "Yes")
    parts: list[dict[str, Any]] = [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]
    ask(agent, ChatMessage("user", "a"), ChatMessage("assistant", "b"), ChatMessage("user", parts))
    said = [(m.role, m.content) for m in provider.requests[0].messages]
    assert said == [("user", "a"), ("assistant", "b"), ("user", "c\nd")]


def test_tokens_that_the_provider_does_not_count_are_filled_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent, _ = load(monkeypatch, [TextDelta("one two three"), Finished("stop")])
    usage = ask(agent).usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_brings_the_pieces_and_then_the_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, _ = load(monkeypatch, "one two three")
    chunks = list(stream(agent))
    assert "".join(c.choices[0].delta.content for c in chunks) == "one two three"
    assert len(chunks) > 2
    assert [c.choices[0].finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 3
    assert len({c.id for c in chunks}) == 1


def test_a_failure_is_raised_from_both_ways_of_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMFLOWLAB_MAX_TRIES", "1")
    error = Overloaded("busy", provider="gemini")
    agent, _ = load(monkeypatch, error, error)
    with pytest.raises(Overloaded):
        ask(agent)
    with pytest.raises(Overloaded):
        list(stream(agent))


def test_a_stream_that_breaks_off_says_so_after_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = StreamInterrupted("gone", provider="gemini")
    agent, _ = load(monkeypatch, [TextDelta("half an"), broken])
    chunks = stream(agent)
    assert next(chunks).choices[0].delta.content == "half an"
    with pytest.raises(StreamInterrupted):
        list(chunks)


def test_leaving_a_stream_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, provider = load(monkeypatch, "a b c d e f", "next")
    chunks = stream(agent)
    next(chunks)
    chunks.close()
    assert ask(agent).choices[0].message.content == "next"
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    ("messages", "params"),
    [
        pytest.param([], {"n": 2}, id="several-answers"),
        pytest.param([], {"stop": ["x"]}, id="stop-words"),
        pytest.param([ChatMessage("system", "only")], {}, id="no-user-message"),
        pytest.param([ChatMessage("tool", "x", tool_call_id="1")], {}, id="tool"),
        pytest.param(
            [ChatMessage("user", [{"type": "image_url", "image_url": {"url": "x"}}])],
            {},
            id="picture",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_before_any_call(
    monkeypatch: pytest.MonkeyPatch, messages: list[ChatMessage], params: dict[str, Any]
) -> None:
    agent, provider = load(monkeypatch, "never")
    with pytest.raises(InputError):
        ask(agent, *messages, **params)
    assert provider.requests == []
