"""`main.py adjust`: changing an evaluation that is running elsewhere."""

from __future__ import annotations

import argparse

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import dollars, number_or_none
from llmflowlab.cli.options import add_json, concurrency, usd
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.upkeep import Adjustment, adjust

__all__ = ["declare_options", "run_command"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument("evaluation", metavar="EVALUATION_ID")
    parser.add_argument(
        "--concurrency", type=concurrency, metavar="N", help="calls in flight per model"
    )
    parser.add_argument("--budget", type=usd, metavar="USD", help="the new ceiling")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Ask for the change; returns the exit code.

    Raises:
        InputError: Nothing was named, or the evaluation is not running.
    """
    change = Adjustment(concurrency=arguments.concurrency, budget=arguments.budget)
    if change == Adjustment():
        raise InputError("Say what to change: --concurrency N, --budget USD, or both.")
    adjust(app.lab, arguments.evaluation, change)
    parts = []
    if change.concurrency is not None:
        parts.append(f"concurrency {change.concurrency}")
    if change.budget is not None:
        parts.append(f"a budget of {dollars(change.budget)}")
    give(
        arguments.json,
        lambda: {
            "evaluation_id": arguments.evaluation,
            "concurrency": change.concurrency,
            "budget_usd": number_or_none(change.budget),
        },
        lambda: app.screen.say(
            f"{arguments.evaluation} goes on with {' and '.join(parts)} in about a second."
        ),
    )
    return ExitCode.DONE
