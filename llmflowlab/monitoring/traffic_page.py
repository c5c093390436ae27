"""A window of traffic as a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from html import escape
from pathlib import Path

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.reports.plain_page import plain_page, section
from llmflowlab.evaluation.reports.tables_html import seconds, table
from llmflowlab.evaluation.reports.whole import whole_file
from llmflowlab.monitoring.alerts_seen import AlertsSeen
from llmflowlab.monitoring.traffic_figures import ShareSeen, TrafficFigures, TrafficReport
from llmflowlab.monitoring.window import span
from llmflowlab.text.amounts import plural
from llmflowlab.text.money import dollars

__all__ = ["traffic_page", "write_traffic_html"]

_FOOTER = (
    "Intervals: 95 %, Wilson. Seconds are of answers; requests that the service refused before a model was "
    "asked are counted by its /metrics. Unknown is said, and never 0."
)


def write_traffic_html(report: TrafficReport, file: Path, alerts: AlertsSeen | None = None) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        with whole_file(file) as out:
            out.write(traffic_page(report, alerts))
    except TrackingError as exc:
        why = getattr(exc.__cause__, "strerror", None) or "it fails"
        raise InputError(f"{file} cannot be written ({why}); name another file.") from exc


def traffic_page(report: TrafficReport, alerts: AlertsSeen | None = None) -> str:
    """Return the page: alerts, who answered, what went wrong or was found, and the window in slices."""
    until = _date(report.until_ms)
    asked = plural(report.total.requests, "request")
    subtitle = f"{asked} in the {span(round(report.seconds))} to {until} UTC"
    named = {one.label: figures for one, figures in report.groups.items()} | {"all": report.total}
    counted = [
        _counts("errors", "Errors by reason", {n: f.errors for n, f in named.items()}),
        _counts("found", "What guardrails found", {n: f.violations for n, f in named.items()}),
        _counts("actions", "What they did", {n: f.actions for n, f in named.items()}),
        _counts("languages", "Languages", {n: f.languages for n, f in named.items()}),
    ]
    sections = [
        *([] if alerts is None else [_alerts(alerts)]),
        section("who", "Who answered", [_answerers(named)]),
        *(each for each in counted if each),
        *_scores(named),
        section("slices", "Over time", [_slices(report)]),
    ]
    return plain_page("Traffic", subtitle, sections, _FOOTER)


def _alerts(seen: AlertsSeen) -> str:
    rows = [
        (
            one.rule.name,
            one.state,
            one.said,
            f"{one.looked_at.answers:,}",
            f"{one.looked_at.values:,}",
        )
        for one in seen.rules
    ]
    chance = f"Chance of any false alarm in {seen.days:g} days: {seen.false_alarm:.1%} at most"
    columns = ("rule", "state", "in words", "answers", "values looked at")
    return section("alerts", "Alerts", [table(chance, columns, rows, numbers={3, 4}, names={0})])


def _answerers(named: Mapping[str, TrafficFigures]) -> str:
    rows = [
        (
            name,
            f"{f.requests:,}",
            _rate(f.error_rate),
            *(seconds(value) for value in (f.latency.p50, f.latency.p95, f.latency.p99)),
            seconds(f.first_token.p50),
            _count(f.prompt_tokens),
            _count(f.completion_tokens),
            "unknown" if f.cost is None else dollars(f.cost),
            "no guardrails" if f.violations is None else _rate(f.violation_rate),
            "; ".join(f"{one.question} {one.mean:.0%} of {one.n}" for one in f.ratings) or "none",
        )
        for name, f in named.items()
    ]
    columns = (
        *("who answers", "requests", "errors", "p50", "p95", "p99", "first token"),
        *("tokens in", "tokens out", "cost", "violations", "rated"),
    )
    return table("By model and prompt", columns, rows, numbers=set(range(1, 11)), names={0})


def _counts(id_: str, title: str, by: Mapping[str, Mapping[str, int] | None]) -> str | None:
    kinds = sorted({kind for counted in by.values() for kind in counted or {}})
    if not kinds:
        return None
    rows = [
        (name, *("" if counted is None else f"{counted.get(kind, 0):,}" for kind in kinds))
        for name, counted in by.items()
    ]
    numbers = set(range(1, len(kinds) + 1))
    return section(
        id_, title, [table(title, ("who answers", *kinds), rows, numbers=numbers, names={0})]
    )


def _scores(named: Mapping[str, TrafficFigures]) -> list[str]:
    rows = [
        (
            name,
            scorer,
            "unknown" if one.mean is None else f"{one.mean:.1%}",
            "" if one.low is None or one.high is None else f"{one.low:.1%} to {one.high:.1%}",
            f"{one.n:,}",
            ", ".join(f"{reason} {number:,}" for reason, number in one.not_scored.items()),
        )
        for name, figures in named.items()
        for scorer, one in figures.scores.items()
    ]
    if not rows:
        return []
    columns = ("who answers", "scorer", "mean", "95 % interval", "answers", "not scored")
    told = table("Given in the background", columns, rows, numbers={2, 3, 4}, names={0})
    return [section("scores", "Scores", [told])]


def _slices(report: TrafficReport) -> str:
    rows = [
        (
            _date(slice_.began_ms),
            f"{slice_.requests:,}",
            f"{slice_.errors:,}",
            f"{slice_.violations:,}",
            seconds(slice_.p95),
            dollars(slice_.cost_known) if slice_.cost_known else "0",
        )
        for slice_ in report.slices
        if slice_.requests
    ]
    if not rows:
        return f"<p>{escape('Nothing was asked for.')}</p>"
    columns = ("from (UTC)", "requests", "errors", "with violations", "p95", "known cost")
    return table("Slices of the window with traffic", columns, rows, numbers=set(range(1, 6)))


def _rate(rate: ShareSeen | None) -> str:
    return "none" if rate is None else f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
