"""Traffic that is kept up to date: a table in a terminal, a block of lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress

from llmflowlab.cli.context import App
from llmflowlab.cli.monitor.traffic_tables import heading, remarks, show_report, traffic_table
from llmflowlab.cli.ui.live_table import LineDisplay
from llmflowlab.errors import TrackingError
from llmflowlab.monitoring.traffic import ChosenAnswers, Traffic, opened_traffic
from llmflowlab.monitoring.traffic_figures import report_of

__all__ = ["paced", "watch", "watch_from_menu"]

_PRESS = 0.1
"""Seconds between two looks at the keys."""


def watch_from_menu(app: App) -> None:
    """Show the last hour until the person goes back; line by line it is shown once.

    Raises:
        LabError: It cannot be read.
    """
    with opened_traffic(
        app.settings, chosen=ChosenAnswers(), window=3_600.0, clock=time.time
    ) as traffic:
        if app.screen.plain:
            show_report(app.screen, report_of(traffic))
            return
        with suppress(KeyboardInterrupt):
            watch(app, traffic, every=2.0)


def paced(
    look: Callable[[], list[str]],
    *,
    every: float = 15.0,
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[], list[str]]:
    """Return what looks only now and then, and says between what was said last."""
    said: list[str] = []
    due = -math.inf

    def lines() -> list[str]:
        nonlocal due
        if clock() >= due:
            due = clock() + every
            said[:] = look()
        return list(said)

    return lines


def watch(
    app: App,
    traffic: Traffic,
    *,
    every: float,
    alerts: Callable[[], list[str]] = list,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Show the traffic until `q` is pressed.

    A database that fails for a moment is said, and asked again.

    Args:
        app: Where it is shown.
        traffic: What is shown.
        every: Seconds between two looks at it.
        alerts: Looks at the rules; returns a line for each alert that stands.
        wait: Waits so many seconds.
        clock: Seconds that only grow.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        LabError: It cannot be read at all.
    """
    report, trouble, due = report_of(traffic), "", 0.0
    with app.screen.live() as display:
        blocks = isinstance(display, LineDisplay)
        while True:
            if clock() >= due:
                due = clock() + every
                try:
                    report, trouble = report_of(traffic), ""
                    standing = alerts()
                except TrackingError as exc:
                    trouble, standing = f"{exc.message} Asked again in {every:g} s.", []
                if blocks:
                    show_report(app.screen, report)
                    for line in filter(None, [*standing, trouble]):
                        app.screen.warn(line)
                    app.screen.say()
                else:
                    said = [line for line in (trouble, *standing) if line]
                    notes = [*said, *remarks(report), f"every {every:g} s · q ends it"]
                    display.show(traffic_table(report, notes=notes), [heading(report)])
            if "q" in display.keys().lower():
                return
            wait(min(_PRESS, every) if not blocks else every)
