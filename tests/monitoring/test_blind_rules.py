"""Rules that have nothing to look at: none is called quiet, each says why, and a script hears of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.errors import ExitCode
from llmflowlab.guardrails.policy import DEFAULT
from llmflowlab.monitoring.alert_desk import STATE
from llmflowlab.monitoring.alert_kinds import KINDS
from llmflowlab.monitoring.alerts_seen import RuleSeen
from llmflowlab.monitoring.traffic import ChosenAnswers
from llmflowlab.settings import Settings
from tests.monitoring.made_observations import rule_of
from tests.monitoring.made_traffic import NOW, candidate, deployed, found, rate, score, serve, turn
from tests.monitoring.test_alert_desk import Desk, Told, failed

GUARDED = DEFAULT.to_json()
SILENT = {**GUARDED, "in": {**GUARDED["in"], "injection": "off"}}
OTHER_LAB: Mapping[str, Any] = {"rules": "x"}


def looked(home: Settings, kind: str, now: float = NOW, **options: Any) -> RuleSeen:
    (seen,) = Desk(home, Told(home), rule_of(kind, **options)).look(now).rules
    return seen


NOTHING = [
    pytest.param(
        "violation_rate",
        {"above": 0.02},
        {},
        "nothing to look at in the last 1 d: guardrails are off for 30",
        True,
        id="guardrails-off",
    ),
    pytest.param(
        "latency",
        {"above": 8.0},
        {"state": "failed", "answer": "", "error_reason": "overloaded"},
        "nothing to look at in the last 1 d: no whole answer came for 30",
        False,
        id="latency-of-failures",
    ),
    pytest.param(
        "cost_per_hour",
        {"above": 5.0},
        {"cost_usd": None},
        "nothing to look at in the last 3 d: no price is known for 30",
        True,
        id="cost-without-a-price",
    ),
    pytest.param(
        "score_drop",
        {"scorer": "contains", "mean": 0.9, "n": 400},
        {},
        "30 answers of the last 7 d not scored by contains, which serve --score contains does",
        True,
        id="scorer-that-does-not-run",
    ),
    pytest.param(
        "score_drop",
        {"scorer": "rating", "mean": 0.9, "n": 400},
        {},
        "nobody has given a rating to 30 answers of the last 7 d",
        False,
        id="nobody-rates",
    ),
    pytest.param(
        "language_drift",
        {},
        {"language": None},
        "nothing to look at in the last 7 d: no language was recognised for 30",
        False,
        id="no-language",
    ),
    pytest.param(
        "length_drift",
        {},
        {"state": "failed", "answer": "", "error_reason": "overloaded"},
        "nothing to look at in the last 7 d: no whole answer came for 30",
        False,
        id="no-length",
    ),
]


@pytest.mark.parametrize(("kind", "options", "made", "why", "unset"), NOTHING)
def test_a_rule_that_can_make_nothing_of_any_answer_is_unknown_and_says_why(
    settings: Settings,
    kind: str,
    options: Mapping[str, Any],
    made: Mapping[str, Any],
    why: str,
    unset: bool,
) -> None:
    deployed(settings, candidate())
    serve(settings, [turn(ago=900 - n, **made) for n in range(30)])
    seen = looked(settings, kind, **options)
    assert (seen.state, seen.text, seen.unset) == ("unknown", why, unset)
    assert seen.said == f"a rule: unknown, {why}"
    assert (seen.looked_at.answers, seen.looked_at.values) == (30, 0)


def test_every_kind_but_the_one_that_looks_at_all_requests_can_be_without_data() -> None:
    assert {each.values[0] for each in NOTHING} == set(KINDS) - {"error_rate"}


@pytest.mark.parametrize(
    ("kind", "options", "state"),
    [
        ("error_rate", {"above": 0.05}, "unknown"),
        ("latency", {"above": 8.0}, "unknown"),
        ("violation_rate", {"above": 0.02}, "unknown"),
        ("score_drop", {"scorer": "contains", "mean": 0.9, "n": 400}, "unknown"),
        # It is known what nothing costs, and that nothing of a baseline was seen.
        ("cost_per_hour", {"above": 5.0}, "quiet"),
        ("language_drift", {}, "learning"),
        ("length_drift", {}, "learning"),
    ],
)
def test_where_nothing_was_asked_nothing_has_to_be_set_up(
    settings: Settings, kind: str, options: Mapping[str, Any], state: str
) -> None:
    deployed(settings, candidate())
    seen = looked(settings, kind, **options)
    assert (seen.state, seen.unset) == (state, False)
    assert state != "unknown" or str(seen.text).startswith("nothing was asked in the last ")


@pytest.mark.parametrize("kind", ["error_rate", "cost_per_hour", "length_drift"])
def test_a_model_that_never_answered_is_named(settings: Settings, kind: str) -> None:
    deployed(settings, candidate())
    serve(settings, [turn()])
    options = {"above": 0.05} if kind != "length_drift" else {}
    seen = looked(settings, kind, chosen=ChosenAnswers(model="opennai"), **options)
    assert (seen.state, seen.unset) == ("unknown", True)
    assert seen.text == "The service never answered by opennai; it did by: openai:gpt-4.1-mini"


@pytest.mark.parametrize(
    ("policy", "options", "state"),
    [
        pytest.param(GUARDED, {}, "quiet", id="any"),
        pytest.param(SILENT, {"category": "injection"}, "quiet", id="on-the-way-out"),
        pytest.param(SILENT, {"category": "injection", "direction": "in"}, "unknown", id="off"),
        pytest.param(GUARDED, {"category": "own", "action": "log"}, "unknown", id="other-action"),
        pytest.param(GUARDED, {"category": "secrets", "action": "warn"}, "unknown", id="masked"),
        pytest.param(
            {**GUARDED, "detector": "local:x"},
            {"category": "secrets", "action": "warn"},
            "quiet",
            id="a-detector-only-warns",
        ),
        pytest.param(OTHER_LAB, {"category": "injection"}, "quiet", id="policy-of-another-version"),
    ],
)
def test_guardrails_that_cannot_find_what_is_watched_for_are_none(
    settings: Settings, policy: Mapping[str, Any], options: Mapping[str, Any], state: str
) -> None:
    deployed(settings, candidate(guardrails=policy))
    serve(settings, [turn(ago=900 - n) for n in range(30)])
    seen = looked(settings, "violation_rate", above=0.02, **options)
    assert seen.state == state
    if state == "unknown":
        assert str(seen.text).endswith("guardrails look for no such thing for 30")


def test_what_a_judge_cannot_score_is_said_beside_what_it_can(settings: Settings) -> None:
    deployed(settings, candidate())
    answers = [turn(ago=4_000 - n) for n in range(30)]
    serve(settings, answers)
    for each in answers[:10]:
        score(settings, each.trace_id, None, ago=3_000)
    options: dict[str, Any] = {"scorer": "contains", "mean": 0.9, "n": 400}
    seen = looked(settings, "score_drop", **options)
    assert (seen.state, seen.unset) == ("unknown", False)
    assert seen.text == "nothing to look at in the last 7 d: judge failed for 10"
    for each in answers[10:]:
        score(settings, each.trace_id, 1.0, ago=-10)
    seen = looked(settings, "score_drop", NOW + 120, **options)
    assert seen.said.startswith("a rule: quiet, evidence ")
    assert seen.said.endswith("; not looked at: judge failed for 10")


def test_scores_that_are_not_given_yet_need_no_setting_up(settings: Settings) -> None:
    deployed(settings, candidate())
    answer, other = turn(ago=4_000), turn(ago=90_000)
    serve(settings, [other, answer])
    score(settings, other.trace_id, 1.0, ago=89_000)
    seen = looked(settings, "score_drop", scorer="contains", mean=0.9, n=400)
    assert (seen.state, seen.unset) == ("unknown", False)
    assert seen.text == "no contains of 1 answer of the last 7 d is there yet"


def test_what_was_looked_at_leaves_with_the_window(settings: Settings) -> None:
    deployed(settings, candidate(guardrails=GUARDED))
    deployed(settings, candidate("guide:docs"), "d2")
    serve(settings, [turn(ago=900 - n) for n in range(30)])
    rule = rule_of("violation_rate", above=0.02)
    desk = Desk(settings, Told(settings), rule)
    assert desk.look().rules[0].state == "quiet"
    serve(settings, [turn(ago=-3_600 - n) for n in range(5)], deployment="d2")
    (seen,) = desk.look(NOW + 7_200).rules
    assert seen.said.endswith("; not looked at: guardrails are off for 5")
    assert (seen.looked_at.answers, seen.looked_at.values) == (35, 30)
    serve(settings, [turn(ago=-89_000 - n) for n in range(5)], deployment="d2")
    (seen,) = desk.look(NOW + 95_000).rules
    assert (seen.state, seen.text) == (
        "unknown",
        "nothing to look at in the last 1 d: guardrails are off for 5",
    )
    (seen,) = desk.look(NOW + 300_000).rules
    assert seen.text == "nothing was asked in the last 1 d"


def test_an_alert_stands_though_nothing_comes_any_more(settings: Settings) -> None:
    deployed(settings, candidate())
    serve(settings, [failed(ago=300 - n) for n in range(40)])
    desk = Desk(settings, Told(settings))
    desk.look()
    assert [one.state for one in desk.look(NOW + 7_200).rules] == ["standing"]


def test_what_was_kept_before_this_was_counted_has_looked_at_what_it_has_seen(
    settings: Settings,
) -> None:
    deployed(settings, candidate())
    serve(settings, [turn(ago=900 - n) for n in range(30)])
    desk = Desk(settings, Told(settings), rule_of("latency", above=8.0), rule_of("length_drift"))
    desk.look()
    file = settings.state_dir / STATE
    kept = json.loads(file.read_text())
    for each in kept["rules"].values():
        del each["knows"]["looked_at"]
    file.write_text(json.dumps(kept))
    seen = desk.look(NOW + 120).rules
    assert [(one.state, one.looked_at.values) for one in seen] == [("quiet", 30), ("learning", 30)]


RULES = """\
rules:
- violation_rate: {above: 0.02}
- latency: {above: 8}
- name: openai's
  error_rate: {above: 0.05}
  model: openai
"""


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    later = iter(range(120, 10_000, 120))
    monkeypatch.setattr(time, "time", lambda: NOW + next(later))
    (settings.home / "rules.yaml").write_text(RULES)
    return [str(settings.home / "rules.yaml")]


def test_a_script_hears_of_it_by_the_code_and_in_a_word(
    settings: Settings, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    who = deployed(settings, candidate())
    assert main(["monitor", "alerts", *command, "--once"]) == ExitCode.DONE
    said = capsys.readouterr()
    assert "latency: unknown, nothing was asked in the last 1 d\n" in said.out
    assert "There is nothing to look at for violation_rate, latency, openai's.\n" in said.err
    serve(settings, [turn(ago=900 - n) for n in range(30)], deployment=who)
    assert main(["monitor", "alerts", *command, "--json"]) == ExitCode.NOT_CONFIGURED
    said = capsys.readouterr()
    assert said.err == (
        "There is nothing to look at for violation_rate; set up what that needs, or take it out of "
        "the file.\n"
    )
    document = json.loads(said.out)
    assert (document["unknown"], document["standing"]) == (1, 0)
    assert [one["state"] for one in document["rules"]] == ["unknown", "quiet", "quiet"]
    assert document["rules"][0]["looked_at"] == {
        "seconds": 86_400.0,
        "answers": 30,
        "values": 0,
        "lacking": {"guardrails_off": 30},
    }
    serve(settings, [failed(ago=-150 - n) for n in range(40)], deployment=who)
    assert main(["monitor", "alerts", *command, "--once"]) == ExitCode.GATE_NOT_MET
    assert "There is nothing to look at for violation_rate; set" in capsys.readouterr().err


def test_screen_document_and_page_say_the_same_of_each_rule(
    settings: Settings,
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW + 120)
    guarded = deployed(settings, candidate(guardrails=GUARDED))
    deployed(settings, candidate("guide:docs"), "d2")
    answers = [turn(ago=900 - n, violations=[found()] if n % 2 else []) for n in range(30)]
    serve(settings, answers, deployment=guarded)
    rate(settings, answers[0].trace_id, True)
    serve(settings, [turn(ago=60 - n, cost_usd=None) for n in range(3)], deployment="d2")
    page = tmp_path / "traffic.html"
    told = ["monitor", "report", "--rules", *command, "--html", str(page)]
    assert main([*told, "--json"]) == ExitCode.DONE
    rules = json.loads(capsys.readouterr().out)["alerts"]["rules"]
    assert [one["state"] for one in rules] == ["standing", "quiet", "quiet"]
    main(["monitor", "alerts", *command, "--once"])
    screen = capsys.readouterr().out
    html = page.read_text()
    for one in rules:
        assert f"{one['said']}\n" in screen
        assert one["said"].replace("'", "&#x27;") in html
    (blind, *_) = rules
    assert blind["looked_at"]["lacking"] == {"guardrails_off": 3}
    # The live table has what stands and what looks at nothing.
    main(["monitor", *told[2:4], "--once"])
    assert blind["said"] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("category: injektion", "'injektion' is not a category of guardrails: toxicity, profanity"),
        ("direction: inwards", "'inwards' is not a direction: in, out"),
        ("action: 'off'", "'off' is not an action of guardrails: block, mask, warn, log"),
    ],
)
def test_what_guardrails_never_say_cannot_be_watched_for(
    settings: Settings,
    command: list[str],
    said: str,
    wrong: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deployed(settings, candidate())
    Path(command[0]).write_text(f"rules:\n- violation_rate: {{above: 0.02, {said}}}\n")
    assert main(["monitor", "alerts", *command, "--once"]) == ExitCode.BAD_INPUT
    assert wrong in capsys.readouterr().err
