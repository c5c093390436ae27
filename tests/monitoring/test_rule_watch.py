"""Each rule fires on what it is about, is quiet without it, and clears when the evidence says so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from llmflowlab.monitoring.alert_kinds import KINDS
from llmflowlab.monitoring.rule_watch import EvaluatedBaseline, RuleWatch
from llmflowlab.monitoring.traffic import ChosenAnswers
from llmflowlab.statistics.change_evidence import Band
from llmflowlab.statistics.strongest import strongest
from llmflowlab.statistics.watch import Watch
from tests.monitoring.made_observations import Stream, rule_of
from tests.monitoring.made_traffic import found

Make = Callable[[random.Random], Mapping[str, Any]]


def failing(share: float) -> Make:
    return lambda r: {"state": "failed", "error_reason": "overloaded"} if r.random() < share else {}


def violating(share: float, category: str = "injection") -> Make:
    return lambda r: {"violations": [found("block", category)] if r.random() < share else []}


def taking(mean: float) -> Make:
    return lambda r: {"inference_time": r.expovariate(1 / mean)}


def costing(mean: float) -> Make:
    return lambda r: {"cost_usd": str(2 * mean * r.random())}


def rated(share: float) -> Make:
    return lambda r: {"scorer": "thumbs_up", "score": float(r.random() < share)}


def german(share: float) -> Make:
    return lambda r: {"language": "de" if r.random() < share else "en"}


def long(factor: float) -> Make:
    return lambda r: {"length": int(r.lognormvariate(5, 0.5) * factor)}


BASELINE = EvaluatedBaseline(mean=0.9, n=400)
EFFECTS = [
    pytest.param(
        ("error_rate", {"above": 0.05}), failing(0.03), failing(0.25), 1, "errors", id="errors"
    ),
    pytest.param(
        ("violation_rate", {"above": 0.05, "category": "injection"}),
        lambda r: {**violating(0.5, "toxicity")(r)},
        violating(0.3),
        1,
        "guardrails found something in",
        id="violations",
    ),
    pytest.param(
        ("latency", {"above": 8.0}), taking(2.0), taking(6.0), 2, "take longer than 8 s", id="p95"
    ),
    pytest.param(
        ("cost_per_hour", {"above": 2.4}),
        costing(0.008),
        costing(0.03),
        3,
        "an hour, above $2.4",
        id="cost",
    ),
    pytest.param(
        ("score_drop", {"scorer": "thumbs_up"}),
        rated(0.9),
        rated(0.5),
        2,
        "mean thumbs_up is",
        id="score",
    ),
    pytest.param(
        ("language_drift", {"hours": 6}), german(0.2), german(0.7), 2, "the share of", id="language"
    ),
    pytest.param(
        ("length_drift", {"hours": 6}),
        long(1),
        long(2.5),
        2,
        "as long as the longest is",
        id="length",
    ),
]


def stream(kind: str, options: Mapping[str, Any], **more: Any) -> Stream:
    baseline = BASELINE if kind == "score_drop" else None
    return Stream(rule_of(kind, **options), baseline=baseline, **more)


@pytest.mark.parametrize(("rule", "usual", "wrong", "hours", "said"), EFFECTS)
def test_it_is_quiet_fires_on_its_effect_and_clears_once_it_is_over(
    rule: tuple[str, Mapping[str, Any]], usual: Make, wrong: Make, hours: float, said: str
) -> None:
    here = stream(*rule)
    assert here.run(12, usual) == []
    assert here.watch.state == "quiet"
    events = here.run(hours, wrong)
    assert [one.state for one in events] == ["fired"]
    assert said in events[0].text
    assert here.watch.state == "standing"
    assert (events[0].n, events[0].method) == (events[0].n, KINDS[rule[0]].method)
    # It stands while the effect lasts, and says nothing more.
    assert here.run(2, wrong) == []
    events = here.run(24, usual)
    assert [one.state for one in events] == ["cleared"]
    assert here.watch.state == "quiet"
    # It is as awake as before.
    assert [one.state for one in here.run(hours, wrong)] == ["fired"]


def test_every_kind_has_its_effect_tried() -> None:
    assert {each.values[0][0] for each in EFFECTS} == set(KINDS)  # type: ignore[index]


@pytest.mark.parametrize(("rule", "usual", "wrong", "hours", "said"), EFFECTS)
def test_what_it_knows_survives_a_restart_at_any_time(
    rule: tuple[str, Mapping[str, Any]], usual: Make, wrong: Make, hours: float, said: str
) -> None:
    whole, parted = stream(*rule), stream(*rule)
    found_by_whole, found_by_parted = [], []
    for make in (usual, wrong, usual):
        for _ in range(8):
            found_by_whole += whole.run(1.05, make)
            found_by_parted += parted.run(1.05, make)
            kept = json.loads(json.dumps(parted.watch.to_json(), allow_nan=False))
            parted.watch = RuleWatch.from_json(parted.watch.rule, kept)
    assert found_by_parted == found_by_whole
    assert found_by_whole


def test_a_score_that_rises_and_errors_that_vanish_are_no_alert() -> None:
    better = stream("score_drop", {"scorer": "thumbs_up"})
    assert better.run(48, rated(1.0)) == []
    assert stream("error_rate", {"above": 0.5}).run(12, failing(0.0)) == []


def test_more_answers_of_a_baseline_show_smaller_drops() -> None:
    def waited(n: int) -> float | None:
        baseline = EvaluatedBaseline(mean=0.9, n=n)
        rule = rule_of("score_drop", scorer="thumbs_up")
        return Stream(rule, baseline=baseline).until_fired(48, rated(0.7))

    few, many = waited(60), waited(2_000)
    assert few is None
    assert many is not None
    assert many < 4


def test_only_those_that_a_rule_is_about_are_looked_at() -> None:
    chosen = ChosenAnswers(model="gemini")
    here = Stream(rule_of("error_rate", above=0.05, chosen=chosen))
    assert here.run(6, failing(1.0)) == []


def test_in_a_conversation_only_the_first_answer_tells_of_drift() -> None:
    here = stream("language_drift", {"baseline": 100, "hours": 0})
    later: Make = lambda r: {"language": "de", "index": 3}  # noqa: E731 - as the others are
    assert here.run(5, later) == []
    assert here.watch.state == "learning"
    assert here.watch.learnt == []
    here.run(1, german(0.2))
    assert here.run(24, later) == []


def test_a_language_nobody_has_seen_is_one_of_the_others() -> None:
    here = stream("language_drift", {"baseline": 200, "hours": 0})
    here.run(2, german(0.2))
    (event,) = here.run(5, lambda r: {"language": "fi"})
    assert here.watch.labels == ["en", "de", "other"]
    assert "other" in event.text or "en" in event.text


def test_a_baseline_is_of_a_whole_day_however_much_comes() -> None:
    here = stream("language_drift", {"baseline": 100})
    night, day = german(0.1), german(0.5)
    here.run(10, lambda r: {"language": None})
    here.run(12, night)
    here.run(11.9, day)
    assert here.watch.state == "learning"
    assert len(here.watch.learnt) < 400
    here.run(0.3, day)
    assert here.watch.state == "quiet"
    assert here.watch.before[here.watch.labels.index("de")] == pytest.approx(0.3, abs=0.08)


def test_an_alert_is_over_where_nothing_came_for_as_long_as_evidence_counts() -> None:
    here = stream("error_rate", {"above": 0.05})
    assert [one.state for one in here.run(1, failing(0.9))] == ["fired"]
    here.now_ms += 26 * 3_600_000
    (event,) = here.run(0.01, failing(0.0))
    assert event.text == "a rule: nothing shows it any more"


def test_a_quiet_night_is_nothing_and_what_was_learnt_stays() -> None:
    here = stream("error_rate", {"above": 0.05})
    here.run(2, failing(0.0))
    here.now_ms += 14 * 3_600_000
    assert here.run(1, failing(0.03)) == []
    assert [one.state for one in here.run(1, failing(0.5))] == ["fired"]


def test_an_unknown_cost_is_evidence_of_nothing() -> None:
    here = stream("cost_per_hour", {"above": 0.01})
    assert here.run(24, lambda r: {"cost_usd": None}) == []


def test_an_event_has_one_id_however_often_it_is_made() -> None:
    def ids() -> list[str]:
        here = stream("error_rate", {"above": 0.05})
        return [one.id for one in here.run(3, failing(0.5))]

    assert ids() == ids()
    assert len(ids()) == 1


@pytest.mark.parametrize(
    ("rule", "make", "days"),
    [
        (("error_rate", {"above": 0.2}), failing(0.2), 1),
        (("language_drift", {"baseline": 60, "hours": 0}), german(0.5), 3),
        (("length_drift", {"baseline": 60, "hours": 0}), long(1), 3),
    ],
)
def test_at_the_limit_itself_hardly_any_false_alarm_comes(
    rule: tuple[str, Mapping[str, Any]], make: Make, days: int
) -> None:
    # In a month 1 % at most; a detector that tests each look at 1 % has one in every of these.
    # `make simulate` looks at whole months.
    months = [stream(*rule, seed=seed, per_minute=0.5) for seed in range(8)]
    assert sum(here.until_fired(24 * days, make) is not None for here in months) == 0


def test_the_strongest_says_since_when_and_where() -> None:
    watch = Watch([Band(high=0.1), Band(high=0.1)], horizon=100, window=50)
    with pytest.raises(ValueError, match="seen nothing"):
        strongest(watch)
    for _ in range(20):
        watch.observe([(0, 5), (0, 5)])
    for _ in range(5):
        watch.observe([(0, 5), (4, 5)])
    seen = strongest(watch)
    assert (seen.looks, seen.stream, seen.total, seen.n) == (5, 1, 20, 25)
