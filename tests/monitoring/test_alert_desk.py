"""Rules at work on a service's database: told once, whoever looks and whatever ends in between."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.cli.arguments import parse
from llmflowlab.cli.monitor.alerts_command import run_alerts
from llmflowlab.errors import ExitCode, InputError, TrackingError
from llmflowlab.lab.lab import Lab
from llmflowlab.monitoring.alert_delivery import Messenger
from llmflowlab.monitoring.alert_desk import STATE, AlertDesk
from llmflowlab.monitoring.alert_events import AlertEvent
from llmflowlab.monitoring.alert_rules import AlertRule, Deliveries
from llmflowlab.monitoring.traffic import opened_database
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp
from tests.monitoring.made_observations import rule_of
from tests.monitoring.made_traffic import NOW, candidate, deployed, rate, score, serve, turn

ERRORS = rule_of("error_rate", above=0.05)


class Told(Messenger):
    """Keeps what it is to carry; fails on the ways that it is told to fail on."""

    def __init__(self, settings: Settings, *fails: str) -> None:
        super().__init__(settings, Deliveries(webhook="https://x.example"))
        self.fails = set(fails)
        self.told: list[tuple[str, str]] = []

    def deliver(self, event: AlertEvent, way: str) -> None:
        if way in self.fails:
            raise TrackingError(f"The {way} is away.")
        self.told.append((way, event.state))


class Desk:
    def __init__(self, settings: Settings, messenger: Messenger, *rules: AlertRule) -> None:
        self.now = NOW
        self._settings = settings
        self._messenger = messenger
        self._rules = rules or (ERRORS,)

    def look(self, now: float | None = None) -> Any:
        self.now = self.now if now is None else now
        with self.opened() as desk:
            return desk.look()

    @contextmanager
    def opened(self) -> Iterator[AlertDesk]:
        lab = Lab(self._settings)
        with opened_database(self._settings) as engine:
            yield AlertDesk(lab, engine, self._rules, self._messenger, clock=lambda: self.now)


def failed(ago: float, **more: Any) -> Any:
    return turn(ago=ago, state="failed", answer="", error_reason="overloaded", **more)


@pytest.fixture
def home(settings: Settings) -> Settings:
    deployed(settings, candidate())
    return settings


def test_an_alert_is_told_once_by_all_who_look_and_so_is_its_end(home: Settings) -> None:
    messenger = Told(home)
    one, other = Desk(home, messenger), Desk(home, messenger)
    serve(home, [turn(ago=3_000 - n) for n in range(50)])
    assert one.look().standing == []
    serve(home, [failed(ago=300 - n) for n in range(40)])
    assert [e.state for e in one.look(NOW + 120).events] == ["fired"]
    other.now = NOW + 120
    assert other.look().events == []
    assert [rule.state for rule in other.look().rules] == ["standing"]
    assert messenger.told == [("log", "fired"), ("webhook", "fired")]
    serve(home, [turn(ago=-600 - n) for n in range(400)])
    cleared = other.look(NOW + 1_200)
    assert [(e.state, e.text) for e in cleared.events] == [
        ("cleared", "a rule: the last answers show that it is over")
    ]
    assert one.look(NOW + 1_200).standing == []
    assert messenger.told[2:] == [("log", "cleared"), ("webhook", "cleared")]


def test_those_who_look_at_the_same_moment_tell_it_once(home: Settings) -> None:
    messenger = Told(home)
    serve(home, [failed(ago=300 - n) for n in range(40)])
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda _: Desk(home, messenger).look(), range(4)))
    assert sorted(len(one.events) for one in seen) == [0, 0, 0, 1]
    assert messenger.told == [("log", "fired"), ("webhook", "fired")]


def test_what_does_not_arrive_is_sent_again_and_what_arrived_is_not(home: Settings) -> None:
    messenger = Told(home, "webhook")
    desk = Desk(home, messenger)
    serve(home, [failed(ago=300 - n) for n in range(40)])
    assert desk.look().undelivered == ["The webhook is away."]
    assert desk.look().undelivered == ["The webhook is away."]
    messenger.fails.clear()
    assert desk.look().undelivered == []
    desk.look()
    assert messenger.told == [("log", "fired"), ("webhook", "fired")]


def test_a_kill_while_it_is_sent_repeats_it_and_nothing_else(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    messenger = Told(home)
    desk = Desk(home, messenger)
    serve(home, [failed(ago=300 - n) for n in range(40)])
    ids = []

    def killed(event: AlertEvent, way: str) -> None:
        ids.append(event.id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(messenger, "deliver", killed)
        with pytest.raises(KeyboardInterrupt):
            desk.look()
    again = desk.look()
    assert again.events == []
    assert len(again.standing) == 1
    assert messenger.told == [("log", "fired"), ("webhook", "fired")]
    assert len(set(ids)) == 1


def test_answers_that_end_while_nobody_looks_are_looked_at_later(home: Settings) -> None:
    desk = Desk(home, Told(home))
    serve(home, [turn(ago=80_000 - n) for n in range(200)])
    desk.look()
    serve(home, [failed(ago=-10_000 - n) for n in range(40)])
    (event,) = desk.look(NOW + 40_000).events
    assert event.at_ms == pytest.approx((NOW + 10_060) * 1000, abs=120_000)


def test_ratings_are_held_against_what_was_said_of_the_evaluation(home: Settings) -> None:
    rule = rule_of("score_drop", scorer="thumbs_up", mean=0.95, n=500)
    desk = Desk(home, Told(home), rule)
    answers = [turn(ago=4_000 - n) for n in range(80)]
    serve(home, answers)
    (before,) = desk.look().rules
    assert (before.state, before.unset) == ("unknown", False)
    assert before.text == "nobody has given a thumbs_up to 80 answers of the last 7 d"
    for answer in answers:
        rate(home, answer.trace_id, False)
    (event,) = desk.look(NOW + 1_300).events
    assert event.text.startswith("a rule: mean thumbs_up is 0.0%, and was 95.0% in the baseline")
    assert desk.look(NOW + 1_400).events == []


def test_scores_of_the_background_are_too_each_once(home: Settings) -> None:
    rule = rule_of("score_drop", scorer="contains", mean=0.95, n=500)
    desk = Desk(home, Told(home), rule)
    answers = [turn(ago=4_000 - n) for n in range(80)]
    serve(home, answers)
    for place, answer in enumerate(answers):
        score(home, answer.trace_id, 0.0 if place else None, ago=3_000 - place)
        score(home, answer.trace_id, 1.0, scorer="token_f1", ago=3_000 - place)
    (event,) = desk.look().events
    assert "mean contains is 0.0%, and was 95.0% in the baseline, of 79 in" in event.text
    assert desk.look(NOW + 60).events == []


def test_a_baseline_that_is_not_there_is_said(home: Settings) -> None:
    rule = rule_of("score_drop", scorer="contains", evaluation="20260101-1")
    with pytest.raises(InputError, match="No evaluation was made"):
        Desk(home, Told(home), rule).look()


def test_a_score_is_held_against_an_evaluation_of_this_home(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        f"What is {n}?,{n},{'it is ' if n % 5 else 'not '}{n if n % 5 else 0}" for n in range(1, 31)
    ]
    file = tmp_path / "answered.csv"
    file.write_text("\n".join(["question,expected,response", *lines]))
    told = ["evaluate", "--data", str(file), "--answers", "response", "--scorer", "exact_match"]
    assert main([*told, "--scorer", "contains", "--json"]) == ExitCode.DONE
    name = json.loads(capsys.readouterr().out)["evaluation_id"]
    wrong = rule_of("score_drop", scorer="token_f1", evaluation=name)
    with pytest.raises(
        InputError, match="has no mean of token_f1; its scores: exact_match, contains"
    ):
        Desk(home, Told(home), wrong).look()
    answers = [turn(ago=4_000 - n) for n in range(80)]
    serve(home, answers)
    for place, answer in enumerate(answers):
        score(home, answer.trace_id, 0.0, ago=3_000 - place)
    rule = rule_of("score_drop", scorer="contains", evaluation=name)
    (event,) = Desk(home, Told(home), rule).look().events
    assert "mean contains is 0.0%, and was 80.0% in the baseline" in event.text


def test_a_damaged_memory_is_put_aside_and_watching_goes_on(home: Settings) -> None:
    desk = Desk(home, Told(home))
    serve(home, [turn(ago=3_000)])
    desk.look()
    file = home.state_dir / STATE
    for damage in ("{", "[]", '{"rules": {"%s": {"at_ms": 1, "knows": {}}}, "waiting": []}'):
        file.write_text(damage.replace("%s", ERRORS.id))
        assert desk.look().rules[0].state == "quiet"
    assert len(list(home.state_dir.glob(f"{STATE}.bad-*"))) == 3


def test_rules_of_other_files_keep_what_they_know_until_nobody_has_them(home: Settings) -> None:
    other = rule_of("latency", above=8.0)
    Desk(home, Told(home), ERRORS).look()
    Desk(home, Told(home), other).look(NOW + 60)

    def known() -> set[str]:
        return set(json.loads((home.state_dir / STATE).read_text())["rules"])

    assert known() == {ERRORS.id, other.id}
    Desk(home, Told(home), other).look(NOW + 91 * 86_400)
    assert known() == {other.id}


RULES = "rules:\n- error_rate: {above: 0.05}\n- language_drift: {baseline: 100}\n"


@pytest.fixture
def command(home: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    later = iter(range(0, 10_000, 120))
    monkeypatch.setattr(time, "time", lambda: NOW + next(later))
    (home.home / "rules.yaml").write_text(RULES)
    return ["monitor", "alerts", str(home.home / "rules.yaml")]


def test_for_cron_it_looks_once_and_ends_with_5_where_an_alert_stands(
    home: Settings, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    serve(home, [turn(ago=3_000 - n) for n in range(50)])
    assert main([*command, "--once"]) == ExitCode.DONE
    said = capsys.readouterr()
    assert "error_rate: quiet, evidence " in said.out
    assert "language_drift: learning for 24 h at least, 50 of 100 seen" in said.out
    assert said.err.endswith("Chance of any false alarm in 30 days: 2.0 % at most.\n")
    serve(home, [failed(ago=300 - n) for n in range(40)])
    assert main([*command, "--json"]) == ExitCode.GATE_NOT_MET
    document = json.loads(capsys.readouterr().out)
    assert document["standing"] == 1
    assert document["false_alarm"] == {"each": 0.01, "any": 0.02, "days": 30.0}
    assert [(one["name"], one["state"]) for one in document["rules"]] == [
        ("error_rate", "standing"),
        ("language_drift", "learning"),
    ]
    assert [one["state"] for one in document["events"]] == ["fired"]
    assert main([*command, "--once"]) == ExitCode.GATE_NOT_MET
    assert "ALERT error_rate: 100.0% errors, above 5.0%" in capsys.readouterr().out


def test_it_goes_on_until_ctrl_c_and_says_what_begins_and_what_ends(
    home: Settings, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    deliver = f"deliver: {{command: [{sys.executable}, -c, 'raise SystemExit(3)']}}\n"
    (home.home / "rules.yaml").write_text(deliver + RULES)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            serve(home, [failed(ago=-n) for n in range(40)])
        elif len(waits) == 2:
            (home.state_dir / STATE).unlink()
            (home.state_dir / STATE).mkdir()
        elif len(waits) == 3:
            raise KeyboardInterrupt

    arguments = parse([*command, "--every", "7"])
    with pytest.raises(KeyboardInterrupt):
        run_alerts(FakeApp(home), arguments, wait=wait)
    said = capsys.readouterr()
    assert waits == [7, 7, 7]
    assert "error_rate: unknown, nothing was asked in the last 1 d\n" in said.out
    assert (
        "language_drift: unknown, nothing to look at in the last 7 d: no whole answer came"
        in said.out
    )
    assert "error_rate: 100.0% errors, above 5.0%, of 40 in" in said.out
    assert "ended with 3." in said.err
    assert "Asked again in 7 s." in said.err


def test_the_live_table_says_which_alerts_stand(
    home: Settings, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    serve(home, [failed(ago=300 - n) for n in range(40)])
    assert main(["monitor", "--rules", command[-1], "--once"]) == ExitCode.DONE
    assert "ALERT error_rate: 100.0% errors" in capsys.readouterr().err
    assert main(["monitor", "--rules", command[-1], "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["alerts"]["standing"] == 1


def test_a_bad_file_ends_with_2(
    home: Settings, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (home.home / "rules.yaml").write_text("rules:\n- error_rate: {above: 5}\n")
    assert main([*command, "--once"]) == ExitCode.BAD_INPUT
    assert "line 2: rules.1.error_rate.above 5 is not a share" in capsys.readouterr().err
