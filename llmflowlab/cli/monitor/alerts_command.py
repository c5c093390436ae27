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
from llmflowlab.monitoring.alert_desk import AlertDesk
from llmflowlab.monitoring.alert_rules import read_rules
from llmflowlab.monitoring.alerts_seen import AlertsSeen, RuleSeen
from llmflowlab.monitoring.traffic import opened_database

__all__ = ["alert_lines", "desk_of", "run_alerts"]


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
            return _code(app, seen)
        seen = desk.look()
        _show(app, seen)
        while True:
            blind = {one.rule.id for one in seen.unknown}
            wait(arguments.every)
            try:
                seen = desk.look()
            except TrackingError as exc:
                app.screen.warn(f"{exc.message} Asked again in {arguments.every:g} s.")
                continue
            for event in seen.events:
                tone: Tone = "warning" if event.state == "fired" else "good"
                app.screen.say(event.text, tone=tone)
            for one in seen.rules:
                if (one.rule.id in blind) != (one.state == "unknown"):
                    app.screen.say(one.said, tone=_tone(one))
            for sentence in seen.undelivered:
                app.screen.warn(sentence)


def _code(app: App, seen: AlertsSeen) -> int:
    """Return the exit code; what cannot be looked at is said where a script's log has it."""
    if blind := seen.unset or seen.unknown:
        names = ", ".join(one.rule.name for one in blind)
        todo = "; set up what that needs, or take it out of the file" if seen.unset else ""
        app.screen.warn(f"There is nothing to look at for {names}{todo}.")
    if seen.standing:
        return ExitCode.GATE_NOT_MET
    return ExitCode.NOT_CONFIGURED if seen.unset else ExitCode.DONE


def alert_lines(seen: AlertsSeen) -> list[str]:
    """Return a line for each alert that stands, each rule that looks at nothing, and what did not arrive."""
    return [one.said for one in (*seen.standing, *seen.unknown)] + list(seen.undelivered)


def _show(app: App, seen: AlertsSeen) -> None:
    for one in seen.rules:
        app.screen.say(one.said, tone=_tone(one))
    chance = percent(seen.false_alarm)
    app.screen.note(f"Chance of any false alarm in {seen.days:g} days: {chance} at most.")


def _tone(one: RuleSeen) -> Tone:
    return "warning" if one.state in {"standing", "unknown"} else "plain"
