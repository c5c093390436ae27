from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlflow.types.llm import ChatMessage, ChatParams

from llmflowlab.agents.config import HANDOVER, JUDGE, panel_config
from llmflowlab.agents.panel_agent import PanelAgent
from llmflowlab.agents.served import AgentFailed
from llmflowlab.errors import (
    InputError,
    Overloaded,
    ProviderError,
    RefusedBySafety,
    StreamInterrupted,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Finished, TextDelta
from llmflowlab.providers.scripted import Script, Step
from tests.agents.helpers import context, last_trace, loaded, scripted, traces_in, tree
from tests.known import known
from tests.patience import PATIENCE

CONFIG = panel_config(
    "gemini:gemini-2.5-flash",
    "openai:gpt-4.1-mini",
    oracle_instruction="Answer business clients.",
    oracle_parameters=Parameters(temperature=0.7, max_tokens=100),
    judge_parameters=Parameters(temperature=0.0),
    tracing=False,
)


def ask(agent: PanelAgent, text: str = "Why?", **params: Any) -> Any:
    said = [ChatMessage("system", "It is Monday."), ChatMessage("user", text)]
    return agent.predict(context(CONFIG), said, ChatParams(**params))


def test_the_oracle_answers_and_the_judge_improves(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = scripted(monkeypatch, gemini=["A draft here"], openai=["The final"])
    oracle_role = {**CONFIG["roles"][0], "instruction": "Answer {{client_type}} clients."}
    config = {**CONFIG, "roles": [oracle_role, CONFIG["roles"][1]]}
    agent = loaded(PanelAgent, config)
    with pytest.raises(AgentFailed, match=r"The oracle has no value for \{\{client_type\}\}"):
        ask(agent)
    response = ask(agent, custom_inputs={"client_type": "business"})
    (oracle,), (judge,) = asked["gemini"].requests, asked["openai"].requests
    assert oracle.system == "Answer business clients.\n\nIt is Monday."
    assert oracle.parameters == Parameters(temperature=0.7, max_tokens=100)
    assert judge.system == f"{JUDGE}\n\nIt is Monday."
    assert judge.parameters == Parameters(temperature=0.0)
    assert judge.messages == (
        Message("user", "Why?"),
        Message("assistant", "A draft here"),
        Message("user", HANDOVER.replace("{role}", "oracle")),
    )
    assert response.choices[0].message.content == "The final"
    outputs = response.custom_outputs
    assert (outputs["answered_by"], outputs["fallback"]) == ("judge", False)
    assert [role["state"] for role in outputs["roles"]] == ["answered", "answered"]


def test_usage_is_that_of_all_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, gemini=["A draft here"], openai=["The final"])
    response = ask(loaded(PanelAgent, CONFIG))
    roles = response.custom_outputs["roles"]
    assert response.usage.completion_tokens == 3 + 2
    assert response.usage.prompt_tokens == sum(role["prompt_tokens"] for role in roles)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        pytest.param(RefusedBySafety("No.", provider="openai"), "refused_by_safety", id="refused"),
        pytest.param(
            [TextDelta("Half"), StreamInterrupted("Gone.", provider="openai")],
            "stream_interrupted",
            id="broken-off",
        ),
        pytest.param([Finished("stop")], "empty", id="empty"),
        pytest.param([TextDelta("Cut o"), Finished("length")], "cut_off", id="cut-off"),
        pytest.param([TextDelta("B"), Finished("safety")], "refused_by_safety", id="filtered"),
    ],
)
def test_a_failing_judge_leaves_the_oracles_answer_and_says_so(
    monkeypatch: pytest.MonkeyPatch, failure: Script, reason: str
) -> None:
    scripted(monkeypatch, gemini=["The draft"], openai=[failure])
    response = ask(loaded(PanelAgent, CONFIG))
    assert response.choices[0].message.content == "The draft"
    assert response.choices[0].finish_reason == "stop"
    outputs = response.custom_outputs
    assert (outputs["answered_by"], outputs["fallback"]) == ("oracle", True)
    judge = outputs["roles"][1]
    assert (judge["state"], judge["reason"]) == ("failed", reason)
    assert judge["error"]


def test_a_failing_oracle_fails_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = RefusedBySafety("No.", provider="gemini")
    asked = scripted(monkeypatch, gemini=[failure], openai="never")
    with pytest.raises(AgentFailed, match="No") as raised:
        ask(loaded(PanelAgent, CONFIG))
    assert isinstance(raised.value.error, ProviderError)
    assert asked["openai"].requests == []


def test_a_role_after_a_failed_one_works_on_the_last_good_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roles = [
        {"name": "writer", "model": "gemini:a"},
        {"name": "critic", "model": "openai:b"},
        {"name": "editor", "model": "anthropic:c"},
    ]
    broken = RefusedBySafety("No.", provider="openai")
    asked = scripted(monkeypatch, gemini=["Draft"], openai=[broken], anthropic=["Edited"])
    response = ask(loaded(PanelAgent, {"roles": roles, "tracing": False}))
    assert "draft by the writer" in asked["anthropic"].requests[0].messages[-1].content
    assert response.choices[0].message.content == "Edited"
    assert response.custom_outputs["fallback"] is True


def test_a_stream_brings_the_finished_answer_only(monkeypatch: pytest.MonkeyPatch) -> None:
    busy: list[Step] = [TextDelta("Half"), StreamInterrupted("Gone.", provider="openai")]
    scripted(monkeypatch, gemini=["The draft"], openai=[busy])
    agent = loaded(PanelAgent, CONFIG)
    chunks = list(
        agent.predict_stream(context(CONFIG), [ChatMessage("user", "Why?")], ChatParams())
    )
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "The draft"
    assert chunks[-1].custom_outputs["fallback"] is True
    assert chunks[-1].usage.total_tokens > 0


def test_nothing_leaks_between_requests_of_eight_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(8)

    def draft(request: Request) -> Script:
        together.wait(PATIENCE)
        return f"draft of {request.messages[0].content}"

    def final(request: Request) -> Script:
        together.wait(PATIENCE)
        question, answer, _ = request.messages
        return f"{question.content}: {answer.content}"

    scripted(monkeypatch, gemini=draft, openai=final)
    agent = loaded(PanelAgent, CONFIG)
    questions = [f"Q{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda q: ask(agent, q), questions))
    for question, response in zip(questions, answers, strict=True):
        assert response.choices[0].message.content == f"{question}: draft of {question}"
        assert len(response.custom_outputs["roles"]) == 2


def test_every_role_and_every_assembly_is_a_span(
    monkeypatch: pytest.MonkeyPatch, mlflow_home: Path
) -> None:
    broken = Overloaded("Too busy today.", provider="openai")
    monkeypatch.setenv("LLMFLOWLAB_MAX_TRIES", "1")
    scripted(monkeypatch, gemini=["The draft"], openai=[broken])
    with traces_in(mlflow_home):
        ask(loaded(PanelAgent, {**CONFIG, "tracing": True}))
        trace = last_trace()
    assert tree(trace) == {
        "panel_agent": [
            "conversation for oracle",
            "oracle",
            "conversation for judge",
            "judge",
            "answer",
        ]
    }
    spans = {span.name: span for span in trace.data.spans}
    assert spans["judge"].status.status_code == "ERROR"
    assert known(spans["judge"].get_attribute("error")).startswith("Too busy today.")
    assert spans["answer"].get_attribute("fallback") is True
    assert spans["answer"].outputs == "The draft"
    assert spans["conversation for judge"].outputs[-1]["role"] == "user"
    assert str(trace.info.state).endswith("OK")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        pytest.param({"roles": []}, "at least one", id="no-roles"),
        pytest.param({"roles": [{"name": "a"}]}, "name and a model", id="no-model"),
        pytest.param({"roles": [{"name": "a", "model": "gemini"}]}, "needs one", id="bare-model"),
        pytest.param(
            {"roles": [{"name": "a", "model": "gemini:x"}, {"name": "a", "model": "gemini:y"}]},
            "two roles",
            id="twice",
        ),
        pytest.param(
            {"roles": [{"name": "a", "model": "gemini:x", "temprature": 1}]},
            "temprature",
            id="typo",
        ),
        pytest.param({"role": []}, "no 'role'", id="unknown-key"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_at_load(
    config: dict[str, Any], words: str
) -> None:
    with pytest.raises(AgentFailed, match=words) as raised:
        loaded(PanelAgent, config)
    assert isinstance(raised.value.error, InputError)
