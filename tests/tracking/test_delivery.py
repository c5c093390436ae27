from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmflowlab.messages import Parameters
from llmflowlab.settings import Settings
from llmflowlab.tracking import lanes
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.cursors import Cursor
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.evaluation_runs import EvaluationRuns, RunSpec
from llmflowlab.tracking.journal import Journal, journal_path
from llmflowlab.tracking.lanes import Lane
from llmflowlab.tracking.session_index import SessionIndex
from llmflowlab.tracking.sessions import SessionSnapshot
from llmflowlab.tracking.sinks.mlflow import MlflowSink
from llmflowlab.tracking.store import open_store
from llmflowlab.tracking.store_errors import StoreBusy
from tests.patience import PATIENCE
from tests.tracking.conftest import MakeDelivery
from tests.tracking.helpers import (
    BEGIN_MS,
    CANDIDATE,
    Stored,
    failed_turn,
    rating,
    record,
    settings_for,
    start,
    turn,
)


def test_a_session_becomes_the_promised_run(lab: Settings, deliver: MakeDelivery) -> None:
    delivery = deliver()
    session = record(lab, delivery, turn(0), failed_turn(1), turn(2))
    assert delivery.wait(PATIENCE)
    run = Stored(lab).run()
    assert delivery.run_id(session.session_id) == run.info.run_id
    assert run.info.run_name == "Chat_Gemini"
    assert run.info.status == "FINISHED"
    assert run.info.start_time == BEGIN_MS
    assert run.data.params == {
        "model_name": "Gemini",
        "supplier": "Google",
        "task": "text-generation",
        "temperature": "0.2",
        "model_id": "gemini-2.5-flash",
        "model_version": "gemini-2.5-flash-001",
        "system_prompt": "Be brief.",
    }
    metrics = run.data.metrics
    assert metrics["avg_inference_time"] == pytest.approx(3.0)
    assert metrics["p50_inference_time"] == pytest.approx(3.0)
    assert metrics["p95_inference_time"] == pytest.approx(3.9)
    assert metrics["avg_time_to_first_token"] == pytest.approx(0.5)
    assert metrics["total_tokens"] == 60
    assert metrics["prompt_tokens"] == 20
    assert metrics["completion_tokens"] == 40
    assert metrics["total_cost_estimate"] == pytest.approx(0.0002)
    assert metrics["tokens_per_second"] == pytest.approx(40 / 6)
    assert (metrics["turns"], metrics["failed_turns"]) == (3, 1)
    assert run.data.tags["llmflowlab.session_id"] == session.session_id
    assert run.data.tags["llmflowlab.cost"] == "known"
    assert run.data.tags["llmflowlab.tokens"] == "reported"
    assert "llmflowlab.interrupted" not in run.data.tags
    assert Stored(lab).history(run.info.run_id, "turn_inference_time") == [(0, 2.0), (2, 4.0)]
    assert delivery.pending() == 0
    assert list(lab.journals_dir.iterdir()) == []


def test_every_turn_is_a_trace_that_mlflow_shows_as_a_chat(
    lab: Settings, deliver: MakeDelivery
) -> None:
    delivery = deliver()
    turns = [turn(0), failed_turn(1)]
    session = record(lab, delivery, *turns)
    assert delivery.wait(PATIENCE)
    good, bad = Stored(lab).traces()
    assert [good.info.trace_id, bad.info.trace_id] == [one.trace_id for one in turns]
    assert (good.info.state.value, bad.info.state.value) == ("OK", "ERROR")
    metadata = good.info.trace_metadata
    run_id = delivery.run_id(session.session_id)
    assert metadata["mlflow.sourceRun"] == run_id
    assert metadata["mlflow.trace.session"] == session.session_id
    assert json.loads(metadata["mlflow.trace.tokenUsage"])["total_tokens"] == 30
    assert json.loads(metadata["mlflow.trace.cost"])["total_cost"] == pytest.approx(0.0001)
    assert good.info.request_preview == turns[0].prompt
    assert good.info.response_preview == "Antwort 0"
    assert good.info.execution_duration == 2000
    (span,) = good.data.spans
    assert span.span_type == "CHAT_MODEL"
    assert span.inputs["messages"] == turns[0].messages
    message = span.outputs["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Antwort 0"}
    assert span.attributes["mlflow.llm.model"] == "gemini-2.5-flash-001"
    (broken,) = bad.data.spans
    assert broken.status.description == "Gemini is busy; try again in a minute."
    assert "mlflow.trace.cost" not in bad.info.trace_metadata
    assert "mlflow.trace.tokenUsage" not in bad.info.trace_metadata


def test_an_unknown_cost_is_no_metric_but_a_tag(lab: Settings, deliver: MakeDelivery) -> None:
    delivery = deliver()
    record(lab, delivery, turn(0), turn(1, cost_usd=None, tokens_estimated=True))
    assert delivery.wait(PATIENCE)
    run = Stored(lab).run()
    assert "total_cost_estimate" not in run.data.metrics
    assert run.data.tags["llmflowlab.cost"] == "unknown"
    assert run.data.tags["llmflowlab.unpriced_turns"] == "1 of 2"
    assert run.data.tags["llmflowlab.tokens"] == "mixed"


def test_a_free_model_costs_nothing_and_its_tokens_are_counted(
    lab: Settings, deliver: MakeDelivery
) -> None:
    delivery = deliver()
    guide = replace(CANDIDATE, model="guide:docs", display_name="Guide")
    record(
        lab, delivery, turn(0, cost_usd="0", tokens_estimated=True), session=start(candidate=guide)
    )
    assert delivery.wait(PATIENCE)
    run = Stored(lab).run()
    assert run.info.run_name == "Chat_Guide"
    assert run.data.metrics["total_cost_estimate"] == 0.0
    assert run.data.tags["llmflowlab.tokens"] == "counted"


def test_parameters_that_were_not_set_are_left_to_the_provider(
    lab: Settings, deliver: MakeDelivery
) -> None:
    delivery = deliver()
    bare = replace(CANDIDATE, parameters=Parameters(), system=None)
    record(lab, delivery, turn(0, model_version=None), session=start(candidate=bare))
    assert delivery.wait(PATIENCE)
    params = Stored(lab).run().data.params
    assert params["temperature"] == "default"
    assert {"system_prompt", "top_p", "max_tokens", "seed", "model_version"} & set(params) == set()


def test_a_long_system_prompt_is_kept_whole_as_a_file(lab: Settings, deliver: MakeDelivery) -> None:
    delivery = deliver()
    prompt = "Sei höflich. " * 1000
    record(lab, delivery, turn(0), session=start(replace(CANDIDATE, system=prompt)))
    assert delivery.wait(PATIENCE)
    run = Stored(lab).run()
    assert len(run.data.params["system_prompt"]) == 6000
    assert Stored(lab).artifacts(run.info.run_id)["system_prompt.txt"] == prompt


def test_the_run_holds_its_own_records_and_the_home_all_of_them(
    lab: Settings, deliver: MakeDelivery
) -> None:
    delivery = deliver()
    record(lab, delivery, turn(0))
    record(lab, delivery, turn(0), turn(1))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    sizes = set()
    for run in stored.runs():
        own = json.loads(stored.artifacts(run.info.run_id)["gemini_artifacts.json"])
        assert {r["run_id"] for r in own} == {run.info.run_id}
        sizes.add(len(own))
    assert sizes == {1, 2}
    everything = json.loads((lab.artifacts_dir / "gemini_artifacts.json").read_text("utf-8"))
    assert len(everything) == 3
    assert {r["run_id"] for r in everything} == {run.info.run_id for run in stored.runs()}
    assert {s.run_id for s in SessionIndex(lab).load().sessions} == {
        run.info.run_id for run in stored.runs()
    }


def test_a_rating_is_human_feedback_and_the_last_word_counts(
    lab: Settings, deliver: MakeDelivery
) -> None:
    delivery = deliver()
    recorder = ChatRecorder(lab, start(), lambda: delivery)
    one = turn(0)
    recorder.record_turn(one)
    assert delivery.wait(PATIENCE)
    # The trace is there already when these come.
    recorder.record_rating(rating(one, 2, "meh"))
    assert delivery.wait(PATIENCE)
    recorder.record_rating(rating(one, 5, "on reflection"))
    recorder.record_rating(rating(one, True, None))
    recorder.close()
    assert delivery.wait(PATIENCE)
    (trace,) = Stored(lab).traces()
    found = {a.name: a for a in trace.info.assessments}
    assert set(found) == {"rating", "thumbs_up"}
    assert (found["rating"].value, found["rating"].rationale) == (5, "on reflection")
    assert found["thumbs_up"].value is True
    assert {a.source.source_type for a in found.values()} == {"HUMAN"}
    assert len(trace.info.assessments) == 2


def test_turns_are_in_mlflow_while_the_session_still_runs(
    lab: Settings, deliver: MakeDelivery
) -> None:
    delivery = deliver()
    recorder = ChatRecorder(lab, start(), lambda: delivery)
    recorder.record_turn(turn(0))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    assert stored.run().info.status == "RUNNING"
    assert len(stored.traces()) == 1
    assert delivery.pending() == 0
    recorder.close()


def test_a_session_ended_by_ctrl_c_is_finished_and_marked(
    lab: Settings, deliver: MakeDelivery
) -> None:
    delivery = deliver()
    record(lab, delivery, turn(0), interrupted=True)
    assert delivery.wait(PATIENCE)
    run = Stored(lab).run()
    assert run.info.status == "FINISHED"
    assert run.data.tags["llmflowlab.interrupted"] == "true"


def test_a_session_that_carries_another_on_names_it(lab: Settings, deliver: MakeDelivery) -> None:
    delivery = deliver()
    record(lab, delivery, turn(0), session=start(continues="abc", replays="def"))
    assert delivery.wait(PATIENCE)
    assert Stored(lab).run().data.tags["llmflowlab.continues"] == "abc"
    assert Stored(lab).run().data.tags["llmflowlab.replays"] == "def"


def test_a_run_deleted_in_mlflow_does_not_come_back(lab: Settings, deliver: MakeDelivery) -> None:
    delivery = deliver()
    recorder = ChatRecorder(lab, start(), lambda: delivery)
    recorder.record_turn(turn(0))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    stored.client.delete_run(stored.run().info.run_id)
    recorder.record_turn(turn(1))
    recorder.close()
    # The first attempt meets the deleted run, the next one knows.
    assert delivery.wait(PATIENCE) or delivery.wait(PATIENCE)
    assert stored.runs() == []
    assert list(lab.journals_dir.iterdir()) == []


def test_two_deliveries_at_once_lose_and_double_nothing(
    lab: Settings, deliver: MakeDelivery
) -> None:
    one, other = deliver(), deliver()
    sessions = [start() for _ in range(4)]
    for index, session in enumerate(sessions):
        record(lab, (one, other)[index % 2], turn(0), turn(1), session=session)
    assert one.wait(PATIENCE)
    assert other.wait(PATIENCE)
    stored = Stored(lab)
    ids = sorted(run.data.tags["llmflowlab.session_id"] for run in stored.runs())
    assert ids == sorted(session.session_id for session in sessions)
    assert len(stored.traces()) == 8
    assert len(SessionIndex(lab).load().sessions) == 4
    records = json.loads((lab.artifacts_dir / "gemini_artifacts.json").read_text("utf-8"))
    assert len(records) == len({r["trace_id"] for r in records}) == 8


_TWO_AT_ONCE = """
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from llmflowlab.agents.package import package
from llmflowlab.tracking.delivery import Delivery
from tests.patience import PATIENCE
from tests.tracking.helpers import record, settings_for, turn

settings = settings_for(Path(sys.argv[1]))
delivery = Delivery(settings, package=package(), on_notice=print)
delivery.start()
for _ in range(2):
    record(settings, delivery, turn(0), turn(1))
print(delivery.wait(PATIENCE))
delivery.stop()
"""


def test_two_processes_on_a_fresh_home_lose_and_double_nothing(settings: Settings) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _TWO_AT_ONCE, str(settings.home)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    both = [
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for _ in range(2)
    ]
    # MLflow says nothing on the screen, not even while it makes its tables.
    assert [child.communicate(timeout=PATIENCE) for child in both] == [("True\n", "")] * 2
    stored = Stored(settings)
    assert len(stored.runs()) == 4
    assert {run.info.status for run in stored.runs()} == {"FINISHED"}
    assert len(stored.traces()) == 8
    assert len(stored.versions()) == 1
    assert len(SessionIndex(settings).load().sessions) == 4
    records = json.loads((settings.artifacts_dir / "gemini_artifacts.json").read_text("utf-8"))
    assert len({r["trace_id"] for r in records}) == len(records) == 8
    assert not (settings.home / "mlruns").exists()


def test_a_busy_database_is_tried_again_without_a_word(
    lab: Settings, deliver: MakeDelivery, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = MlflowSink.open, 0

    def busy(self: MlflowSink, session: SessionSnapshot, at: Cursor) -> Cursor | None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise StoreBusy("Another process is writing.")
        return real(self, session, at)

    monkeypatch.setattr(MlflowSink, "open", busy)
    delivery = deliver()
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    assert calls >= 3
    assert notices == []


def test_a_surprise_does_not_end_the_delivery(
    lab: Settings, deliver: MakeDelivery, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(*args: object) -> None:
        raise RuntimeError("nobody thought of this")

    delivery = deliver()
    with monkeypatch.context() as patch:
        patch.setattr(MlflowSink, "open", surprise)
        record(lab, delivery, turn(0))
        assert not delivery.wait(PATIENCE)
    assert len(notices) == 1
    assert "RuntimeError" in notices[0]
    assert str(lab.journals_dir) in notices[0]
    assert delivery.wait(PATIENCE)
    assert len(Stored(lab).traces()) == 1


def test_a_delivery_that_was_not_started_is_not_waited_for(lab: Settings) -> None:
    delivery = Delivery(lab)
    assert delivery.wait(None)
    record(lab, delivery, turn(0))
    assert not delivery.wait(None)
    delivery.stop()


def test_a_session_that_another_process_holds_is_left_alone(
    lab: Settings, deliver: MakeDelivery
) -> None:
    session = start()
    live = Journal(journal_path(lab.journals_dir, session.session_id))
    assert live.acquire()
    live.append("start", session)
    live.append("turn", turn(0))
    delivery = deliver()
    assert delivery.wait(PATIENCE)
    assert delivery.recovered == []
    assert Stored(lab).runs() == []
    live.release()


def test_a_journal_without_a_turn_is_cleared_away(lab: Settings, deliver: MakeDelivery) -> None:
    lab.journals_dir.mkdir(parents=True)
    (lab.journals_dir / "chat-a.jsonl").write_bytes(b'{"kind": "start", "sess')
    delivery = deliver()
    assert delivery.wait(PATIENCE)
    assert list(lab.journals_dir.iterdir()) == []
    assert delivery.recovered == []


def test_a_journal_that_cannot_be_read_is_set_aside_with_a_word(
    lab: Settings, deliver: MakeDelivery, notices: list[str]
) -> None:
    lab.journals_dir.mkdir(parents=True)
    (lab.journals_dir / "chat-a.jsonl").write_bytes(b"garbage\n")
    assert deliver().wait(PATIENCE)
    (aside,) = lab.journals_dir.iterdir()
    assert aside.read_bytes() == b"garbage\n"
    assert aside.name in notices[0]


def test_local_files_that_cannot_be_written_hold_the_session_back_with_a_word(
    lab: Settings, deliver: MakeDelivery, notices: list[str]
) -> None:
    lab.artifacts_dir.write_text("in the way", encoding="utf-8")
    delivery = deliver()
    record(lab, delivery, turn(0))
    assert not delivery.wait(PATIENCE)
    assert delivery.pending() == 1
    assert len(notices) == 1
    assert str(lab.artifacts_dir) in notices[0]
    lab.artifacts_dir.unlink()
    assert delivery.wait(PATIENCE)
    assert len(Stored(lab).traces()) == 1


def test_no_key_reaches_any_file(mlflow_home: Path, deliver: MakeDelivery, package: object) -> None:
    secret = "sk-" + "very-secret-" * 3
    settings = settings_for(
        mlflow_home, GEMINI_API_KEY=secret, OPENAI_API_KEY=secret, MLFLOW_TRACKING_PASSWORD=secret
    )
    delivery = deliver(settings, package=package)
    record(settings, delivery, turn(0), ratings=())
    assert delivery.wait(PATIENCE)
    files = [path for path in mlflow_home.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [str(path) for path in files if secret.encode() in path.read_bytes()] == []


def test_a_clock_that_was_set_back_hides_no_figure_and_ends_nothing_before_its_start(
    lab: Settings,
) -> None:
    # MLflow shows the later of two values: those of an evaluation that was gone on with came earlier.
    store = open_store(lab)
    runs = EvaluationRuns(store, "20260101-000000-abcd", created_ms=BEGIN_MS)
    run_id = runs.open_run(RunSpec(name="Eval_one", key="one", params={}, tags={}), parent=None)
    for value, after in ((0.9, 60_000), (0.4, -3_600_000)):
        runs.finish(
            run_id, metrics={"exact/mean": value}, tags={}, files={}, end_ms=BEGIN_MS + after
        )
    run = store.client.get_run(run_id)
    assert run.data.metrics["exact/mean"] == 0.4
    assert run.info.end_time >= run.info.start_time
    set_back = SessionSnapshot(
        start=start(),
        turns=[turn(0)],
        ratings=[],
        ended=True,
        interrupted=False,
        crashed=False,
        recovered=False,
        unreadable=0,
        ended_ms=BEGIN_MS - 3_600_000,
    )
    assert set_back.end_ms == BEGIN_MS


def test_a_lane_that_is_just_beginning_can_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # A chat that ended at once waited for a thread which was made and not yet begun.
    ended: list[bool] = []
    waiting = threading.Thread(target=lambda: ended.append(lane.join(PATIENCE)))

    class Late(threading.Thread):
        def start(self) -> None:
            waiting.start()
            waiting.join(0.1)
            super().start()

    lane = Lane(SimpleNamespace(name="files"), SimpleNamespace(), print)  # type: ignore[arg-type]
    monkeypatch.setattr(lanes, "threading", SimpleNamespace(Thread=Late, Lock=threading.Lock))
    monkeypatch.setattr(lane, "_work", lambda first: None)
    lane.start()
    waiting.join()
    assert ended == [True]
