"""`main.py monitor`: what the service does, live or as a report, and alerts about it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.monitor.canary_command import declare_canary, run_canary
from llmflowlab.cli.options import add_json, argument, seconds
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode
from llmflowlab.monitoring.window import read_window

if TYPE_CHECKING:
    from llmflowlab.monitoring.alert_desk import AlertDesk
    from llmflowlab.monitoring.traffic import Traffic

__all__ = ["declare_options", "run_command"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    live = add_command(
        actions,
        "live",
        "keep a table of the traffic up to date (the usual action)",
        ("monitor --since 30m", "monitor --once"),
    )
    _declare_window(live)
    _declare_rules(live)
    live.add_argument(
        "--every", type=seconds, default=2.0, metavar="S", help="seconds between looks (default 2)"
    )
    live.add_argument("--once", action="store_true", help="look once, and end")
    add_json(live, "look once: print one JSON document, nothing else")
    report = add_command(
        actions,
        "report",
        "the traffic of a window: text, JSON or a page",
        ("monitor report --since 7d --html traffic.html", "monitor report --model local --json"),
    )
    _declare_window(report)
    _declare_rules(report)
    report.add_argument("--html", type=Path, metavar="FILE", help="also write it as a page")
    add_json(report)
    alerts = add_command(
        actions,
        "alerts",
        "look at alert rules, whose false alarms are bounded",
        ("monitor alerts rules.yaml", "monitor alerts rules.yaml --once --json"),
    )
    add = alerts.add_argument
    add("rules", type=Path, metavar="RULES.yaml", help="the file of rules")
    add(
        "--every",
        type=seconds,
        default=30.0,
        metavar="S",
        help="seconds between looks (default 30)",
    )
    add(
        "--once",
        action="store_true",
        help="look once; ends with 5 where an alert stands, 3 where a rule lacks what it looks at",
    )
    add_json(alerts, "look once: print one JSON document, nothing else")
    declare_canary(
        add_command(
            actions,
            "canary",
            "notice when the model behind a name has changed",
            ("monitor canary init --model local", "monitor canary run local"),
        )
    )


def _declare_window(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--since",
        type=argument(read_window),
        default=3_600.0,
        metavar="TIME",
        help="how far to look back: 30m, 1h, 7d (default 1h)",
    )
    add("--model", metavar="REF", help="only this model's answers; a provider's name: all of its")
    add("--prompt", metavar="NAME[@VERSION]", help="only answers under this prompt")


def _declare_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", type=Path, metavar="FILE", help="look at these alert rules too")


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry out one of the actions; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    action = {"live": _live, "report": _report, "alerts": _alerts, "canary": run_canary}[
        arguments.action
    ]
    return action(app, arguments)


@contextmanager
def _traffic(app: App, arguments: argparse.Namespace) -> Iterator[Traffic]:
    # Imported here, as in the actions: the database's library takes its time to be loaded.
    from llmflowlab.monitoring.traffic import ChosenAnswers, opened_traffic

    chosen = ChosenAnswers(model=arguments.model, prompt=arguments.prompt)
    with opened_traffic(
        app.settings, chosen=chosen, window=arguments.since, clock=time.time
    ) as traffic:
        yield traffic


def _live(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.cli.monitor.alerts_command import alert_lines
    from llmflowlab.cli.monitor.live_traffic import paced, watch

    if arguments.once or arguments.json:
        return _report(app, arguments)
    with _traffic(app, arguments) as traffic, _desk(app, arguments) as desk:
        alerts = None if desk is None else paced(lambda: alert_lines(desk.look()))
        watch(app, traffic, every=arguments.every, alerts=alerts or list)
    return ExitCode.DONE


@contextmanager
def _desk(app: App, arguments: argparse.Namespace) -> Iterator[AlertDesk | None]:
    from llmflowlab.cli.monitor.alerts_command import desk_of

    if arguments.rules is None:
        yield None
        return
    with desk_of(app, arguments.rules) as desk:
        yield desk


def _report(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.cli.monitor.alerts_command import alert_lines
    from llmflowlab.cli.monitor.traffic_tables import show_report
    from llmflowlab.monitoring.traffic_figures import report_of

    with _traffic(app, arguments) as traffic, _desk(app, arguments) as desk:
        report, seen = report_of(traffic), None if desk is None else desk.look()
    page: Path | None = getattr(arguments, "html", None)
    if page is not None:
        from llmflowlab.monitoring.traffic_page import write_traffic_html

        file = page.expanduser()
        write_traffic_html(report, file, seen)
        app.screen.note(f"Written: {file}")

    def words() -> None:
        show_report(app.screen, report)
        for line in [] if seen is None else alert_lines(seen):
            app.screen.warn(line)

    found = {} if seen is None else {"alerts": seen.to_json()}
    give(arguments.json, lambda: {**report.to_json(), **found}, words)
    return ExitCode.DONE


def _alerts(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.cli.monitor.alerts_command import run_alerts

    return run_alerts(app, arguments)
