"""An evaluation ends when it is safe on disk; MLflow has it soon after, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run import recorder_client, replay
from llmflowlab.evaluation.run.engine import EvaluationSnapshot, run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.pending import (
    await_recording,
    left_behind,
    pending_evaluations,
    recording_lock,
    to_record,
)
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.running import held
from llmflowlab.files import exclusive
from llmflowlab.lab import deliverer
from llmflowlab.lab.deliverer import hand_over, on_the_way
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.upkeep import verify
from llmflowlab.settings import Settings
from tests.evaluation import faulty
from tests.evaluation.faulty import ID, CountedModel, Options
from tests.evaluation.helpers import bench
from tests.patience import PATIENCE

ROWS = 6


@pytest.fixture
def settings(mlflow_home: Path, settings: Settings) -> Settings:
    return settings


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with closing(Ledger(settings.ledger_file)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountedModel, "latency", 0.0)


def evaluate(settings: Settings, ledger: Ledger, **options: Any) -> EvaluationResult:
    plan = faulty.made(
        Options(home=str(settings.home), rows=ROWS, candidates=("one",), judge=False)
    )
    models = [CountedModel("one", settings)]
    work = bench(settings, models, ledger, settings.home, waits=False, **options)
    return run_evaluation(plan, work)


def deliver(settings: Settings) -> bool:
    return deliverer.deliver(settings, linger=0.0, patience=0.0, sleep=lambda seconds: None)


def assert_whole(settings: Settings, ledger: Ledger) -> None:
    (run,) = faulty.stored_books(settings.home).values()
    assert (run["status"], len(run["traces"])) == ("FINISHED", ROWS)
    assert ledger.evaluation(ID).state == "finished"
    document = json.loads((settings.home / "out" / "evaluation.json").read_bytes())
    runs = ledger.evaluation(ID).runs["candidates"]
    assert [candidate["run_id"] for candidate in document["candidates"]] == runs
    assert pending_evaluations(settings) == []
    assert on_the_way(settings) is None


def test_the_recorder_goes_on_when_its_evaluation_has_ended(
    settings: Settings, ledger: Ledger
) -> None:
    recorder = RecorderProcess(settings, ledger.path)
    # The recorder can begin only when the evaluation has ended, and is let go of.
    with exclusive(settings, recording_lock(ID)):
        result = evaluate(settings, ledger, recorder=recorder)
        assert result.problems == ()
        assert ledger.evaluation(ID).state == "finished"
        assert pending_evaluations(settings) == [ID]
        assert on_the_way(settings) == deliverer.OnTheWay(0, 1, None)
        # Somebody records it: it is nobody else's to deliver.
        assert to_record(settings) == []
        recorder.abandon()
    for reader in recorder._readers:
        reader.join(PATIENCE)
    assert_whole(settings, ledger)


def test_a_recorder_that_is_killed_after_its_evaluation_is_made_up_for(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr(deliverer, "start", started.append)
    recorder = RecorderProcess(settings, ledger.path)
    with exclusive(settings, recording_lock(ID)):
        evaluate(settings, ledger, recorder=recorder)
        os.kill(recorder.pid, signal.SIGKILL)
    for reader in recorder._readers:
        reader.join(PATIENCE)
    assert to_record(settings) == [ID]
    with pytest.raises(TrackingError, match="still on its way to MLflow"):
        verify(Lab(settings), ID, [])
    # Any command hands over what is left.
    Lab(settings).hand_over()
    assert started == [settings]
    asked = len(faulty.requests(settings.home))
    assert deliver(settings)
    assert len(faulty.requests(settings.home)) == asked
    document = json.loads(
        (settings.state_dir / "evaluations" / ID / "evaluation.json").read_bytes()
    )
    assert document["candidates"][0]["run_id"] is not None
    (run,) = faulty.stored_books(settings.home).values()
    assert (run["status"], len(run["traces"])) == ("FINISHED", ROWS)
    assert pending_evaluations(settings) == []


def test_a_store_that_is_away_is_tried_again_and_said(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(settings, ledger, recorder=_Away(settings, ledger.path))
    real, answers = replay.repair, iter([TrackingError("MLflow does not answer."), None])

    def sometimes(*arguments: Any, **options: Any) -> EvaluationResult:
        if (error := next(answers)) is not None:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(replay, "repair", sometimes)
    assert not deliver(settings)
    assert on_the_way(settings) == deliverer.OnTheWay(0, 1, "MLflow does not answer.")
    assert deliver(settings)
    assert on_the_way(settings) is None


def test_an_evaluation_that_another_process_looked_at_is_not_forgotten(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever looks whether a lock is held holds it for a moment: the deliverer then found the evaluation in
    # another's hands, free again, and took it for one that was cleared.
    evaluate(settings, ledger, recorder=_Away(settings, ledger.path))
    real, answers = replay.deliver_left, iter([InputError("worked on by another process"), None])

    def sometimes(*arguments: Any) -> None:
        if (error := next(answers)) is not None:
            raise error
        real(*arguments)

    monkeypatch.setattr(replay, "deliver_left", sometimes)
    assert not deliver(settings)
    assert to_record(settings) == [ID]
    assert deliver(settings)
    (run,) = faulty.stored_books(settings.home).values()
    assert (run["status"], len(run["traces"])) == ("FINISHED", ROWS)


def test_what_is_being_delivered_is_on_the_way_and_nobody_elses_to_deliver(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While it held the evaluation's lock, nothing was said to be on the way.
    evaluate(settings, ledger, recorder=_Away(settings, ledger.path))
    seen: list[object] = []

    class Watched(RecorderProcess):
        def begin(self, evaluation: str) -> None:
            seen.extend((on_the_way(settings), to_record(settings)))
            super().begin(evaluation)

    monkeypatch.setattr(replay, "RecorderProcess", Watched)
    assert deliver(settings)
    assert seen == [deliverer.OnTheWay(0, 1, None), []]
    assert on_the_way(settings) is None


class _Away(RecorderProcess):
    """A recorder that ends before it was told anything."""

    def begin(self, evaluation: str) -> None:
        os.kill(self.pid, signal.SIGKILL)


def test_an_evaluation_that_was_cleared_is_not_looked_for_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is to be recorded")

    monkeypatch.setattr(recorder_client, "RecorderProcess", refuse)
    await_recording(settings, "20260101-000000-abcd")
    assert deliver(settings)
    assert pending_evaluations(settings) == []
    hand_over(settings)


class Stopped(BaseException):
    """What stands in for a kill of the evaluation's process."""


@pytest.mark.parametrize("finished", [0, 3])
def test_an_evaluation_that_was_killed_does_not_run_in_mlflow_for_ever(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, finished: int
) -> None:
    recorder = RecorderProcess(settings, ledger.path)
    monkeypatch.setattr(CountedModel, "held_after", finished)

    def kill(snapshot: EvaluationSnapshot) -> None:
        if recorder.runs and snapshot.recorded == finished:
            # It is under way, and not on its way.
            assert on_the_way(settings) is None
            raise Stopped

    options = Options(home=str(settings.home), rows=ROWS, candidates=("one",), judge=False)
    models = [CountedModel("one", settings)]
    # One at a time: several would all be noted, and held, before the first is answered.
    work = replace(
        bench(settings, models, ledger, settings.home, waits=False, recorder=recorder),
        concurrency=1,
    )
    with pytest.raises(Stopped):
        run_evaluation(faulty.made(options), work, on_progress=kill)
    (run,) = faulty.stored_books(settings.home).values()
    assert run["status"] == "RUNNING"
    assert to_record(settings) == [ID]
    with held(ledger, ID):
        # Somebody goes on with it.
        assert to_record(settings) == []
    assert deliver(settings)
    (run,) = faulty.stored_books(settings.home).values()
    assert (run["status"], len(run["traces"])) == ("KILLED", finished)
    assert pending_evaluations(settings) == []
    assert ledger.evaluation(ID).state == "interrupted"
    # To go on with it opens its run again, and ends it.
    (settings.home / faulty.GO_ON).touch()
    recorder = RecorderProcess(settings, ledger.path)
    assert evaluate(settings, ledger, recorder=recorder).problems == ()
    for reader in recorder._readers:
        reader.join(PATIENCE)
    assert_whole(settings, ledger)


def test_whoever_goes_on_with_what_is_being_delivered_waits_for_that(
    settings: Settings, ledger: Ledger
) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)

    deliverer.let_deliver(settings, ID, sleep=sleep)
    assert waited == []
    with held(ledger, ID):
        # Another evaluation of the same: that is told at once.
        deliverer.let_deliver(settings, ID, sleep=sleep)
        assert waited == []
        with FileLock(settings.state_dir / "delivery.lock"):
            deliverer.let_deliver(settings, ID, patience=1.0, sleep=sleep)
    assert sum(waited) == pytest.approx(1.0, abs=0.2)


def test_the_recorder_of_a_killed_evaluation_needs_somebody_after_it(settings: Settings) -> None:
    with exclusive(settings, recording_lock(ID)):
        # It still runs, and ends when it notices.
        await_recording(settings, ID)
        assert (to_record(settings), left_behind(settings)) == ([], [ID])
        # This one was left to do the rest.
        await_recording(settings, ID, by="recorder")
        assert left_behind(settings) == []
    assert left_behind(settings) == [ID]


def test_what_is_on_the_way_is_named(settings: Settings) -> None:
    assert deliverer.OnTheWay(1, 0, None).what == "1 session"
    assert deliverer.OnTheWay(2, 1, None).what == "2 sessions and 1 evaluation"
