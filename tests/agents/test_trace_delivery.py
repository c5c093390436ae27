"""Traces of agents: where they go, that they get there, and that what is lost is counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracing.client import TracingClient

from llmflowlab.agents import trace_delivery
from llmflowlab.agents.chat_agent import ChatAgent
from llmflowlab.agents.config import candidate_config
from llmflowlab.agents.logged import EXPERIMENT, log_agent
from llmflowlab.agents.steps import begin
from llmflowlab.settings import Settings
from tests.agents.helpers import CONFIG, loaded, scripted, traces_in

ASKED = {"messages": [{"role": "user", "content": "What is a judge?"}]}


@pytest.fixture(autouse=True)
def fresh(mlflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(trace_delivery, "_delivery", trace_delivery._Delivery())
    with traces_in(mlflow_home):
        yield


def request(name: str = "request") -> None:
    with begin(name, {}, traced=True) as step, step.step("inner", "CHAIN"):
        pass


def stored(experiment: str) -> list[Any]:
    found = mlflow.MlflowClient().get_experiment_by_name(experiment)
    assert found is not None
    return mlflow.search_traces(locations=[found.experiment_id], return_type="list")


def test_a_served_models_traces_go_to_its_own_experiment_and_name_it(settings: Settings) -> None:
    logged = log_agent(settings, "chat", candidate_config("guide:docs"), name="desk")
    before = {trace.info.trace_id for trace in stored(EXPERIMENT)}
    mlflow.pyfunc.load_model(logged.uri).predict(ASKED)
    trace_delivery.flush()
    (trace,) = [each for each in stored(EXPERIMENT) if each.info.trace_id not in before]
    assert trace.info.trace_metadata["mlflow.modelId"] == logged.model_id


def test_an_experiment_that_the_environment_names_goes_before(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = log_agent(settings, "chat", candidate_config("guide:docs"), name="desk")
    mlflow.MlflowClient().create_experiment("Mine")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "Mine")
    mlflow.pyfunc.load_model(logged.uri).predict(ASKED)
    trace_delivery.flush()
    assert len(stored("Mine")) == 1


def test_what_ended_is_looked_for_in_the_store() -> None:
    for _ in range(3):
        request()
    count = trace_delivery.flush()
    assert (count.ended, count.stored, count.lost, count.sentence) == (3, 3, 0, None)


def test_a_trace_that_the_store_refused_is_counted_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request()
    trace_delivery.flush()

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise MlflowException("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(TracingClient, "start_trace", refuse)
        patch.setattr(TracingClient, "log_spans", refuse)
        request()
        request()
        count = trace_delivery.flush()
    assert (count.ended, count.stored, count.lost) == (3, 1, 2)
    assert count.sentence == "2 of 3 traces did not reach MLflow."


def test_what_cannot_be_looked_for_is_unknown_and_found_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request()

    def away(*args: Any, **kwargs: Any) -> Any:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "search_traces", away)
        count = trace_delivery.flush()
    assert (count.lost, count.unknown) == (0, 1)
    assert "1 could not be looked for" in str(count.sentence)
    assert trace_delivery.flush().sentence is None


def test_requests_empty_the_queue_before_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_delivery, "_MOST_SPANS", 4)
    for _ in range(4):
        request()
    assert trace_delivery._delivery._settled.wait(60)
    # It was there when the fourth span began.
    assert trace_delivery._delivery._stored >= 1
    assert trace_delivery.flush().sentence is None


def test_a_loss_is_a_warning_when_the_process_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    request()
    monkeypatch.setattr(trace_delivery, "_stored", lambda experiment, waiting: 0)
    with caplog.at_level(logging.WARNING, logger="llmflowlab.agents.trace_delivery"):
        trace_delivery._delivery._at_exit()
    assert "1 of 1 traces did not reach MLflow." in caplog.text


def test_a_load_opens_the_store_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, gemini=["Yes"])
    seen = []
    real = mlflow.MlflowClient.search_traces

    def search(self: Any, *args: Any, **named: Any) -> Any:
        seen.append(named["locations"])
        return real(self, *args, **named)

    monkeypatch.setattr(mlflow.MlflowClient, "search_traces", search)
    loaded(ChatAgent, {**CONFIG, "tracing": True})
    assert seen == [["0"]]
    assert mlflow.search_traces(locations=["0"], return_type="list") == []


def test_a_request_inside_the_callers_trace_is_not_counted_apart() -> None:
    with mlflow.start_span("caller"), begin("inner", {}, traced=True):
        pass
    assert trace_delivery.flush().ended == 0
