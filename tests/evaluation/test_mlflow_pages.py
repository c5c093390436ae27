"""What a person finds on MLflow's pages of an evaluation, and that each page leads to the next."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND

from llmflowlab.candidate import Candidate
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import repair
from llmflowlab.settings import load_settings
from llmflowlab.tracking.datasets import dataset_evaluated, list_registered, register_dataset
from llmflowlab.tracking.store import open_store
from tests.evaluation.helpers import TableModel, bench, dataset, plan, spec
from tests.known import known

ANSWERS = {"France": "Paris", "2 + 2": "4"}


@pytest.fixture
def settings(mlflow_home):
    return load_settings({}, cwd=mlflow_home, stdin_is_terminal=False)


@pytest.fixture
def ledger(settings):
    opened = Ledger(settings.state_dir / "evaluations.db")
    yield opened
    opened.close()


def evaluate(settings, ledger, tmp_path, *candidates: Candidate, id_: str, harness: str = "fast"):
    models = [TableModel(c.model_id, settings, ANSWERS) for c in candidates]
    asked = plan(
        dataset(tmp_path),
        candidates=candidates,
        scorers=("exact_match", "contains"),
        evaluation_id=id_,
    )
    return run_evaluation(asked, bench(settings, models, ledger, tmp_path, harness=harness))


def run_of(store, run_id: str | None) -> Any:
    return store.client.get_run(known(run_id))


def traces_of(store, run: Any) -> list[Any]:
    return list(
        store.tracing.search_traces(
            locations=[run.info.experiment_id], run_id=run.info.run_id, max_results=100
        )
    )


def test_two_deployments_of_a_provider_are_told_apart_and_the_parent_says_who_won(
    settings, ledger, tmp_path
):
    one, two = spec("table:gpt-4.1/eu"), spec("table:gpt-4.1/us")
    result = evaluate(settings, ledger, tmp_path, one, two, id_="20260101-000000-aaaa")
    assert (result.problems, result.notes) == ((), ())
    store = open_store(settings)
    parent = run_of(store, result.parent_run_id)
    runs = [run_of(store, candidate.run_id) for candidate in result.candidates]
    assert {run.info.run_name for run in runs} == {"Eval_Table_small"}
    for candidate, run in zip((one, two), runs, strict=True):
        assert candidate.model in run.data.tags["mlflow.note.content"]
        assert run.data.tags["llmflowlab.model"] == candidate.model
        (linked,) = run.inputs.model_inputs
        model = store.client.get_logged_model(linked.model_id)
        assert model.params["model"] == candidate.model
        assert candidate.model in model.tags["mlflow.note.content"]
        figures = {m.key: m for m in known(model.metrics)}
        assert figures["exact_match/mean"].value == run.data.metrics["exact_match/mean"]
        assert figures["exact_match/mean"].dataset_name == "small"
        named = [t.info.trace_metadata["mlflow.modelId"] for t in traces_of(store, run)]
        assert named == [linked.model_id] * 4
    assert [i.dataset.name for i in parent.inputs.dataset_inputs] == ["small"]
    assert parent.data.metrics["contains/mean/table:gpt-4.1-eu"] == pytest.approx(2 / 3)
    assert parent.data.metrics["contains/mean/table:gpt-4.1-us"] == pytest.approx(2 / 3)
    assert "recommended" in parent.data.tags["llmflowlab.conclusion"]
    note = parent.data.tags["mlflow.note.content"]
    assert "recommended" in note
    assert "| candidate |" in note
    # Lists show the newest first and take their columns from there: from the candidates.
    assert parent.info.start_time < min(run.info.start_time for run in runs)


def test_an_evaluation_of_one_has_the_conclusion_in_its_own_run(settings, ledger, tmp_path):
    result = evaluate(settings, ledger, tmp_path, spec(), id_="20260101-000000-aaaa")
    run = run_of(open_store(settings), result.candidates[0].run_id)
    assert run.data.tags["mlflow.note.content"].startswith("`table:one` (Tests)")
    assert "| candidate |" in run.data.tags["mlflow.note.content"]
    assert run.data.tags["llmflowlab.conclusion"]


def test_a_second_evaluation_and_a_repair_find_the_first_ones_dataset_and_model(
    settings, ledger, tmp_path
):
    first, second = "20260101-000000-aaaa", "20260101-000001-bbbb"
    evaluate(settings, ledger, tmp_path, spec(), id_=first)
    evaluate(settings, ledger, tmp_path, spec(), id_=second)
    assert repair(ledger, settings, second, tick=lambda: None).problems == ()
    store = open_store(settings)
    experiment = store.experiment_id("LLMS_Evaluation")
    (model,) = store.client.search_logged_models([experiment])
    assert len({metric.run_id for metric in known(model.metrics)}) == 2
    (kept,) = store.client.search_datasets(experiment_ids=[experiment])
    assert kept.name.startswith("small-")
    records = store.client.get_dataset(kept.dataset_id).records
    assert {r.inputs["question"] for r in records} >= {"What is 2 + 2?"}
    assert len(records) == 4
    # It is what was evaluated, and no version that anybody registered.
    assert list_registered(settings) == []


def test_a_registered_version_is_the_dataset_of_evaluations_that_ask_it(settings, ledger, tmp_path):
    version, _ = register_dataset(settings, dataset(tmp_path))
    result = evaluate(settings, ledger, tmp_path, spec(), id_="20260101-000000-aaaa")
    run = run_of(open_store(settings), result.candidates[0].run_id)
    (linked,) = run.inputs.dataset_inputs
    assert version.dataset_id in linked.dataset.source


def test_a_dataset_that_was_cut_off_is_gone_on_with(settings, tmp_path, monkeypatch):
    data, store = dataset(tmp_path), open_store(settings)

    class Killed(BaseException):
        pass

    def kill(*args: Any, **kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_dataset_tags", kill)
        with pytest.raises(Killed):
            dataset_evaluated(settings, store, data)
    kept = dataset_evaluated(settings, store, data)
    assert dataset_evaluated(settings, store, data) == kept
    experiment = store.experiment_id("LLMS_Evaluation")
    (only,) = store.client.search_datasets(experiment_ids=[experiment])
    assert only.dataset_id == kept
    assert len(store.client.get_dataset(kept).records) == 4


def test_a_prompt_of_the_registry_leads_to_run_model_and_traces(settings, ledger, tmp_path):
    store = open_store(settings)
    store.client.register_prompt("brief", "Be brief.")
    told = Candidate(
        model="table:one",
        display_name="Table",
        supplier="Tests",
        system="Be brief.",
        prompt="brief@1",
    )
    result = evaluate(settings, ledger, tmp_path, told, id_="20260101-000000-aaaa")
    run = run_of(store, result.candidates[0].run_id)
    linked = '[{"name": "brief", "version": "1"}]'
    assert run.data.tags["mlflow.linkedPrompts"] == linked
    model = store.client.get_logged_model(run.inputs.model_inputs[0].model_id)
    assert model.tags["mlflow.linkedPrompts"] == linked
    found = store.client.search_traces(
        locations=[run.info.experiment_id], filter_string="prompt = 'brief/1'"
    )
    assert {t.info.trace_id for t in found} == {t.info.trace_id for t in traces_of(store, run)}
    assert len(found) == 4


def test_an_older_server_gets_all_but_what_it_does_not_know_and_it_is_said_once(
    settings, ledger, tmp_path, monkeypatch
):
    def unknown(*args: Any, **kwargs: Any) -> None:
        raise MlflowException("failed with error code 404 != 200", error_code=ENDPOINT_NOT_FOUND)

    for name in ("search_datasets", "search_logged_models", "create_logged_model"):
        monkeypatch.setattr(MlflowClient, name, unknown)
    # In this process, where the store can be made older.
    result = evaluate(
        settings, ledger, tmp_path, spec(), id_="20260101-000000-aaaa", harness="mlflow"
    )
    assert result.problems == ()
    (note,) = result.notes
    assert "too old for evaluation datasets, logged models" in note
    run = run_of(open_store(settings), result.candidates[0].run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["contains/mean"] == pytest.approx(2 / 3)
    assert [i.dataset.source_type for i in run.inputs.dataset_inputs][:1] == ["local"]
