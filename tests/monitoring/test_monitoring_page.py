"""`docs/monitoring.md` says what rules there are, and what they are by themselves."""

from __future__ import annotations

import re
from pathlib import Path

from llmflowlab.monitoring.alert_delivery import LOG
from llmflowlab.monitoring.alert_desk import STATE
from llmflowlab.monitoring.alert_kinds import KINDS
from llmflowlab.monitoring.alert_rules import read_rules
from llmflowlab.settings import load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text("utf-8")


def test_every_rule_is_listed_with_its_keys() -> None:
    listed = PAGE.split("| rule | what it watches | keys |")[1].split("\n\n")[0].splitlines()[2:]
    assert listed == [
        f"| `{name}` | {kind.says} | {', '.join(f'`{key}`' for key in (*kind.needs, *kind.may))} |"
        for name, kind in KINDS.items()
    ]


def test_the_file_that_is_shown_can_be_read_and_has_every_kind(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "rules.yaml"
    file.write_text(shown, "utf-8")
    settings = load_settings({"ALERTS_WEBHOOK": "https://hooks.example/x"}, cwd=tmp_path)
    found = read_rules(file, settings)
    assert {rule.kind for rule in found.rules} == set(KINDS)
    assert found.deliveries.command == ("notify-send", "LLMFlowLab", "{text}")


def test_what_holds_where_nothing_is_said_is_so() -> None:
    for kind in ("language_drift", "length_drift"):
        assert KINDS[kind].may == {"tolerance": 0.1, "baseline": 500, "hours": 24.0}
    assert KINDS["latency"].may == {"quantile": 0.95}
    for said in ("at least\n500 first answers", "a whole day", "10 points (`tolerance`)"):
        assert said in PAGE
    days = {kind.window / 86_400 for kind in KINDS.values()}
    assert days == {1, 3, 7}
    assert "nothing of the last day\n(three days of cost, a week of scores and drift)" in PAGE


def test_the_files_of_the_home_are_named() -> None:
    for name in (LOG, STATE):
        assert f"`.llmflowlab/{name}`" in PAGE
