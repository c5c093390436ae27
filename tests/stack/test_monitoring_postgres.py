"""Traffic and alerts on PostgreSQL, whose transactions end in any order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmflowlab.lab.lab import Lab
from llmflowlab.monitoring.alert_delivery import Messenger
from llmflowlab.monitoring.alert_desk import AlertDesk
from llmflowlab.monitoring.alert_rules import Deliveries
from llmflowlab.monitoring.traffic import (
    ChosenAnswers,
    Traffic,
    opened_database,
    opened_traffic,
)
from llmflowlab.monitoring.traffic_figures import report_of
from llmflowlab.service.store.served_turns import keep_turn
from llmflowlab.service.store.service_database import database_of
from llmflowlab.settings import Settings, load_settings
from tests.monitoring.made_observations import rule_of
from tests.monitoring.made_traffic import (
    NOW,
    candidate,
    deployed,
    found,
    rate,
    score,
    serve,
    turn,
)
from tests.stack.postgres import Cluster
from tests.stack.stores import needs


@pytest.fixture
def home(settings: Settings, postgres: Cluster) -> Settings:
    needs("psycopg", "a driver of PostgreSQL")
    variables = {"LLMFLOWLAB_SERVICE_DATABASE": "postgresql+psycopg" + postgres.database()}
    there = load_settings(variables, cwd=settings.home, stdin_is_terminal=False)
    deployed(there, candidate(guardrails={"rules": "x"}))
    return there


@pytest.fixture
def traffic(home: Settings) -> Iterator[Traffic]:
    with opened_traffic(home, chosen=ChosenAnswers(), window=3_600.0, clock=lambda: NOW) as traffic:
        yield traffic


def test_figures_are_as_they_are_elsewhere(home: Settings, traffic: Traffic) -> None:
    first = turn(ago=30, violations=[found()], answer="a\x01b")
    serve(home, [first, turn(ago=20, state="failed", answer="", error_reason="overloaded")])
    rate(home, first.trace_id, True)
    score(home, first.trace_id, 1.0)
    total = report_of(traffic).total
    assert (total.requests, total.errors, total.languages) == (2, {"overloaded": 1}, {"en": 1})
    assert total.violations == {"injection_in": 1}
    assert (total.ratings[0].mean, total.scores["contains"].mean) == (1.0, 1.0)


def test_an_answer_whose_transaction_ends_after_a_later_one_s_is_seen_once_and_not_lost(
    home: Settings, traffic: Traffic
) -> None:
    late = turn(ago=4)
    with database_of(home) as connection:
        keep_turn(connection, late, owner="", session_id=None, deployment="d1", door="chat")
        # The one that is not committed yet has the smaller number.
        serve(home, [turn(ago=3), turn(ago=2)])
        assert report_of(traffic).total.requests == 2
    assert report_of(traffic).total.requests == 3
    assert report_of(traffic).total.requests == 3


def test_an_alert_fires_once(home: Settings) -> None:
    serve(home, [turn(ago=300 - n, state="failed", answer="") for n in range(40)])
    with opened_database(home) as engine:
        desk = AlertDesk(
            Lab(home),
            engine,
            [rule_of("error_rate", above=0.05)],
            Messenger(home, Deliveries()),
            clock=lambda: NOW,
        )
        assert [event.state for event in desk.look().events] == ["fired"]
        assert desk.look().events == []
