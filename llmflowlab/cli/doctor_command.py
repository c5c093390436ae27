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
from llmflowlab.lab.doctor import State, any_model_ready, examine, nothing_to_configure

__all__ = ["declare_options", "run_command", "show_checks"]

_SHOWN: dict[State, tuple[str, Tone]] = {
    "ok": ("ok", "good"),
    "note": ("note", "quiet"),
    "missing": ("missing", "warning"),
}


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="end with 3 where anything at all must be configured; of the providers one is enough",
    )
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    return show_checks(app, as_json=arguments.json, strict=arguments.strict)


def show_checks(app: App, *, as_json: bool, strict: bool = False) -> int:
    """Check everything and say what is missing.

    Returns:
        3 where nothing but the guide works, or, if strict, anything else is missing; else 0.
    """
    checks = []
    for check in examine(app.lab):
        checks.append(check)
        if not as_json:
            mark, tone = _SHOWN[check.state]
            app.screen.say(f"{mark:<9}{check.name}: {check.text}", tone=tone)
            if check.remedy:
                app.screen.say(f"{'':<9}{check.remedy}")
    usable, configured = any_model_ready(checks), nothing_to_configure(checks)
    if as_json:
        document = {
            "version": __version__,
            "usable": usable,
            "configured": configured,
            "checks": [asdict(check) for check in checks],
        }
        print_json(document)
    elif not usable:
        app.screen.warn(
            "Only the offline guide works; set up one of the providers above to talk with a model."
        )
    return ExitCode.DONE if (configured if strict else usable) else ExitCode.NOT_CONFIGURED
