from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentStreamEvent

from llmflowlab.agents.responses_agent import TwinAgent
from llmflowlab.agents.served import AgentFailed
from llmflowlab.errors import InputError, StreamInterrupted
from llmflowlab.messages import Message, Parameters
from llmflowlab.providers.base import Finished, TextDelta, Usage, UsageReport
from tests.agents.helpers import CONFIG, last_trace, loaded, scripted, traces_in, tree


@pytest.fixture(autouse=True)
def traced(mlflow_home: Path) -> Iterator[None]:
    # MLflow traces every agent of this kind by itself.
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


def test_a_stream_brings_deltas_the_item_and_the_finished_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted(monkeypatch, gemini=["one two three"])
    events = list(loaded(TwinAgent, CONFIG).predict_stream(request()))
    assert all(isinstance(event, ResponsesAgentStreamEvent) for event in events)
    *deltas, done, completed = (event.model_dump() for event in events)
    assert {event["type"] for event in deltas} == {"response.output_text.delta"}
    assert "".join(event["delta"] for event in deltas) == "one two three"
    assert done["type"] == "response.output_item.done"
    assert {event["item_id"] for event in deltas} == {done["item"]["id"]}
    assert done["item"]["content"][0]["text"] == "one two three"
    assert completed["type"] == "response.completed"
    assert completed["response"]["usage"]["output_tokens"] == 3


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
    assert next(events).delta == "half an"
    with pytest.raises(AgentFailed, match="Gone"):
        list(events)


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


def test_its_steps_stand_in_the_trace_that_mlflow_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, gemini=["Yes"])
    loaded(TwinAgent, {**CONFIG, "tracing": True}).predict(request())
    assert tree(last_trace()) == {
        "predict": ["responses_agent"],
        "responses_agent": ["conversation", "model_call"],
    }
