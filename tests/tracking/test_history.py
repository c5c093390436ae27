from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from llmflowlab.errors import TrackingError
from llmflowlab.history.overview import (
    load_evaluations,
    load_records,
    load_sessions,
    read_records,
)
from llmflowlab.settings import Settings
from llmflowlab.tracking.session_index import SessionIndex
from llmflowlab.tracking.sinks.local_files import LocalRecords
from llmflowlab.tracking.store import open_store
from tests.patience import PATIENCE
from tests.tracking.conftest import MakeDelivery
from tests.tracking.helpers import CANDIDATE, Stored, record, settings_for, start, turn


def test_a_fresh_home_has_no_history(settings: Settings) -> None:
    assert load_sessions(settings) == []
    assert load_evaluations(settings) == []
    assert load_records(settings, "gemini") == []
    assert list(settings.home.iterdir()) == []


def test_own_sessions_are_listed_oldest_first(lab: Settings, deliver: MakeDelivery) -> None:
    delivery = deliver()
    late = record(lab, delivery, turn(0), session=start(started="2026-11-20 12:00:00"))
    early = record(lab, delivery, turn(0), turn(1), session=start(started="2026-11-20 11:00:00"))
    assert delivery.wait(PATIENCE)
    sessions = load_sessions(lab)
    assert [s.session_id for s in sessions] == [early.session_id, late.session_id]
    assert sessions[0].cost == Decimal("0.0002")
    assert sessions[0].run_id == delivery.run_id(early.session_id)
    assert {s.source for s in sessions} == {"local"}
    assert sessions[0].reference == "gemini:gemini-2.5-flash"


def test_sessions_of_another_home_are_read_from_the_store(
    lab: Settings, deliver: MakeDelivery, tmp_path: Path
) -> None:
    delivery = deliver()
    record(lab, delivery, turn(0), turn(1, cost_usd=None))
    assert delivery.wait(PATIENCE)
    (here,) = load_sessions(lab)
    other = tmp_path / "other"
    other.mkdir()
    (there,) = load_sessions(settings_for(other, MLFLOW_TRACKING_URI=lab.tracking_uri))
    assert there.source == "tracking"
    assert there.session_id == here.session_id
    assert there.provider == "gemini"
    assert there.model_id == "gemini-2.5-flash"
    assert (there.turns, there.total_tokens, there.cost) == (2, 60, None)
    assert there.avg_inference_time == pytest.approx(here.avg_inference_time)


def test_records_of_another_home_are_read_from_its_runs(
    lab: Settings, deliver: MakeDelivery, tmp_path: Path
) -> None:
    delivery = deliver()
    one, two = turn(0, answer="x" * 5000), turn(1)
    record(lab, delivery, one, two)
    assert delivery.wait(PATIENCE)
    (tmp_path / "other").mkdir()
    other = settings_for(tmp_path / "other", MLFLOW_TRACKING_URI=lab.tracking_uri)
    there = load_records(other, "gemini")
    assert [r["trace_id"] for r in there] == [one.trace_id, two.trace_id]
    assert there[0]["answer"] == "x" * 5000
    assert load_records(other, "ollama") == []
    assert load_records(lab, "gemini") == there


def test_records_of_this_home_are_shown_though_the_store_is_away(settings: Settings) -> None:
    away = settings_for(settings.home, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    LocalRecords(away).add_turns(CANDIDATE, [turn(0)], run_id=None)
    said: list[str] = []
    assert len(load_records(away, "gemini", on_notice=said.append)) == 1
    assert len(said) == 1
    assert "does not answer" in said[0]
    with pytest.raises(TrackingError):
        load_records(away, "gemini")


def test_deleted_runs_are_not_shown(lab: Settings, deliver: MakeDelivery) -> None:
    delivery = deliver()
    record(lab, delivery, turn(0))
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    gone = stored.runs()[0].info.run_id
    stored.client.delete_run(gone)
    (left,) = load_sessions(lab)
    assert left.run_id != gone


def test_a_session_that_still_runs_elsewhere_is_not_counted_yet(lab: Settings) -> None:
    store = open_store(lab)
    run = store.client.create_run(store.experiment_id("LLMS_Text_Generation"))
    store.client.log_param(run.info.run_id, "model_name", "Gemini")
    assert load_sessions(lab) == []


def test_unreadable_lines_of_the_index_are_counted_not_fatal(
    lab: Settings, deliver: MakeDelivery
) -> None:
    delivery = deliver()
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    with SessionIndex(lab).path.open("ab") as file:
        file.write(b"garbage\n[]\n")
    said: list[str] = []
    assert len(load_sessions(lab, on_notice=said.append)) == 1
    assert said == ["2 lines of the index of sessions could not be read."]


def test_evaluations_are_read_with_what_is_unknown_left_unknown(lab: Settings) -> None:
    store = open_store(lab)
    experiment = store.experiment_id("LLMS_Evaluation")
    parent = store.client.create_run(experiment, tags={"llmflowlab.evaluation_id": "e1"})
    run = store.client.create_run(
        experiment,
        tags={
            "llmflowlab.evaluation_id": "e1",
            "llmflowlab.model": "ollama:llama3.2",
            "llmflowlab.prompt": "",
            "llmflowlab.dataset": "benchmark",
            "llmflowlab.dataset_digest": "abc",
        },
    )
    run_id = run.info.run_id
    metrics = {
        "rows": 8,
        "answered": 7,
        "latency/mean": 1.5,
        "contains/mean": 0.5,
        "contains/coverage": 0.75,
        "contains/ci_low": 0.2,
        "contains/ci_high": 0.8,
        "correctness/coverage": 0.0,
    }
    for name, value in metrics.items():
        store.client.log_metric(run_id, name, value)
    store.client.set_terminated(run_id)
    store.client.set_terminated(parent.info.run_id)
    (found,) = load_evaluations(lab)
    assert found.evaluation_id == "e1"
    assert (found.model, found.provider, found.prompt) == ("ollama:llama3.2", "ollama", None)
    assert (found.dataset, found.digest) == ("benchmark", "abc")
    assert (found.rows, found.answered, found.cost, found.latency) == (8, 7, None, 1.5)
    assert found.finished is not None
    assert found.scores == {
        "contains": {"mean": 0.5, "coverage": 0.75, "ci_low": 0.2, "ci_high": 0.8, "scored": 6.0},
        "correctness": {
            "mean": None,
            "coverage": 0.0,
            "ci_low": None,
            "ci_high": None,
            "scored": 0.0,
        },
    }


def test_records_are_read_back_and_odd_entries_counted(settings: Settings) -> None:
    settings.artifacts_dir.mkdir()
    file = settings.artifacts_dir / "gemini_artifacts.json"
    file.write_text('[{"prompt": "a"}, 7, {"prompt": "b"}]', encoding="utf-8")
    assert [r["prompt"] for r in load_records(settings, "gemini")] == ["a", "b"]
    assert read_records(settings, "gemini").unreadable == 1


@pytest.mark.parametrize("content", ["{", "{}"], ids=["no-json", "no-array"])
def test_a_record_file_that_cannot_be_read_is_one_clear_sentence(
    settings: Settings, content: str
) -> None:
    settings.artifacts_dir.mkdir()
    (settings.artifacts_dir / "gemini_artifacts.json").write_text(content, encoding="utf-8")
    with pytest.raises(TrackingError, match=r"gemini_artifacts\.json"):
        load_records(settings, "gemini")


@pytest.mark.parametrize("content", [b"no database at all " * 100, b""], ids=["garbage", "empty"])
def test_a_file_that_is_no_mlflow_database_is_not_a_crash(
    settings: Settings, content: bytes
) -> None:
    (settings.home / "mlflow.db").write_bytes(content)
    if content:
        with pytest.raises(TrackingError, match="cannot be read"):
            load_sessions(settings)
    else:
        assert load_sessions(settings) == []


def test_reading_the_history_of_a_home_imports_no_mlflow(mlflow_home: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.tracking.helpers import settings_for\n"
        "from llmflowlab.history.overview import load_evaluations, load_sessions\n"
        "s = settings_for(Path(sys.argv[1]))\n"
        "load_sessions(s), load_evaluations(s)\n"
        "import llmflowlab.tracking.chat_recorder, llmflowlab.agents.package\n"
        "print([m for m in ('mlflow', 'pandas', 'pydantic', 'requests') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(mlflow_home)],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]"
