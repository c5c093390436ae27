"""Scores in the background on PostgreSQL: tables of an earlier version, and several who score at once."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from llmflowlab.evaluation.scores import Score
from llmflowlab.service.store import service_database
from llmflowlab.service.store.allowances import reserve, settle, spent_on
from llmflowlab.service.store.online_scores import (
    await_scores,
    claim_scores,
    keep_score,
    score_totals_of,
    unscored_count,
)
from llmflowlab.service.store.service_database import Engine, opened, upgraded, writing
from tests.stack.postgres import Cluster
from tests.stack.stores import needs

HOUR = 3_600_000


@pytest.fixture
def engine(postgres: Cluster) -> Engine:
    needs("psycopg", "a driver of PostgreSQL")
    return opened(f"postgresql+psycopg{postgres.database()}")


def test_a_database_of_an_earlier_version_gets_the_tables(engine: Engine) -> None:
    config = Config()
    scripts = Path(service_database.__file__).with_name("migrations")
    config.set_main_option("script_location", str(scripts))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    upgraded(engine)
    upgraded(engine)
    day = "2026-11-26 scores"
    with writing(engine) as connection:
        assert unscored_count(connection) == 0
        assert reserve(connection, "a", day, Decimal(1), Decimal(1))
        assert not reserve(connection, "b", day, Decimal(1), Decimal(1))
        settle(connection, "a", day, Decimal("0.25"))
        assert spent_on(connection, day) == (Decimal("0.25"), Decimal(0))
        assert spent_on(connection, "2026-11-26") == (Decimal(0), Decimal(0))
    engine.dispose()


def test_several_who_score_take_each_score_once(engine: Engine) -> None:
    upgraded(engine)
    now = int(time.time() * 1000)
    traces = [f"tr-{number:032x}" for number in range(200)]
    with writing(engine) as connection:
        for trace in (*traces, *traces):
            await_scores(connection, trace, ["safety"], now)

    def work(_: int) -> list[str]:
        taken: list[str] = []
        while True:
            with writing(engine) as connection:
                claimed = claim_scores(
                    connection, ["safety"], most=7, now_ms=now, until_ms=now + HOUR
                )
            if not claimed:
                return taken
            with writing(engine) as connection:
                for each in claimed:
                    score = Score(scorer="safety", value=1.0, judge="j", cost_usd="0.001")
                    assert keep_score(
                        connection,
                        each.number,
                        score,
                        deployment="d",
                        judge_exam=None,
                        now_ms=now,
                        again_ms=None,
                    )
            taken += [each.trace_id for each in claimed]

    with ThreadPoolExecutor(6) as pool:
        taken = Counter(trace for found in pool.map(work, range(6)) for trace in found)
    assert taken == Counter(traces)
    with writing(engine) as connection:
        (total,) = score_totals_of(connection)
    assert (total.number, total.total, total.cost) == (200, 200.0, Decimal("0.2"))
    engine.dispose()
