"""Sessions are handed to a process that outlives the program, and arrive whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmflowlab.lab import deliverer
from llmflowlab.lab.deliverer import hand_over, on_the_way
from llmflowlab.settings import Settings
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.journal import Journal, journal_path
from llmflowlab.tracking.sinks.mlflow import MlflowSink
from llmflowlab.tracking.store_errors import StoreUnreachable
from tests.tracking.helpers import Stored, settings_for, start, turn
from tests.warm import warm

Started = list[Settings]


@pytest.fixture
def lab(mlflow_home: Path) -> Settings:
    return settings_for(mlflow_home)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    found: Started = []
    monkeypatch.setattr(deliverer, "start", found.append)
    return found


def leave_a_session(lab: Settings, turns: int = 1) -> str:
    """Hold a session as a program does that hands over; returns its id."""
    delivery = Delivery(lab, only_local=True)
    delivery.start()
    recorder = ChatRecorder(lab, start(), lambda: delivery)
    for number in range(turns):
        recorder.record_turn(turn(number))
    recorder.close()
    delivery.stop()
    (path,) = lab.journals_dir.glob("chat-*.jsonl")
    return path.stem.removeprefix("chat-")


def deliver(lab: Settings, **options: float) -> bool:
    chosen = {"linger": 0.0, "patience": 0.0, **options}
    return deliverer.deliver(lab, **chosen, sleep=lambda seconds: None)


def test_a_session_is_in_the_local_files_before_it_is_handed_over(lab: Settings) -> None:
    leave_a_session(lab)
    (record,) = json.loads((lab.artifacts_dir / "gemini_artifacts.json").read_bytes())
    assert record["run_id"] is None
    assert on_the_way(lab) == deliverer.OnTheWay(1, 0, None)
    assert deliver(lab)
    assert on_the_way(lab) is None
    (run,) = Stored(lab).runs()
    (record,) = json.loads((lab.artifacts_dir / "gemini_artifacts.json").read_bytes())
    assert record["run_id"] == run.info.run_id


def test_nothing_is_started_where_nothing_is_left(lab: Settings, started: Started) -> None:
    hand_over(lab)
    session = leave_a_session(lab)
    held = Journal(journal_path(lab.journals_dir, session))
    assert held.acquire()
    hand_over(lab)
    assert started == []
    held.release()
    hand_over(lab)
    assert started == [lab]


def test_one_deliverer_works_for_a_home(lab: Settings, started: Started) -> None:
    leave_a_session(lab)
    with deliverer._lock(lab):
        hand_over(lab)
    assert started == []


def test_a_store_that_does_not_answer_is_told_and_tried_again(
    lab: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_session(lab)
    answers = iter([False, False, True])
    real = MlflowSink.open

    def sometimes(sink: MlflowSink, *arguments: object) -> object:
        if next(answers, True):
            return real(sink, *arguments)  # type: ignore[arg-type]
        raise StoreUnreachable("MLflow does not answer.")

    monkeypatch.setattr(MlflowSink, "open", sometimes)
    assert not deliver(lab)
    left = on_the_way(lab)
    assert left is not None
    assert left.sessions == 1
    assert str(left.problem).startswith("MLflow does not answer; the session is kept in")
    assert deliver(lab, patience=60)
    assert on_the_way(lab) is None
    assert len(Stored(lab).runs()) == 1


def test_whoever_waits_for_the_deliverer_waits_for_these_sessions_and_within_bounds(
    lab: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliverer._tell(lab, "An earlier attempt failed.")
    held = Delivery(lab, only_local=True)
    recorder = ChatRecorder(lab, start(), lambda: held)
    recorder.record_turn(turn())
    recorder.record_turn(turn(1))
    recorder.close()
    monkeypatch.setattr(deliverer, "start", lambda _: None)
    handed = hand_over(lab, held.lacking())
    assert handed.patience == lab.delivery_timeout + 2 * deliverer._PER_TURN
    slept: list[float] = []
    assert not handed.wait(1.0, sleep=slept.append)
    assert sum(slept) == pytest.approx(1.0, abs=deliverer._LOOK)
    assert (handed.pending(), handed.problem()) == (1, None)

    def fails(seconds: float) -> None:
        slept.append(seconds)
        deliverer._tell(lab, "MLflow is away.")

    slept.clear()
    assert not handed.wait(60.0, sleep=fails)
    assert len(slept) == 1
    assert handed.problem() == "MLflow is away."
    held.stop()
    assert deliver(lab)
    assert handed.wait(60.0, sleep=slept.append)
    assert len(slept) == 1


def test_another_session_cuts_the_wait_short(lab: Settings) -> None:
    leave_a_session(lab)
    looked = []

    def arrives(seconds: float) -> None:
        looked.append(seconds)
        (lab.journals_dir / f"chat-{len(looked)}.jsonl").touch()

    deliverer._pause(lab, 60, arrives)
    assert len(looked) == 1


def test_the_process_outlives_the_program_and_a_kill_of_it_loses_nothing(lab: Settings) -> None:
    leave_a_session(lab, turns=3)
    program = (
        "import os, signal\n"
        "from llmflowlab.lab import deliverer\n"
        "from llmflowlab.tracking.sinks.mlflow import MlflowSink\n"
        "MlflowSink.close = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "deliverer.main()\n"
    )
    environment = {**os.environ, "LLMFLOWLAB_HOME": str(lab.home)}
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        warm([sys.executable, "-W", "ignore", "-c", program]),
        cwd=root,
        env=environment,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert on_the_way(lab) is not None
    # The lock of the killed one is gone with it.
    ended = subprocess.run(
        warm([sys.executable, "-W", "ignore", "-m", "llmflowlab.lab.deliverer"]),
        cwd=root,
        env=environment,
        check=False,
    )
    assert ended.returncode == 0
    assert on_the_way(lab) is None
    stored = Stored(lab)
    (run,) = stored.runs()
    assert run.info.status == "FINISHED"
    assert run.data.metrics["turns"] == 3
