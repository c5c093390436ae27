"""`main.py monitor`: what the service does, live or as a report, and alerts about it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.options import add_json, argument, seconds
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode
from llmflowlab.monitoring.traffic import ChosenAnswers, opened_traffic, read_window

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
    report.add_argument("--html", type=Path, metavar="FILE", help="also write it as a page")
    add_json(report)


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


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry out one of the actions; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    action = {"live": _live, "report": _report}[arguments.action]
    return action(app, arguments)


def _chosen(arguments: argparse.Namespace) -> ChosenAnswers:
    return ChosenAnswers(model=arguments.model, prompt=arguments.prompt)


def _live(app: App, arguments: argparse.Namespace) -> int:
    # Imported here: the database's library takes its time to be loaded.
    from llmflowlab.cli.monitor.live_traffic import watch
    from llmflowlab.cli.monitor.traffic_tables import show_report
    from llmflowlab.monitoring.traffic_figures import report_of

    with opened_traffic(
        app.settings, chosen=_chosen(arguments), window=arguments.since, clock=time.time
    ) as traffic:
        if arguments.once or arguments.json:
            report = report_of(traffic)
            give(arguments.json, report.to_json, lambda: show_report(app.screen, report))
        else:
            watch(app, traffic, every=arguments.every)
    return ExitCode.DONE


def _report(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.cli.monitor.traffic_tables import show_report
    from llmflowlab.monitoring.traffic_figures import report_of

    with opened_traffic(
        app.settings, chosen=_chosen(arguments), window=arguments.since, clock=time.time
    ) as traffic:
        report = report_of(traffic)
    if arguments.html is not None:
        from llmflowlab.monitoring.traffic_page import write_traffic_html

        file = arguments.html.expanduser()
        write_traffic_html(report, file)
        app.screen.note(f"Written: {file}")
    give(arguments.json, report.to_json, lambda: show_report(app.screen, report))
    return ExitCode.DONE
