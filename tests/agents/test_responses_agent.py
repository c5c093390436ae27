from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentStreamEvent
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from llmflowlab.agents.responses_agent import TwinAgent
from llmflowlab.agents.responses_payload import read_request
from llmflowlab.agents.served import AgentFailed
from llmflowlab.errors import InputError, RateLimited, StreamInterrupted
from llmflowlab.messages import Message, Parameters
from llmflowlab.providers.base import Finished, TextDelta, Usage, UsageReport
from tests.agents.helpers import CONFIG, last_trace, loaded, scripted, traces_in, tree


@pytest.fixture(autouse=True)
def traced(mlflow_home: Path) -> Iterator[None]:
    with traces_in(mlflow_home):
        yield


def request(**changes: Any) -> ResponsesAgentRequest:
    said = [{"role": "user", "content": "Hello there"}]
    return ResponsesAgentRequest(**{"input": said, **changes})


def test_it_answers_as_its_twin_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = scripted(monkeypatch, gemini=["General Kenobi"])
    response = loaded(TwinAgent, CONFIG).predict(request())
    (sent,) = asked["gemini"].requests
    assert sent.system == "Be brief."
    assert sent.parameters == Parameters(temperature=0.2, max_tokens=50, seed=7)
    assert response.output[0].model_dump()["content"][0]["text"] == "General Kenobi"
    assert response.status == "completed"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4, 2)


def test_what_a_request_asks_for_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = scripted(monkeypatch, gemini=["Yes"])
    parts = [{"type": "input_text", "text": "b"}]
    said = [
        {"role": "system", "content": "Be long."},
        {"role": "user", "content": "a"},
        {
            "type": "message",
            "role": "assistant",
            "id": "1",
            "content": [{"type": "output_text", "text": "so", "annotations": []}],
        },
        {"role": "user", "content": parts},
    ]
    loaded(TwinAgent, CONFIG).predict(
        request(input=said, temperature=1.0, max_output_tokens=9, custom_inputs={"seed": 3})
    )
    (sent,) = asked["gemini"].requests
    assert sent.system == "Be long."
    assert sent.parameters == Parameters(temperature=1.0, max_tokens=9, seed=3)
    assert sent.messages == (Message("user", "a"), Message("assistant", "so"), Message("user", "b"))


def test_a_stream_has_the_events_of_the_protocol_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted(monkeypatch, gemini=["one two three"])
    events = list(loaded(TwinAgent, CONFIG).predict_stream(request()))
    assert all(isinstance(event, ResponsesAgentStreamEvent) for event in events)
    found = [event.model_dump() for event in events]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    kinds = [event["type"].removeprefix("response.") for event in found]
    *begun, first = kinds[:5]
    assert begun == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert first == "output_text.delta"
    assert kinds[-4:] == [
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    deltas = [event for event in found if "delta" in event]
    assert "".join(event["delta"] for event in deltas) == "one two three"
    assert {event["item_id"] for event in deltas} == {found[-2]["item"]["id"]}
    assert found[-2]["item"]["content"][0]["text"] == "one two three"
    assert found[-1]["response"]["usage"]["output_tokens"] == 3
    assert {found[0]["response"]["id"]} == {found[-1]["response"]["id"]}


@pytest.mark.parametrize("reason", ["stop", "length", "safety"])
def test_the_openai_sdks_strict_types_accept_every_response_and_event(
    monkeypatch: pytest.MonkeyPatch, reason: Any
) -> None:
    script = [TextDelta("Half "), TextDelta("of it"), Finished(reason)]
    scripted(monkeypatch, gemini=[script, script])
    agent = loaded(TwinAgent, CONFIG)
    asked = request(instructions="Be kind.", metadata={"a": "b"})
    whole = agent.predict(asked).model_dump(exclude_none=True)
    Response.model_validate(whole, strict=True)
    events = TypeAdapter(ResponseStreamEvent)
    for event in agent.predict_stream(asked):
        found = events.validate_python(event.model_dump(exclude_none=True), strict=True)
        assert found.type == event.type
    assert event.type == ("response.completed" if reason == "stop" else "response.incomplete")


def test_instructions_are_honoured_and_the_input_may_be_a_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = scripted(monkeypatch, gemini=["Yes", "Yes"])
    agent = loaded(TwinAgent, CONFIG)
    response = agent.predict(read_request({"input": "Hm?", "instructions": "Be kind."}))
    assert response.instructions == "Be kind."
    said = [{"role": "system", "content": "And short."}, {"role": "user", "content": "Hm?"}]
    agent.predict(read_request({"input": said, "instructions": "Be kind."}))
    one, two = asked["gemini"].requests
    assert (one.system, one.messages) == ("Be kind.", (Message("user", "Hm?"),))
    assert two.system == "Be kind.\n\nAnd short."


@pytest.mark.parametrize("stop", ["three", ["x", "three"]])
def test_a_stop_word_ends_the_answer_before_it(monkeypatch: pytest.MonkeyPatch, stop: Any) -> None:
    # The word arrives in two pieces.
    script = [TextDelta("one two th"), TextDelta("ree four"), Finished("stop")]
    scripted(monkeypatch, gemini=[script, script])
    agent = loaded(TwinAgent, CONFIG)
    response = agent.predict(read_request({"input": "Hm?", "stop": stop}))
    assert response.output[0].content[0]["text"] == "one two "
    assert response.status == "completed"
    events = list(agent.predict_stream(read_request({"input": "Hm?", "stop": stop})))
    assert "".join(e.delta for e in events if e.type.endswith("text.delta")) == "one two "
    assert events[-1].response["output"][0]["content"][0]["text"] == "one two "


def test_what_only_looks_like_a_stop_word_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, gemini=[[TextDelta("one th"), TextDelta("at th"), Finished("stop")]])
    asked = read_request({"input": "Hm?", "stop": "three"})
    events = list(loaded(TwinAgent, CONFIG).predict_stream(asked))
    assert "".join(e.delta for e in events if e.type.endswith("text.delta")) == "one that th"


@pytest.mark.parametrize(
    ("document", "place"),
    [
        pytest.param([], "must be an object", id="list"),
        pytest.param({}, "no input", id="no-input"),
        pytest.param({"input": "a", "temperature": "hot"}, "temperature cannot be used", id="text"),
        pytest.param({"input": "a", "temperature": 9}, "temperature is 9", id="out-of-range"),
        pytest.param({"input": 3}, "input must be a text", id="number"),
        pytest.param({"input": "a", "instructions": 3}, "instructions must be", id="instructions"),
        pytest.param({"input": "a", "stop": [""]}, "stop must be", id="empty-stop-word"),
        pytest.param({"input": "a", "previous_response_id": "r"}, "stored", id="history"),
        pytest.param(
            {"input": "a", "text": {"format": {"type": "json_schema"}}}, "in text", id="json"
        ),
    ],
)
def test_a_bad_parameter_is_the_clients_error_and_says_which(
    monkeypatch: pytest.MonkeyPatch, document: Any, place: str
) -> None:
    asked = scripted(monkeypatch, gemini="never")
    with pytest.raises(AgentFailed, match=place) as raised:
        loaded(TwinAgent, CONFIG).predict(document)
    assert raised.value.get_http_status_code() == 400
    assert asked["gemini"].requests == []


def test_an_answer_that_was_cut_off_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = Usage(prompt_tokens=9, completion_tokens=2, cached_tokens=4, reasoning_tokens=1)
    scripted(monkeypatch, gemini=[[TextDelta("Half"), UsageReport(usage), Finished("length")]])
    response = loaded(TwinAgent, CONFIG).predict(request())
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.input_tokens_details.cached_tokens == 4
    assert response.usage.output_tokens_details.reasoning_tokens == 1


def test_a_stream_that_breaks_off_says_so_after_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = StreamInterrupted("Gone.", provider="gemini")
    scripted(monkeypatch, gemini=[[TextDelta("half an"), broken]])
    events = loaded(TwinAgent, CONFIG).predict_stream(request())
    assert [next(events) for _ in range(5)][-1].delta == "half an"
    with pytest.raises(AgentFailed, match="Gone"):
        list(events)


def test_a_stream_that_never_began_fails_before_its_first_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted(monkeypatch, gemini=[RateLimited("Busy.", provider="gemini")])
    monkeypatch.setenv("LLMFLOWLAB_MAX_TRIES", "1")
    with pytest.raises(AgentFailed) as raised:
        next(loaded(TwinAgent, CONFIG).predict_stream(request()))
    assert raised.value.get_http_status_code() == 429


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"input": []}, id="nothing-said"),
        pytest.param({"tools": [{"type": "function", "name": "f", "parameters": {}}]}, id="tools"),
        pytest.param(
            {"input": [{"type": "function_call_output", "call_id": "1", "output": "x"}]},
            id="tool-result",
        ),
        pytest.param({"custom_inputs": {"seed": "x"}}, id="seed-that-is-none"),
    ],
)
def test_what_it_cannot_do_is_refused_before_any_call(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    asked = scripted(monkeypatch, gemini="never")
    with pytest.raises(AgentFailed) as raised:
        loaded(TwinAgent, CONFIG).predict(request(**changes))
    assert isinstance(raised.value.error, InputError)
    assert asked["gemini"].requests == []


def test_its_steps_are_a_trace_and_none_where_tracing_is_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted(monkeypatch, gemini=["Yes", "Yes"])
    loaded(TwinAgent, {**CONFIG, "tracing": True}).predict(request())
    trace = last_trace()
    assert tree(trace) == {"responses_agent": ["conversation", "model_call"]}
    loaded(TwinAgent, CONFIG).predict(request())
    assert last_trace().info.trace_id == trace.info.trace_id
