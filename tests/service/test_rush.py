"""When the courier steps back."""

from __future__ import annotations

from pathlib import Path

from llmflowlab.service.courier import Courier, Rush
from llmflowlab.service.store.served_turns import keep_turn, newest_turn
from llmflowlab.service.store.service_database import Engine, opened, upgraded, writing
from llmflowlab.settings import Settings
from llmflowlab.tracking.records import TurnRecord


def _keep(engine: Engine, *numbers: int) -> None:
    with writing(engine) as connection:
        for number in numbers:
            record = TurnRecord(
                trace_id=f"tr-{number}",
                index=0,
                date="2026-01-01 00:00:00",
                started_ms=0,
                prompt="q",
                answer="a",
            )
            keep_turn(connection, record, owner="", session_id=None, deployment="d", door="chat")


def test_many_answers_in_a_second_are_a_rush_and_few_are_none(tmp_path: Path) -> None:
    engine = opened(f"sqlite:///{tmp_path / 'service.db'}")
    upgraded(engine)
    now = 100.0
    rush = Rush(engine, clock=lambda: now)
    _keep(engine, *range(50))
    # What was there before the first look may be of yesterday.
    assert not rush.going_on()
    _keep(engine, *range(50, 90))
    now += 2.0
    assert rush.going_on()
    _keep(engine, 90, 91)
    now += 2.0
    assert not rush.going_on()
    engine.dispose()


def test_a_turn_that_is_there_is_not_kept_again(tmp_path: Path) -> None:
    engine = opened(f"sqlite:///{tmp_path / 'service.db'}")
    upgraded(engine)
    _keep(engine, 1, 2)
    _keep(engine, 2, 1)
    with writing(engine) as connection:
        assert newest_turn(connection) == 2
    engine.dispose()


def test_looking_does_not_wait_for_who_writes(tmp_path: Path, settings: Settings) -> None:
    # What waits was read in a transaction that kept the service's own writer waiting, by a process that
    # gets the processor last.
    engine = opened(f"sqlite:///{tmp_path / 'service.db'}")
    upgraded(engine)
    other = opened(f"sqlite:///{tmp_path / 'service.db'}")
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with writing(engine):
        assert not Rush(other).going_on()
        assert Courier(settings, other).deliver() == 0
    engine.dispose()
    other.dispose()
