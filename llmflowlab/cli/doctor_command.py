"""`main.py doctor`: everything the lab stands on, each with its remedy."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from llmflowlab import __version__
from llmflowlab.cli.context import App
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import print_json
from llmflowlab.cli.ui.screen import Tone
from llmflowlab.errors import ExitCode
from llmflowlab.lab.doctor import State, any_model_ready, examine

__all__ = ["declare_options", "run_command", "show_checks"]

_SHOWN: dict[State, tuple[str, Tone]] = {
    "ok": ("ok", "good"),
    "note": ("note", "quiet"),
    "missing": ("missing", "warning"),
}


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    return show_checks(app, as_json=arguments.json)


def show_checks(app: App, *, as_json: bool) -> int:
    """Check everything and say what is missing.

    Returns:
        3 where nothing but the guide works, else 0.
    """
    checks = []
    for check in examine(app.lab):
        checks.append(check)
        if not as_json:
            mark, tone = _SHOWN[check.state]
            app.screen.say(f"{mark:<9}{check.name}: {check.text}", tone=tone)
            if check.remedy:
                app.screen.say(f"{'':<9}{check.remedy}")
    usable = any_model_ready(checks)
    if as_json:
        document = {
            "version": __version__,
            "usable": usable,
            "checks": [asdict(check) for check in checks],
        }
        print_json(document)
    elif not usable:
        app.screen.warn(
            "Only the offline guide works; set up one of the providers above to talk with a model."
        )
    return ExitCode.DONE if usable else ExitCode.NOT_CONFIGURED
