"""What a window of traffic comes to, and what is said where something is not known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.monitoring.traffic import (
    Answerer,
    ChosenAnswers,
    Traffic,
    opened_traffic,
    settled,
)
from llmflowlab.monitoring.traffic_figures import ShareSeen, TrafficReport, report_of
from llmflowlab.monitoring.traffic_page import traffic_page
from llmflowlab.monitoring.window import read_window, span
from llmflowlab.service.store import served_traffic
from llmflowlab.service.store.served_traffic import ServedRow
from llmflowlab.service.store.service_database import database_of
from llmflowlab.settings import Settings
from llmflowlab.statistics.intervals import wilson_interval
from llmflowlab.statistics.quantiles import quantile
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


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@contextmanager
def watching(
    settings: Settings, window: float = 3_600.0, clock: Clock | None = None, **chosen: Any
) -> Iterator[Traffic]:
    with opened_traffic(
        settings, chosen=ChosenAnswers(**chosen), window=window, clock=clock or Clock()
    ) as traffic:
        yield traffic


def reported(settings: Settings, window: float = 3_600.0, **chosen: Any) -> TrafficReport:
    with watching(settings, window, **chosen) as traffic:
        return report_of(traffic)


@pytest.mark.parametrize(
    ("text", "seconds", "said"),
    [
        ("45s", 45, "45 s"),
        ("30m", 1800, "30 min"),
        ("1h", 3600, "1 h"),
        ("7d", 604800, "7 d"),
        ("1.5 H", 5400, "90 min"),
    ],
)
def test_a_window_is_a_number_with_its_unit(text: str, seconds: float, said: str) -> None:
    assert read_window(text) == seconds
    assert span(seconds) == said


@pytest.mark.parametrize("text", ["", "1", "0h", "-1h", "h", "1 week", "400d", "1h30m", "nan h"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no length of time; write it as in 30m, 1h or 7d"):
        read_window(text)


def test_where_nothing_was_served_it_is_said_and_no_database_is_made(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was served in this home yet"):
        reported(settings)
    assert not (settings.state_dir / "service.db").exists()


def test_figures_are_those_of_each_model_and_prompt_and_of_all(settings: Settings) -> None:
    policy = {"rules": "x"}
    deployed(settings, candidate(prompt="support@2", guardrails=policy))
    deployed(settings, candidate("guide:docs"), "d2")
    times = [0.5 + n / 10 for n in range(20)]
    serve(settings, [turn(ago=n + 1, inference_time=t) for n, t in enumerate(times)])
    first = turn(ago=40, language="de", violations=[found("mask"), found("mask", "email", "out")])
    blocked = turn(
        ago=41, state="blocked", answer="", violations=[found()], cost_usd=None, language=None
    )
    blocked_free = [blocked]
    serve(settings, [first, *blocked_free])
    serve(settings, [turn(ago=50, state="failed", answer="", error_reason="rate_limited")])
    serve(
        settings,
        [turn(ago=60, state="incomplete", error_reason="deadline_exceeded")],
    )
    serve(settings, [turn(ago=70, state="interrupted")])
    serve(settings, [turn(ago=4_000)])
    serve(settings, [turn(ago=5, cost_usd="0", language=None)], deployment="d2")
    rate(settings, first.trace_id, True)
    report = reported(settings)
    ours = report.groups[Answerer("openai:gpt-4.1-mini", "support@2")]
    assert list(report.groups) == [
        Answerer("openai:gpt-4.1-mini", "support@2"),
        Answerer("guide:docs"),
    ]
    assert (report.total.requests, ours.requests, ours.answered) == (26, 25, 23)
    assert ours.states == {
        "complete": 21,
        "blocked": 1,
        "failed": 1,
        "incomplete": 1,
        "interrupted": 1,
    }
    assert ours.errors == {"deadline_exceeded": 1, "rate_limited": 1}
    interval = wilson_interval(2, 25)
    assert ours.error_rate == ShareSeen(value=0.08, n=25, low=interval.low, high=interval.high)
    seconds = [*times, 1.0, 1.0, 1.0]
    assert ours.latency.p99 == pytest.approx(quantile(seconds, 0.99))
    assert (ours.latency.n, ours.latency.p95) == (23, quantile(seconds, 0.95))
    assert ours.first_token.p50 == 0.25
    assert ours.violations == {"email_out": 1, "injection_in": 2}
    assert ours.actions == {"mask": 2, "block": 1}
    assert ours.violation_rate is not None
    assert ours.violation_rate.value == 2 / 25
    assert ours.languages == {"en": 22, "de": 1}
    assert [(one.question, one.mean, one.n) for one in ours.ratings] == [("thumbs_up", 1.0, 1)]
    guide = report.groups[Answerer("guide:docs")]
    assert (guide.violations, guide.violation_rate, guide.actions) == (None, None, None)
    assert guide.languages == {"unknown": 1}
    assert guide.cost == 0
    assert sum(slice_.requests for slice_ in report.slices) == 26
    assert sum(slice_.errors for slice_ in report.slices) == 2


def test_a_cost_that_is_not_known_of_one_answer_is_not_known_of_all(settings: Settings) -> None:
    deployed(settings, candidate())
    serve(settings, [turn(), turn(cost_usd=None, prompt_tokens=None, completion_tokens=None)])
    total = reported(settings).total
    assert (total.cost, total.cost_known, total.unpriced) == (None, Decimal("0.001"), 1)
    assert total.prompt_tokens is None
    document = reported(settings).to_json()["total"]
    assert (document["cost_usd"], document["cost_known_usd"], document["total_tokens"]) == (
        None,
        0.001,
        None,
    )


def test_only_those_chosen_are_looked_at_and_nobody_else_is_made_up(settings: Settings) -> None:
    deployed(settings, candidate(prompt="support@1"))
    deployed(settings, candidate(system="Be brief."), "d2")
    serve(settings, [turn()])
    serve(settings, [turn(), turn()], deployment="d2")
    assert reported(settings, model="openai").total.requests == 3
    assert reported(settings, prompt="support").total.requests == 1
    assert reported(settings, model="openai:gpt-4.1-mini", prompt="support@1").total.requests == 1
    (bare,) = (one for one in reported(settings).groups if one.prompt != "support@1")
    assert (bare.prompt or "").startswith("system #")
    with pytest.raises(InputError, match=r"never answered by gemini; it did by: openai:gpt-4.1"):
        reported(settings, model="gemini")


def test_what_comes_later_is_added_and_what_is_old_is_left_behind(settings: Settings) -> None:
    deployed(settings, candidate())
    clock = Clock()
    serve(settings, [turn(ago=590), turn(ago=10)])
    with watching(settings, 600.0, clock) as traffic:
        assert report_of(traffic).total.requests == 2
        clock.now += 60
        assert report_of(traffic).total.requests == 1
        serve(settings, [turn(ago=-50)])
        assert report_of(traffic).total.requests == 2
        clock.now += 1_000
        assert report_of(traffic).total.requests == 0


def test_looking_back_goes_on_over_several_pages_and_stops_where_all_is_older(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_traffic, "_PAGE", 3)
    deployed(settings, candidate())
    # One that took long is numbered after answers that were asked for later.
    serve(settings, [turn(ago=9_000 - n) for n in range(10)])
    serve(settings, [turn(ago=ago) for ago in (50, 8_000, 40, 30, 20, 10)])
    assert reported(settings).total.requests == 5
    assert reported(settings, 10_000.0).total.requests == 16


def row(number: int, ago: float) -> ServedRow:
    record = turn(ago=ago, inference_time=0.0)
    return ServedRow(
        number=number, deployment="d", owner="", session_id=None, length=1, record=record
    )


def test_a_number_that_may_still_come_is_waited_for_and_one_that_will_not_is_not() -> None:
    now = int(NOW * 1000)
    assert settled([row(5, 100), row(6, 1), row(8, 1)], 4, now) == 6
    assert settled([row(5, 100), row(8, 31)], 4, now) == 8
    assert settled([], 4, now) == 4


def numbered(settings: Settings, old: int, new: int) -> None:
    with database_of(settings) as connection:
        connection.exec_driver_sql(f"UPDATE turns SET number = {new} WHERE number = {old}")


def test_an_answer_that_is_seen_late_is_counted_once_and_so_are_those_before_it(
    settings: Settings,
) -> None:
    deployed(settings, candidate())
    serve(settings, [turn(ago=5), turn(ago=3)])
    # As in PostgreSQL, whose transactions end in any order: the second is on its way.
    numbered(settings, 2, 3)
    with watching(settings) as traffic:
        assert report_of(traffic).total.requests == 2
        serve(settings, [turn(ago=4)])
        numbered(settings, 4, 2)
        assert report_of(traffic).total.requests == 3
        assert report_of(traffic).total.requests == 3


def test_the_page_has_every_figure_and_no_script(settings: Settings) -> None:
    deployed(settings, candidate(prompt="<b>@1", guardrails={"rules": "x"}))
    serve(settings, [turn(violations=[found()]), turn(state="failed", error_reason="overloaded")])
    page = traffic_page(reported(settings))
    assert "<script" not in page
    assert "<b>@1" not in page
    assert "openai:gpt-4.1-mini + &lt;b&gt;@1" in page
    for part in ("50.0% (9.5% to 90.5%)", "overloaded", "injection_in", "2 requests in the 1 h"):
        assert part in page


def test_scores_are_means_of_what_was_scored_and_say_what_was_not(settings: Settings) -> None:
    deployed(settings, candidate())
    turns = [turn(ago=50 - n) for n in range(4)]
    serve(settings, turns)
    with watching(settings) as traffic:
        assert report_of(traffic).total.scores == {}
        for each, value in zip(turns, (1.0, 0.0, 1.0, None), strict=True):
            score(settings, each.trace_id, value)
        score(settings, turns[0].trace_id, 0.25, scorer="token_f1")
        report_of(traffic)
        scores = report_of(traffic).total.scores
    interval = wilson_interval(2, 3)
    contains = scores["contains"]
    assert contains.mean == pytest.approx(2 / 3)
    assert contains.n == 3
    assert (contains.low, contains.high) == (interval.low, interval.high)
    assert contains.not_scored == {"judge_failed": 1}
    assert scores["token_f1"].mean == 0.25
    page = traffic_page(reported(settings))
    for part in ("contains", "66.7%", "judge_failed 1"):
        assert part in page
