"""Traffic as a table and lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from llmflowlab.cli.formatting import count, dollars, percent, plural, seconds
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.monitoring.traffic_figures import (
    ScoresSeen,
    ShareSeen,
    TrafficFigures,
    TrafficReport,
)
from llmflowlab.monitoring.window import span
from llmflowlab.text.amounts import FEW_EXPLAINED, marked_few
from llmflowlab.tracking.violations import in_words

__all__ = ["heading", "remarks", "show_report", "sparkline", "traffic_table"]

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = ("who answers", "requests", "errors", "p50", "p95", "first", "cost", "found")
_MORE = ("tokens out", "p99", "scores", "rated")
_TOP = 6
"""Languages and reasons that are named; the rest is counted."""


def sparkline(values: Sequence[float | None]) -> str:
    """Draw values as bars from 0 to the greatest; a dot where there is none."""
    most = max((value for value in values if value is not None), default=0.0)
    return "".join(
        "·"
        if value is None
        else " "
        if not value
        else _BARS[math.ceil(value / most * len(_BARS)) - 1]
        for value in values
    )


def heading(report: TrafficReport) -> str:
    """Say what is shown, and until when."""
    until = datetime.fromtimestamp(report.until_ms / 1000, timezone.utc).astimezone()
    requests = plural(report.total.requests, "request")
    return f"{requests} in {span(round(report.seconds))} to {until:%H:%M:%S}"


def traffic_table(report: TrafficReport, *, notes: Sequence[str] = ()) -> Table:
    """Set each who answers in a line; the last columns are those that a narrow window can spare."""
    groups = list(report.groups.items())
    rows = [_row(one.label, figures) for one, figures in groups]
    if len(groups) > 1:
        rows.append(_row("all", report.total))
    return Table(
        title=heading(report),
        columns=(*_COLUMNS, *_MORE),
        rows=tuple(rows),
        numbers=frozenset(range(1, len(_COLUMNS) + len(_MORE))),
        notes=tuple(notes),
    )


def _row(label: str, figures: TrafficFigures) -> tuple[str | None, ...]:
    latency = figures.latency
    none = "" if not latency.n else None
    return (
        label,
        count(figures.requests),
        _share(figures.error_rate),
        seconds(latency.p50) or none,
        marked_few(seconds(latency.p95), latency.n) or none,
        seconds(figures.first_token.p50) or none,
        dollars(figures.cost) or ("" if not figures.unpriced else None),
        "off" if figures.violations is None else _share(figures.violation_rate),
        count(figures.completion_tokens) or none,
        seconds(latency.p99) or none,
        ", ".join(_score(name, one) for name, one in figures.scores.items()),
        ", ".join(f"{100 * one.mean:.0f}% of {one.n}" for one in figures.ratings),
    )


def _score(name: str, one: ScoresSeen) -> str:
    return f"{name} {'?' if one.mean is None else f'{one.mean:.2f}'}"


def _share(rate: ShareSeen | None) -> str:
    return "" if rate is None else f"{100 * rate.value:.1f}%"


def remarks(report: TrafficReport) -> list[str]:
    """Return what the table has no room for, a line each."""
    total = report.total
    said = [
        _drawn("requests", [slice_.requests for slice_ in report.slices]),
        _drawn("p95", [slice_.p95 for slice_ in report.slices]),
    ]
    if total.error_rate is not None and total.errors:
        said.append(f"errors {_interval(total.error_rate)}: {_top(total.errors.items())}")
    if total.violations:
        assert total.violation_rate is not None
        by = f"{in_words(total.violations)} ({in_words(total.actions or {})})"
        said.append(f"guardrails found something in {_interval(total.violation_rate)}: {by}")
    if total.languages:
        said.append(f"languages: {_top(total.languages.items())}")
    for name, score in total.scores.items():
        said.append(f"{name}: {_mean(score)}")
    for one in total.ratings:
        people = plural(one.people, "person", "people")
        said.append(f"rated by {people}, {one.question}: {percent(one.mean)} of {one.n}")
    if total.unpriced:
        known = "nothing" if not total.cost_known else dollars(total.cost_known)
        unpriced = plural(total.unpriced, "answer has", "answers have")
        said.append(f"cost is not known: {unpriced} no price; {known} is known to have been paid")
    if any(0 < figures.latency.n < 20 for figures in (total, *report.groups.values())):
        said.append(FEW_EXPLAINED)
    return said


def _mean(one: ScoresSeen) -> str:
    lacking = f"; not scored: {_top(one.not_scored.items())}" if one.not_scored else ""
    if one.mean is None or one.low is None or one.high is None:
        return f"no answer has a score{lacking}"
    interval = f"95 %: {100 * one.low:.1f}–{100 * one.high:.1f}%"
    return f"mean {100 * one.mean:.1f}% of {one.n:,} ({interval}){lacking}"


def _drawn(name: str, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    most = max(known, default=0.0)
    top = seconds(most) if name == "p95" and known else f"{most:,.0f}"
    return f"{name:<8} {sparkline(values)}  highest {top}"


def _interval(rate: ShareSeen) -> str:
    return (
        f"{100 * rate.value:.1f}% of {rate.n:,} (95 %: {100 * rate.low:.1f}–{100 * rate.high:.1f}%)"
    )


def _top(counted: Iterable[tuple[str, int]]) -> str:
    items = list(counted)
    named = [f"{name} {number:,}" for name, number in items[:_TOP]]
    rest = sum(number for _, number in items[_TOP:])
    return ", ".join([*named, *([f"others {rest:,}"] if rest else [])])


def show_report(screen: Screen, report: TrafficReport) -> None:
    """Print the table and what goes with it."""
    if not report.total.requests:
        screen.say(f"{heading(report)}: nothing was asked for.")
        return
    screen.table(traffic_table(report, notes=remarks(report)))
