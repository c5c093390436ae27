"""What Prometheus and Grafana are given asks for what the service exports, and for nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from llmflowlab.service.measures import Measures, ScoreMeasures
from tests.deployment.promql import Asked, asked_by

HERE = Path(__file__).parents[2] / "deployment"
DASHBOARD: Any = json.loads((HERE / "grafana" / "llmflowlab.json").read_text("utf-8"))
RULES: Any = yaml.safe_load((HERE / "alert_rules.yml").read_text("utf-8"))
PANELS = DASHBOARD["panels"]
QUERIES = [(panel, target["expr"]) for panel in PANELS for target in panel["targets"]]
_ENDINGS = {
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
    "counter": ("_total",),
    "gauge": ("",),
}
# Prometheus' own.
_OWN = {"le", "instance", "job"}


def exported() -> dict[str, set[str]]:
    """Return what the service exports: names as Prometheus has them, with their labels."""
    registry = CollectorRegistry()
    measures = Measures(registry)
    found: dict[str, set[str]] = {}
    labelled = {
        one._name: set(one._labelnames)
        for one in vars(measures).values()
        if hasattr(one, "_labelnames")
    }
    for family in (*registry.collect(), *ScoreMeasures().collect()):
        labels = labelled.get(family.name) or set(getattr(family, "_labelnames", ()))
        for ending in _ENDINGS[family.type]:
            found[family.name + ending] = labels
    return found


def test_the_language_is_read_as_it_is_meant() -> None:
    query = 'sum by (le, a) (rate(x_bucket{b=~"$c", d!=""}[$__rate_interval])) / max(y) > 0.5 or vector(0)'
    assert asked_by(query) == Asked(frozenset({"x_bucket", "y"}), frozenset({"le", "a", "b", "d"}))


@pytest.mark.parametrize(("panel", "query"), QUERIES, ids=[panel["title"] for panel, _ in QUERIES])
def test_every_query_asks_for_what_is_exported(panel: Any, query: str) -> None:
    there, asked = exported(), asked_by(query)
    assert asked.metrics
    assert asked.metrics <= set(there), panel["title"]
    for metric in asked.metrics:
        known = there[metric] | _OWN
        if len(asked.metrics) == 1:
            assert asked.labels <= known, panel["title"]
    every = set().union(*(there[metric] for metric in asked.metrics)) | _OWN
    assert asked.labels <= every


@pytest.mark.parametrize(("panel", "query"), QUERIES, ids=[panel["title"] for panel, _ in QUERIES])
def test_a_panel_s_unit_is_that_of_its_metric(panel: Any, query: str) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if "histogram_quantile" in query:
        assert unit == "s"
        assert re.search(r"_seconds_bucket\b", query)
    elif "_cost_usd_total" in query:
        assert unit == "currencyUSD"
        # A rate is of a second, the panel of an hour.
        assert query.endswith("* 3600")
    elif " / " in query:
        assert unit == "percentunit"
    elif "token_usage" in query:
        assert unit == "short"
    elif "increase(" in query or not re.search(r"\brate\(", query):
        assert unit == "none"
    else:
        assert unit == "reqps"


def test_everything_that_is_exported_is_on_the_dashboard() -> None:
    shown = {metric for _, query in QUERIES for metric in asked_by(query).metrics}
    families = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in exported()}
    assert families == {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in shown}


def test_alerts_ask_for_what_is_exported_and_say_what_is_wrong() -> None:
    there = exported()
    for rule in RULES["groups"][0]["rules"]:
        asked = asked_by(rule["expr"])
        assert asked.metrics <= {*there, "up"}
        assert asked.labels <= set().union(*there.values(), _OWN)
        assert rule["annotations"]["summary"].endswith(".")


def test_panels_stand_beside_each_other_and_none_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_the_dashboard_asks_the_source_that_is_chosen() -> None:
    sources = {json.dumps(t["datasource"]) for panel in PANELS for t in panel["targets"]}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
