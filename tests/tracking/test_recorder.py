from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest

from llmflowlab.errors import TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.journal import Journal, journal_path, read_journal
from tests.tracking.helpers import rating, start, turn


@pytest.fixture
def delivery(settings: Settings) -> Delivery:
    """A delivery that was not started: what is on disk is the recorder's work alone."""
    return Delivery(settings)


def test_a_session_without_turns_leaves_nothing(settings: Settings, delivery: Delivery) -> None:
    recorder = ChatRecorder(settings, start(), lambda: delivery)
    recorder.close()
    assert list(settings.home.iterdir()) == []
    assert delivery.pending() == 0


def test_a_turn_is_on_disk_when_recording_returns(settings: Settings, delivery: Delivery) -> None:
    session = start()
    recorder = ChatRecorder(settings, session, lambda: delivery)
    first = turn(0)
    recorder.record_turn(first)
    contents = read_journal(journal_path(settings.journals_dir, session.session_id))
    assert contents.start == session
    assert contents.turns == [first]
    assert not contents.ended
    recorder.record_rating(rating(first))
    recorder.close(interrupted=True)
    contents = read_journal(journal_path(settings.journals_dir, session.session_id))
    assert contents.ratings == [rating(first)]
    assert contents.interrupted
    assert delivery.pending() == 1
    delivery.stop()


def test_an_answer_is_on_disk_before_its_turn_which_takes_its_place(
    settings: Settings, delivery: Delivery
) -> None:
    session = start()
    recorder = ChatRecorder(settings, session, lambda: delivery)
    measured = turn(0)
    recorder.record_answer(replace(measured, language=None, cost_usd=None))
    path = journal_path(settings.journals_dir, session.session_id)
    assert [t.language for t in read_journal(path).turns] == [None]
    assert delivery.pending() == 0
    recorder.record_turn(measured)
    recorder.record_answer(turn(1))
    assert [t.language for t in read_journal(path).turns] == ["de", "de"]
    assert [t.index for t in read_journal(path).turns] == [0, 1]
    delivery.stop()


def test_a_lock_that_could_not_be_made_costs_the_session_nothing(
    settings: Settings, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The session's first line was never written once its lock had failed, and its turns were lost.
    def full(journal: Journal) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    session = start()
    recorder = ChatRecorder(settings, session, lambda: delivery)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "acquire", full)
        with pytest.raises(TrackingError, match="No space left on device"):
            recorder.record_turn(turn(0))
    recorder.record_turn(turn(1))
    path = journal_path(settings.journals_dir, session.session_id)
    contents = read_journal(path)
    assert contents.start == session
    assert [t.index for t in contents.turns] == [0, 1]
    assert not Journal(path).acquire()
    delivery.stop()


def test_closing_twice_ends_the_session_once(settings: Settings, delivery: Delivery) -> None:
    session = start()
    recorder = ChatRecorder(settings, session, lambda: delivery)
    recorder.record_turn(turn(0))
    recorder.close()
    recorder.close(interrupted=True)
    path = journal_path(settings.journals_dir, session.session_id)
    assert path.read_bytes().count(b'"kind": "end"') == 1
    delivery.stop()


def test_a_full_disk_is_said_and_the_turn_is_written_with_the_next(
    settings: Settings, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = start()
    recorder = ChatRecorder(settings, session, lambda: delivery)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(TrackingError, match=r"No space left on device.*kept in memory"):
            recorder.record_turn(turn(0))
    recorder.record_turn(turn(1))
    contents = read_journal(journal_path(settings.journals_dir, session.session_id))
    assert contents.start == session
    assert [t.index for t in contents.turns] == [0, 1]
    delivery.stop()


def test_an_end_that_the_disk_does_not_take_is_told_and_raises_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    delivery = Delivery(settings, on_notice=said.append)
    recorder = ChatRecorder(settings, start(), lambda: delivery)
    recorder.record_turn(turn(0))

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        recorder.close()
    assert len(said) == 1
    assert "No space left" in said[0]
    delivery.stop()


def test_a_home_that_cannot_be_written_is_a_tracking_error(settings: Settings) -> None:
    # A file where the folder should be, because a test may run with every permission.
    settings.state_dir.write_text("in the way", encoding="utf-8")
    recorder = ChatRecorder(settings, start(), lambda: Delivery(settings))
    with pytest.raises(TrackingError, match="could not be written"):
        recorder.record_turn(turn(0))
