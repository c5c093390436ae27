"""`main.py review`: answers judged by people, at the keys and in spreadsheets."""

from __future__ import annotations

import argparse
import contextlib
import importlib
from pathlib import Path
from typing import Any, Protocol, cast

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.options import margin, whole
from llmflowlab.cli.output import give
from llmflowlab.cli.review.judge_answers import judge
from llmflowlab.cli.review.review_options import add_person, add_rubric
from llmflowlab.cli.ui.screen import EndOfInput, GoBack
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.review import (
    ORDERS,
    STRATA,
    ReviewRequest,
    rubric_of,
    who_sits_here,
)
from llmflowlab.lab.review_results import review_results
from llmflowlab.program import program_name

__all__ = ["declare_options", "run_command"]

_ACTIONS = {
    "calibrate": "calibrate_command",
    "export": "review_sheet_command",
    "import": "review_sheet_command",
}
"""Actions with a module of their own."""


class ActionModule(Protocol):
    """What the module of an action has."""

    def declare_action(self, commands: argparse._SubParsersAction[Any], name: str) -> None:
        """Declare the action and what can be typed after it."""
        ...

    def run_command(self, app: App, arguments: argparse.Namespace) -> int:
        """Carry it out; returns the exit code."""
        ...


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare the actions; what is none is a run, whose answers are judged."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    _answers(add_command(commands, "answers", "judge answers at the keys; also without its name"))
    for name in _ACTIONS:
        _module(name).declare_action(commands, name)


def _answers(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN_OR_ID", help="a run, or an evaluation with all its models")
    add_person(parser)
    add_rubric(parser)
    add(
        "--order",
        choices=ORDERS,
        default="random",
        help="which rows come next: random; stratified by category or language; where judges disagree; "
        "what narrows the interval most",
    )
    add("--stratify", choices=STRATA, help="what --order stratified goes by")
    add("--sample", type=whole, metavar="N", help="only the answers to N questions")
    add("--seed", type=int, default=0, metavar="N", help="another draw and order (default 0)")
    add("--until", type=margin, metavar="X", help="end when every mean is known to ±X (0.05)")
    add("--show-models", action="store_true", help="say who answered")
    add("--output", type=Path, metavar="DIR", help="where review.csv goes")
    parser.add_argument(
        "--json", action="store_true", help="ask nothing; print what was said so far as JSON"
    )


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry an action out; returns the exit code.

    Raises:
        InputError: There is nothing of that name to judge, or the rubric cannot be used.
        TrackingError: Something cannot be read or kept.
    """
    if arguments.action in _ACTIONS:
        code: int = _module(arguments.action).run_command(app, arguments)
        return code
    if arguments.run is None:
        if arguments.json:
            raise InputError(f"Say what was judged: {program_name()} review RUN_OR_ID --json")
        from llmflowlab.cli.review.review_screen import review_screen

        # The end of the input ends the lab, as in the menu; Esc leads out of its first question.
        with contextlib.suppress(EndOfInput, GoBack):
            review_screen(app)
        return ExitCode.DONE
    if arguments.json:
        results = review_results(app.lab, arguments.run, arguments.output)
        give(True, results.to_json, lambda: None)
        return ExitCode.DONE
    if arguments.stratify is not None and arguments.order != "stratified":
        raise InputError("--stratify belongs to --order stratified.")
    request = ReviewRequest(
        name=arguments.run,
        person=(arguments.person or who_sits_here()).strip(),
        rubric=rubric_of(arguments.rubric),
        order=arguments.order,
        sample=arguments.sample,
        seed=arguments.seed,
        stratify=arguments.stratify,
        until=arguments.until,
        show_models=arguments.show_models,
    )
    return judge(app, request, arguments.output)


def _module(action: str) -> ActionModule:
    module = importlib.import_module(f"llmflowlab.cli.review.{_ACTIONS[action]}")
    return cast("ActionModule", module)
