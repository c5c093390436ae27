"""Prometheus' own tool on the rules, and on the dashboard's queries."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parents[2] / "deployment"


def checked(rules: Path) -> str:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; run: apt-get install prometheus")
    done = subprocess.run(
        [promtool, "check", "rules", str(rules)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_alerts_are_prometheus_rules() -> None:
    assert "4 rules found" in checked(HERE / "alert_rules.yml")


def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    dashboard = json.loads((HERE / "grafana" / "llmflowlab.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    given = {"$__rate_interval": "1m", "$model": ".*"}
    rules = [
        {
            "record": f"query:{number}",
            "expr": re.sub(r"\$\w+", lambda match: given[match[0]], query),
        }
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), "utf-8")
    assert f"{len(queries)} rules found" in checked(file)


def test_what_prometheus_is_told_is_understood(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; run: apt-get install prometheus")
    for name in ("prometheus.yml", "alert_rules.yml"):
        shutil.copy(HERE / name, tmp_path)
    command = [promtool, "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
