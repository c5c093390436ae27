from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llmflowlab.agents.json_agent import JsonAgent
from llmflowlab.agents.served import AgentFailed
from llmflowlab.errors import RateLimited, RefusedBySafety
from llmflowlab.messages import Parameters, Request
from llmflowlab.providers.scripted import Script
from tests.agents.helpers import CONFIG, context, last_trace, loaded, scripted, traces_in, tree
from tests.patience import PATIENCE


def table(*rows: tuple[Any, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["messages", "params"])


def said(text: str) -> str:
    return json.dumps([{"role": "user", "content": text}])


def predict(agent: JsonAgent, rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [json.loads(text) for text in agent.predict(context(), rows)]


def echo(request: Request) -> Script:
    return f"You said {request.messages[-1].content}"


def test_each_row_has_its_answer_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, gemini=echo)
    answers = predict(loaded(JsonAgent, CONFIG), table(*((said(f"q{i}"), None) for i in range(20))))
    assert [a["content"] for a in answers] == [f"You said q{i}" for i in range(20)]
    assert answers[0] == {
        "content": "You said q0",
        "model": "model",
        "finish_reason": "stop",
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 3,
            "total_tokens": 6,
            "estimated": False,
        },
        "error": None,
    }


def test_a_rows_own_parameters_go_before_the_configured_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = scripted(monkeypatch, gemini=["Yes"])
    config = {**CONFIG, "system_prompt": "For {{client_type}}."}
    params = {"temperature": 0, "max_tokens": 9, "custom_inputs": {"client_type": "schools"}}
    predict(loaded(JsonAgent, config), table((said("a"), json.dumps(params))))
    (request,) = asked["gemini"].requests
    assert request.parameters == Parameters(temperature=0.0, max_tokens=9, seed=7)
    assert request.system == "For schools."


@pytest.mark.parametrize(
    ("messages", "params", "words"),
    [
        pytest.param("[{", None, "no JSON", id="no-json"),
        pytest.param("{}", None, "must be a list", id="no-list"),
        pytest.param("[]", None, "no user message", id="no-messages"),
        pytest.param('["hello"]', None, "must be an object", id="text-for-message"),
        pytest.param('[{"role": "tool", "content": "x"}]', None, "role 'tool'", id="tool"),
        pytest.param('[{"role": "user"}]', None, "other than text", id="no-content"),
        pytest.param('[{"role": "user", "content": NaN}]', None, "NaN", id="nan"),
        pytest.param(None, None, "must be a list", id="empty-cell"),
        pytest.param(float("nan"), None, "must be a list", id="missing-cell"),
        pytest.param(said("a"), "[1]", "params must be", id="params-list"),
        pytest.param(said("a"), '{"temprature": 1}', "temprature", id="typo"),
        pytest.param(said("a"), '{"temperature": "warm"}', "temperature", id="not-a-number"),
        pytest.param(said("a"), '{"max_tokens": 0}', "max_tokens", id="no-tokens"),
        pytest.param(said("a"), '{"max_tokens": 1.5}', "max_tokens", id="half-a-token"),
        pytest.param(said("a"), '{"custom_inputs": 3}', "custom_inputs", id="custom-number"),
    ],
)
def test_a_malformed_row_gets_an_error_in_its_place_and_the_others_their_answers(
    monkeypatch: pytest.MonkeyPatch, messages: Any, params: Any, words: str
) -> None:
    asked = scripted(monkeypatch, gemini=echo)
    rows = table((said("first"), None), (messages, params), (said("last"), np.nan))
    first, broken, last = predict(loaded(JsonAgent, CONFIG), rows)
    assert (first["content"], last["content"]) == ("You said first", "You said last")
    assert broken["error"]["reason"] == "bad_input"
    assert words in broken["error"]["message"]
    assert [broken[name] for name in ("content", "model", "finish_reason", "usage")] == [None] * 4
    assert len(asked["gemini"].requests) == 2


def test_a_failing_call_fails_its_row_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_refused(request: Request) -> Script:
        if request.messages[0].content == "bad":
            return RefusedBySafety("No.", provider="gemini")
        return echo(request)

    scripted(monkeypatch, gemini=one_refused)
    rows = table((said("good"), None), (said("bad"), None))
    good, bad = predict(loaded(JsonAgent, CONFIG), rows)
    assert good["error"] is None
    assert bad["error"] == {"reason": "refused_by_safety", "message": "No."}


def test_a_passing_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = RateLimited("Slow down.", provider="gemini", retry_after=0.01)
    asked = scripted(monkeypatch, gemini=[busy, "Now"])
    (answer,) = predict(loaded(JsonAgent, CONFIG), table((said("a"), None)))
    assert answer["content"] == "Now"
    assert len(asked["gemini"].requests) == 2


def test_rows_are_answered_side_by_side_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3)
    lock = threading.Lock()
    under_way = most = 0

    def wait(request: Request) -> Script:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        # Only three at once can pass.
        together.wait(PATIENCE)
        with lock:
            under_way -= 1
        return "Yes"

    scripted(monkeypatch, gemini=wait)
    rows = table(*((said(str(i)), None) for i in range(9)))
    answers = predict(loaded(JsonAgent, {**CONFIG, "concurrency": 3}), rows)
    assert [a["content"] for a in answers] == ["Yes"] * 9
    assert most == 3


def test_params_may_be_left_out_and_a_table_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, gemini=echo)
    agent = loaded(JsonAgent, CONFIG)
    assert predict(agent, pd.DataFrame({"messages": [said("a")]}))[0]["content"] == "You said a"
    assert predict(agent, pd.DataFrame({"messages": []})) == []


def test_a_table_without_messages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, gemini=echo)
    with pytest.raises(AgentFailed, match="no column 'messages'"):
        predict(loaded(JsonAgent, CONFIG), pd.DataFrame({"question": ["a"]}))


def test_rows_are_spans_of_one_trace(monkeypatch: pytest.MonkeyPatch, mlflow_home: Path) -> None:
    scripted(monkeypatch, gemini=echo)
    agent = loaded(JsonAgent, {**CONFIG, "tracing": True})
    with traces_in(mlflow_home):
        predict(agent, table((said("a"), None), ("{}", None)))
        trace = last_trace()
    assert {name: sorted(children) for name, children in tree(trace).items()} == {
        "json_agent": ["row 1", "row 2"],
        "row 1": ["conversation", "model_call"],
    }
    broken = next(span for span in trace.data.spans if span.name == "row 2")
    assert broken.status.status_code == "ERROR"
