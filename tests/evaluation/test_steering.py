from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.pacing import Limiter, Pacer
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.answering import Answering
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.running import held
from llmflowlab.evaluation.run.steering import (
    Adjustment,
    AdjustmentFollower,
    Steering,
    ask_for,
    known_budget,
)
from tests.evaluation.helpers import QUICK, TableModel, dataset, metering, plan
from tests.patience import PATIENCE

NAME = "20260101-000000-abcd"
ROWS = "question,answer\n" + "".join(f"Q{n}?,A{n}\n" for n in range(12))


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path / "evaluations.db")
    opened.begin(plan(dataset(tmp_path)), "2026-01-01 00:00:00")
    yield opened
    opened.close()


def test_a_wish_reaches_the_running_evaluation(ledger):
    steering = Steering(4, Budget(Decimal("0.5")))
    heard: list[Any] = []
    steering.attach(heard.append)
    with held(ledger, NAME):
        follower = AdjustmentFollower(ledger, NAME, steering)
        ask_for(ledger, NAME, Adjustment(concurrency=9, budget=Decimal("0.75")))
        follower.look(now=float("inf"))
    assert heard == [9]
    assert steering.concurrency == 9
    assert steering.budget.cap == Decimal("0.75")


def test_wishes_are_looked_for_once_a_second(ledger):
    steering = Steering(4, Budget(None))
    with held(ledger, NAME):
        follower = AdjustmentFollower(ledger, NAME, steering)
        ask_for(ledger, NAME, Adjustment(concurrency=9))
        follower.look(now=0.0)
    assert steering.concurrency == 4


def test_wishes_of_an_earlier_run_are_not_followed(ledger):
    with held(ledger, NAME):
        ask_for(ledger, NAME, Adjustment(concurrency=9))
    steering = Steering(4, Budget(None))
    AdjustmentFollower(ledger, NAME, steering).look(now=float("inf"))
    assert steering.concurrency == 4


def test_what_is_not_running_cannot_be_adjusted(ledger):
    with pytest.raises(InputError, match="is not running"):
        ask_for(ledger, NAME, Adjustment(concurrency=9))
    with pytest.raises(InputError, match="no evaluation 'other'"):
        ask_for(ledger, "other", Adjustment(concurrency=9))


def test_an_evaluation_without_a_budget_gets_none_while_it_runs(ledger):
    # Its answers may have any length, so no worst case could be reserved and no cap held.
    with held(ledger, NAME), pytest.raises(InputError, match="without a budget"):
        ask_for(ledger, NAME, Adjustment(budget=Decimal(1)))
    with pytest.raises(InputError, match="without a budget"):
        Steering(4, Budget(None)).set_budget(Decimal(1))


def test_the_budget_is_remembered_for_a_later_resume(ledger):
    steering = Steering(4, Budget(Decimal("0.5")))
    follower = AdjustmentFollower(ledger, NAME, steering)
    assert known_budget(ledger, NAME) == Decimal("0.5")
    steering.set_budget(Decimal("0.9"))
    follower.look(now=float("inf"))
    assert known_budget(ledger, NAME) == Decimal("0.9")


class Blocking(TableModel):
    """Answers nothing until it is let go; counts what it has at once."""

    def __init__(self, settings):
        super().__init__("one", settings, {})
        self.go = threading.Event()
        self.open = 0
        self.changed = threading.Condition()

    def stream(self, request):
        with self.changed:
            self.open += 1
            self.changed.notify_all()
        assert self.go.wait(timeout=PATIENCE)
        yield from super().stream(request)


def test_raised_concurrency_sends_more_at_once(settings, tmp_path):
    model = Blocking(settings)
    made = plan(dataset(tmp_path, ROWS))
    ledger = Ledger(tmp_path / "own.db")
    answering = Answering(
        made,
        [model],
        ledger,
        limiters=[Limiter(Pacer(2, start=100))],
        concurrency=2,
        policy=QUICK,
        metering=metering(settings),
        reused={},
        budget=Budget(None),
    )
    answering.start()
    with model.changed:
        assert model.changed.wait_for(lambda: model.open == 2, timeout=PATIENCE)
    # The limit itself climbs with successes; here none has come yet.
    answering._limiters[0]._pacer.limit = 5.0
    answering.set_concurrency(5)
    with model.changed:
        assert model.changed.wait_for(lambda: model.open == 5, timeout=PATIENCE)
    assert answering.progress[0].asking == 5
    model.go.set()
    answering.join()
    assert (answering.progress[0].answered, answering.progress[0].asking) == (12, 0)
    assert len(model.requests) == 12
    ledger.close()
