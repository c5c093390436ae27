from __future__ import annotations

import traceback
from typing import Any

import pytest
from mlflow.protos import databricks_pb2 as codes
from mlflow.types.llm import ChatMessage, ChatParams

from llmflowlab.agents.chat_agent import ChatAgent
from llmflowlab.agents.served import AgentFailed
from llmflowlab.errors import InputError, Overloaded, RateLimited, StreamInterrupted
from llmflowlab.messages import Parameters
from llmflowlab.providers.base import Finished, TextDelta
from llmflowlab.providers.scripted import Script, ScriptedProvider
from tests.agents.helpers import CONFIG, context, last_trace, loaded, scripted, traces_in, tree
from tests.known import known


def load(
    monkeypatch: pytest.MonkeyPatch, *answers: Script, config: dict[str, Any] | None = None
) -> tuple[ChatAgent, ScriptedProvider]:
    providers = scripted(monkeypatch, gemini=list(answers))
    return loaded(ChatAgent, config or CONFIG), providers["gemini"]


def ask(agent: ChatAgent, *messages: ChatMessage, **params: Any) -> Any:
    said = list(messages) or [ChatMessage("user", "Hello there")]
    return agent.predict(context(), said, ChatParams(**params))


def stream(agent: ChatAgent, **params: Any) -> Any:
    said = [ChatMessage("user", "Hello there")]
    return agent.predict_stream(context(), said, ChatParams(**params))


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
    with pytest.raises(AgentFailed, match="busy") as whole:
        ask(agent)
    with pytest.raises(AgentFailed) as streamed:
        list(stream(agent))
    for failure in (whole.value, streamed.value):
        assert isinstance(failure.error, Overloaded)
        assert failure.get_http_status_code() == 503
        # What vendors wrote must not travel along into traces.
        assert "Overloaded" not in "".join(traceback.format_exception(failure))


def test_a_stream_that_breaks_off_says_so_after_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = StreamInterrupted("gone", provider="gemini")
    agent, _ = load(monkeypatch, [TextDelta("half an"), broken])
    chunks = stream(agent)
    assert next(chunks).choices[0].delta.content == "half an"
    with pytest.raises(AgentFailed) as failure:
        list(chunks)
    assert isinstance(failure.value.error, StreamInterrupted)


def test_a_stop_word_ends_the_answer_and_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, _ = load(monkeypatch, "one two three four five", "one two three four five")
    response = ask(agent, stop=["x", "three"])
    assert response.choices[0].message.content == "one two "
    assert response.choices[0].finish_reason == "stop"
    # What came after the word was neither waited for nor counted.
    assert response.custom_outputs == {"tokens_estimated": True}
    chunks = list(stream(agent, stop=["three"]))
    assert "".join(known(c.choices[0].delta.content) for c in chunks) == "one two "


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
        pytest.param([], {"stop": [""]}, id="empty-stop-word"),
        pytest.param([ChatMessage("system", "only")], {}, id="no-user-message"),
        pytest.param([ChatMessage("user", " ")], {}, id="empty"),
        pytest.param([], {"custom_inputs": {"seed": "x"}}, id="seed-that-is-none"),
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
    with pytest.raises(AgentFailed) as failure:
        ask(agent, *messages, **params)
    assert isinstance(failure.value.error, InputError)
    assert failure.value.error_code == codes.ErrorCode.Name(codes.INVALID_PARAMETER_VALUE)
    assert provider.requests == []


def test_a_wish_for_temperature_one_and_a_seed_come_through_custom_inputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent, provider = load(monkeypatch, "Yes")
    ask(agent, custom_inputs={"temperature": 1.0, "seed": 3})
    assert provider.requests[0].parameters.temperature == 1.0
    assert provider.requests[0].parameters.seed == 3


def test_custom_inputs_fill_the_placeholders_of_the_system_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = {**CONFIG, "system_prompt": "You serve {{ client_type }} clients of {{shop}}."}
    agent, provider = load(monkeypatch, "Yes", config=config)
    ask(agent, custom_inputs={"client_type": "business", "shop": "{{client_type}} & Co"})
    assert provider.requests[0].system == "You serve business clients of {{client_type}} & Co."


def test_a_placeholder_that_nobody_fills_is_an_error_and_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It went to the model as it stood.
    config = {**CONFIG, "system_prompt": "You serve {{ client_type }} clients of {{shop}}."}
    agent, provider = load(monkeypatch, "Yes", config=config)
    with pytest.raises(
        AgentFailed, match=r"no value for \{\{shop\}\}; name it in the custom_inputs"
    ):
        ask(agent, custom_inputs={"client_type": "business"})
    assert not provider.requests


def test_an_agent_puts_the_question_into_its_prompt_template(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = [("user", "Hi"), ("assistant", "Hello!"), ("user", "{{shop}}: {{question}}")]
    config = {
        **CONFIG,
        "messages": [{"role": role, "content": text} for role, text in said],
        "values": {"shop": "Fern"},
    }
    agent, provider = load(monkeypatch, "Yes", config=config)
    ask(agent)
    sent = [(m.role, m.content) for m in provider.requests[0].messages]
    assert sent == [*said[:2], ("user", "Fern: Hello there")]


def test_a_passing_failure_is_tried_again_inside_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = RateLimited("slow down", provider="gemini", retry_after=0.01)
    agent, provider = load(monkeypatch, busy, "Now")
    assert ask(agent).choices[0].message.content == "Now"
    assert len(provider.requests) == 2


def test_loading_sets_only_what_the_constructor_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, _ = load(monkeypatch)
    assert set(vars(agent)) == set(vars(ChatAgent.__new__(ChatAgent)) or {"_core"})


def test_its_steps_are_spans(monkeypatch: pytest.MonkeyPatch, mlflow_home: Any) -> None:
    agent, _ = load(monkeypatch, "one two", "one two", config={**CONFIG, "tracing": True})
    for answered in (lambda: ask(agent), lambda: list(stream(agent))):
        with traces_in(mlflow_home):
            answered()
            trace = last_trace()
        assert tree(trace) == {"chat_agent": ["conversation", "model_call"]}
        call = next(s for s in trace.data.spans if s.name == "model_call")
        assert call.inputs["messages"][0] == {"role": "system", "content": "Be brief."}
        assert call.inputs["temperature"] == 0.2
        assert known(call.get_attribute("mlflow.chat.tokenUsage"))["output_tokens"] == 2
        assert trace.data.spans[0].outputs == "one two"


def test_the_sdk_is_loaded_with_the_model_and_not_in_its_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared: list[ScriptedProvider] = []
    monkeypatch.setattr(ScriptedProvider, "prepare", lambda self: prepared.append(self))
    _, provider = load(monkeypatch)
    assert prepared == [provider]


def test_a_stream_whose_beginning_was_thinking_names_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What was sent on cannot be taken back; with the tag, whoever reads it can tell the two apart.
    agent, _ = load(monkeypatch, "so 4 </think> 4")
    said = [chunk.choices[0].delta.content for chunk in stream(agent)]
    assert "".join(piece for piece in said if piece) == "so 4 </think>4"
