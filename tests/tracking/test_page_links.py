from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND

from llmflowlab.settings import Settings
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.page_links import candidate_note, note_of
from tests.known import known
from tests.patience import PATIENCE
from tests.tracking.conftest import MakeDelivery
from tests.tracking.helpers import CANDIDATE, Stored, record, start, turn


def test_a_description_names_model_prompt_and_parameters() -> None:
    candidate = replace(CANDIDATE, prompt="brief@3", variant="system 2")
    note = candidate_note(candidate)
    assert note.startswith("`gemini:gemini-2.5-flash` (Google) · prompt `brief@3` · system 2 · ")
    assert "temperature 0.2" in note
    assert note.endswith("> Be brief.")


def test_a_description_that_is_too_long_ends_at_a_line() -> None:
    (text,) = note_of("first\n" + "a line\n" * 1000).values()
    assert len(text) <= 5000
    assert text.endswith("a line\n…")


def test_a_session_leads_from_run_to_model_prompt_and_traces(
    lab: Settings, deliver: MakeDelivery, package: ModelPackage
) -> None:
    candidate = replace(CANDIDATE, prompt="brief@3")
    delivery = deliver(package=package)
    record(lab, delivery, turn(0), turn(1), session=start(candidate))
    record(lab, delivery, turn(0), session=start(candidate))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    runs = stored.runs()
    models = {run.outputs.model_outputs[0].model_id for run in runs}
    (model_id,) = models
    model = stored.client.get_logged_model(model_id)
    assert "gemini-2.5-flash" in model.tags["mlflow.note.content"]
    assert {m.run_id for m in known(model.metrics) if m.key == "turns"} == {
        r.info.run_id for r in runs
    }
    for run in runs:
        assert "gemini:gemini-2.5-flash" in run.data.tags["mlflow.note.content"]
        assert run.data.tags["mlflow.linkedPrompts"] == '[{"name": "brief", "version": "3"}]'
    traces = stored.traces()
    assert {trace.info.trace_metadata["mlflow.modelId"] for trace in traces} == {model_id}
    found = stored.client.search_traces(
        locations=[runs[0].info.experiment_id], filter_string="prompt = 'brief/3'"
    )
    assert len(found) == len(traces) == 3


def test_a_server_without_logged_models_gets_the_session_and_it_is_said_once(
    lab: Settings,
    deliver: MakeDelivery,
    package: ModelPackage,
    notices: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*args: Any, **kwargs: Any) -> None:
        raise MlflowException("failed with error code 404 != 200", error_code=ENDPOINT_NOT_FOUND)

    monkeypatch.setattr(MlflowClient, "search_logged_models", unknown)
    delivery = deliver(package=package)
    record(lab, delivery, turn(0))
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE), notices
    assert [run.info.status for run in Stored(lab).runs()] == ["FINISHED"] * 2
    assert len([text for text in notices if "too old for logged models" in text]) == 1
