"""`main.py monitor alerts`: rules from a file, looked at once or for as long as it runs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import percent
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Tone
from llmflowlab.errors import ExitCode, TrackingError
from llmflowlab.monitoring.alert_delivery import Messenger
from llmflowlab.monitoring.alert_desk import AlertDesk, AlertsSeen, RuleSeen
from llmflowlab.monitoring.alert_rules import read_rules
from llmflowlab.monitoring.traffic import opened_database

__all__ = ["desk_of", "run_alerts", "standing_lines"]


@contextmanager
def desk_of(app: App, file: Path) -> Iterator[AlertDesk]:
    """Yield the desk of a file of rules.

    Raises:
        InputError: Something in the file cannot be used.
        ConfigurationError: Nothing was ever served in this home.
    """
    rules = read_rules(file.expanduser(), app.settings)
    with opened_database(app.settings) as engine:
        messenger = Messenger(app.settings, rules.deliveries)
        yield AlertDesk(app.lab, engine, rules.rules, messenger, clock=time.time)


def run_alerts(
    app: App, arguments: argparse.Namespace, *, wait: Callable[[float], None] = time.sleep
) -> int:
    """Look at the rules; returns the exit code.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        LabError: They cannot be looked at.
    """
    with desk_of(app, arguments.rules) as desk:
        if arguments.once or arguments.json:
            seen = desk.look()
            give(arguments.json, seen.to_json, lambda: _show(app, seen))
            for sentence in seen.undelivered:
                app.screen.warn(sentence)
            return ExitCode.GATE_NOT_MET if seen.standing else ExitCode.DONE
        _show(app, desk.look())
        while True:
            wait(arguments.every)
            try:
                seen = desk.look()
            except TrackingError as exc:
                app.screen.warn(f"{exc.message} Asked again in {arguments.every:g} s.")
                continue
            for event in seen.events:
                tone: Tone = "warning" if event.state == "fired" else "good"
                app.screen.say(event.text, tone=tone)
            for sentence in seen.undelivered:
                app.screen.warn(sentence)


def standing_lines(seen: AlertsSeen) -> list[str]:
    """Return a line for each alert that stands, and for what did not arrive."""
    return [f"ALERT {one.text}" for one in seen.standing] + list(seen.undelivered)


def _show(app: App, seen: AlertsSeen) -> None:
    for one in seen.rules:
        tone: Tone = "warning" if one.state == "standing" else "plain"
        app.screen.say(_line(one), tone=tone)
    chance = sum(one.rule.alpha for one in seen.rules)
    days = min(one.rule.days for one in seen.rules)
    app.screen.note(
        f"Chance of any false alarm in {days:g} days: {percent(min(chance, 1.0))} at most."
    )


def _line(one: RuleSeen) -> str:
    if one.state == "standing":
        return f"ALERT {one.text}"
    if one.state == "learning":
        options = one.rule.options
        return (
            f"{one.rule.name}: learning for {options['hours']:g} h at least, {one.learnt:,} of "
            f"{options['baseline']:,} seen"
        )
    return f"{one.rule.name}: quiet, evidence {one.e_value or 0:.2g} of {one.fires_at:g}"
