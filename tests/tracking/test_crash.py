"""Whatever is killed, wherever: everything arrives, and arrives once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.messages import Parameters
from llmflowlab.settings import Settings
from llmflowlab.tracking import aliases
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.cursors import Cursors
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.journal import Journal, journal_path, read_journal
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.registry_changes import ModelRegistry
from llmflowlab.tracking.session_index import SessionIndex
from llmflowlab.tracking.sinks.local_files import LocalRecords
from llmflowlab.tracking.sinks.mlflow import MlflowSink
from tests.known import known
from tests.patience import PATIENCE
from tests.tracking.conftest import MakeDelivery
from tests.tracking.helpers import CANDIDATE, Stored, rating, record, start, turn
from tests.warm import warm

_CHILD = """
import os, signal, sys
from pathlib import Path
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.chat_recorder import ChatRecorder
from tests.patience import PATIENCE
from tests.tracking.helpers import rating, settings_for, start, turn

settings, point = settings_for(Path(sys.argv[1])), sys.argv[2]
kill = lambda *args, **kwargs: os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
delivery = Delivery(settings)
if point == "delivery":
    from llmflowlab.tracking.sinks.mlflow import MlflowSink
    MlflowSink._write_steps = kill
    delivery.start()
recorder = ChatRecorder(settings, start(), lambda: delivery)
first = turn(0)
recorder.record_turn(first)
if point == "first-turn":
    kill()
recorder.record_turn(turn(1))
if point == "second-turn":
    kill()
recorder.record_rating(rating(first))
if point == "rating":
    kill()
recorder.close()
if point == "delivery":
    delivery.wait(PATIENCE)
kill()
"""


@pytest.mark.parametrize(
    ("point", "turns", "ratings", "crashed"),
    [
        pytest.param("first-turn", 1, 0, True, id="after-the-first-turn"),
        pytest.param("second-turn", 2, 0, True, id="after-the-second-turn"),
        pytest.param("rating", 2, 1, True, id="after-a-rating"),
        pytest.param("end", 2, 1, False, id="after-the-end"),
        pytest.param("delivery", 2, 1, False, id="in-the-middle-of-delivery"),
    ],
)
def test_after_a_kill_the_next_start_finishes_the_run(
    lab: Settings, deliver: MakeDelivery, point: str, turns: int, ratings: int, crashed: bool
) -> None:
    root = Path(__file__).parents[2]
    child = subprocess.run(
        warm([sys.executable, "-c", _CHILD, str(lab.home), point]),
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        timeout=PATIENCE,
    )
    assert child.returncode != 0
    (journal,) = lab.journals_dir.glob("*.jsonl")
    left = read_journal(journal)
    if point == "delivery":
        # How far the session had come when the delivery was killed is a race by nature.
        turns, ratings, crashed = len(left.turns), len(left.ratings), not left.ended
        assert turns >= 1
    delivery = deliver()
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    run = stored.run()
    assert [s.turns for s in delivery.recovered] == ([turns] if crashed else [])
    assert run.info.status == ("KILLED" if crashed else "FINISHED")
    assert run.data.tags.get("llmflowlab.interrupted") == ("true" if crashed else None)
    assert run.data.metrics["turns"] == turns
    assert len(stored.traces()) == turns
    assert sum(len(trace.info.assessments) for trace in stored.traces()) == ratings
    assert list(lab.journals_dir.glob("*.jsonl")) == []


class _Killed(BaseException):
    """Stands for `kill -9` at one call: nothing after it happens, nothing is cleaned up."""


_POINTS: list[Any] = [
    pytest.param(LocalRecords, "add_turns", id="artifact-file"),
    pytest.param(MlflowSink, "open", id="opened"),
    pytest.param(MlflowSink, "_create_run", id="run"),
    pytest.param(MlflowSink, "_describe", id="parameters"),
    pytest.param(MlflowSink, "_write_traces", id="traces"),
    pytest.param(MlflowSink, "_write_steps", id="metric-steps"),
    pytest.param(MlflowSink, "_write_totals", id="totals"),
    pytest.param(MlflowSink, "_log_records", id="run-artifact"),
    pytest.param(ModelRegistry, "_logged_model", id="logged-model"),
    pytest.param(ModelRegistry, "_create", id="version"),
    pytest.param(aliases, "set_stage", id="stage"),
    pytest.param(ModelRegistry, "register", id="registered"),
    pytest.param(SessionIndex, "add", id="index"),
    pytest.param(MlflowSink, "close", id="finished"),
    pytest.param(Cursors, "save", id="cursors"),
    pytest.param(Journal, "delete", id="journal"),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("owner", "name"), _POINTS)
def test_a_delivery_cut_off_at_any_step_is_completed_by_the_next(
    lab: Settings,
    deliver: MakeDelivery,
    package: ModelPackage,
    monkeypatch: pytest.MonkeyPatch,
    notices: list[str],
    owner: type,
    name: str,
    when: str,
) -> None:
    session, turns = start(), [turn(0), turn(1)]
    cut_off = Delivery(lab, package=package)
    recorder = ChatRecorder(lab, session, lambda: cut_off)
    for one in turns:
        recorder.record_turn(one)
    recorder.record_rating(rating(turns[0]))
    recorder.close()
    real = getattr(owner, name)

    def kill(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            real(*args, **kwargs)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill)
        # In this thread, and straight at the step: a real kill would take the test with it.
        with pytest.raises(_Killed):
            cut_off.deliver_once()
    # The system releases a dead process's locks.
    for left in cut_off._outbox.sessions():
        left.journal.release()

    delivery = deliver(package=package)
    assert delivery.wait(PATIENCE), notices
    _assert_exactly_once(lab, session.session_id, [one.trace_id for one in turns])
    assert list(lab.journals_dir.iterdir()) == []


def _assert_exactly_once(lab: Settings, session_id: str, trace_ids: list[str]) -> None:
    stored = Stored(lab)
    run = stored.run()
    assert run.info.status == "FINISHED"
    assert run.data.tags["llmflowlab.session_id"] == session_id
    assert run.data.metrics["turns"] == 2
    assert [trace.info.trace_id for trace in stored.traces()] == trace_ids
    assert [len(trace.info.assessments) for trace in stored.traces()] == [1, 0]
    assert [len(trace.data.spans) for trace in stored.traces()] == [1, 1]
    (output,) = run.outputs.model_outputs
    named = [trace.info.trace_metadata["mlflow.modelId"] for trace in stored.traces()]
    assert named == [output.model_id] * 2
    figures = stored.client.get_logged_model(output.model_id).metrics
    assert [m.value for m in known(figures) if m.key == "total_tokens"] == [60.0]
    steps = stored.history(run.info.run_id, "turn_inference_time")
    assert steps == [(0, 2.0), (1, 3.0)]
    totals = stored.client.get_metric_history(run.info.run_id, "total_tokens")
    assert [m.value for m in totals] == [60.0]
    records = json.loads((lab.artifacts_dir / "gemini_artifacts.json").read_text("utf-8"))
    assert Counter(r["trace_id"] for r in records) == Counter(trace_ids)
    assert {r["run_id"] for r in records} == {run.info.run_id}
    (version,) = stored.versions()
    assert version.current_stage == "Staging"
    assert run.data.tags["llmflowlab.model_version"] == str(version.version)
    aliased = stored.client.get_model_version_by_alias("llm_gemini_chat", "staging")
    assert aliased.version == version.version
    (indexed,) = SessionIndex(lab).load().sessions
    assert indexed.run_id == run.info.run_id


def test_a_torn_journal_is_delivered_up_to_its_last_whole_line(
    lab: Settings, deliver: MakeDelivery
) -> None:
    session = start()
    journal = Journal(journal_path(lab.journals_dir, session.session_id))
    assert journal.acquire()
    journal.append("start", session)
    journal.append("turn", turn(0))
    journal.append("turn", turn(1))
    journal.path.write_bytes(journal.path.read_bytes()[:-9])
    journal.release()
    delivery = deliver()
    assert delivery.wait(PATIENCE)
    assert [s.turns for s in delivery.recovered] == [1]
    assert len(Stored(lab).traces()) == 1


def test_a_session_of_another_model_meanwhile_does_not_cost_the_run_its_version(
    lab: Settings,
    deliver: MakeDelivery,
    package: ModelPackage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_off = Delivery(lab, package=package)
    record(lab, cut_off, turn(0))

    def kill(*args: Any, **kwargs: Any) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(aliases, "set_stage", kill)
        with pytest.raises(_Killed):
            cut_off.deliver_once()
    # The dead session's journal is still locked: another one is delivered first.
    other = deliver(package=package)
    record(
        lab,
        other,
        turn(0),
        session=start(replace(CANDIDATE, parameters=Parameters(temperature=1.5))),
    )
    assert other.wait(PATIENCE)
    for left in cut_off._outbox.sessions():
        left.journal.release()
    assert deliver(package=package).wait(PATIENCE)
    stored = Stored(lab)
    first, second = stored.versions()
    assert second.current_stage == "Staging"
    assert first.current_stage != "Staging"
    assert sorted(run.data.tags["llmflowlab.model_version"] for run in stored.runs()) == ["1", "2"]
