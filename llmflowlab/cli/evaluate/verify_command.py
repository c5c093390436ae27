"""`main.py verify`: every figure of a run, recomputed from MLflow's traces."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import number_or_none, plural
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode
from llmflowlab.lab.upkeep import runs_of, verify

if TYPE_CHECKING:
    from llmflowlab.evaluation.run.verify import FigureCheck

__all__ = ["declare_options", "run_command"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument("run", metavar="RUN_OR_EVALUATION")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Recompute and compare; returns 5 where a figure does not agree.

    Raises:
        InputError: MLflow knows no such run.
        TrackingError: The store failed.
    """
    name = arguments.run
    runs = runs_of(app.lab, name)
    with app.screen.progress(f"verify {name}"):
        checked = verify(app.lab, name, runs)
    equal = all(check.equal for _, checks in checked for check in checks)

    def words() -> None:
        for run, checks in checked:
            _show_checks(app, run, checks)

    give(
        arguments.json,
        lambda: {
            "equal": equal,
            "runs": [
                {"run_id": run, "checks": [_check_json(check) for check in checks]}
                for run, checks in checked
            ],
        },
        words,
    )
    return ExitCode.DONE if equal else ExitCode.GATE_NOT_MET


def _check_json(check: FigureCheck) -> dict[str, Any]:
    return {
        "figure": check.name,
        "reported": number_or_none(check.reported),
        "recomputed": number_or_none(check.recomputed),
        "equal": check.equal,
    }


def _show_checks(app: App, run: str, checks: Sequence[FigureCheck]) -> None:
    wrong = sum(not check.equal for check in checks)
    app.screen.table(
        Table(
            title=f"Run {run}",
            columns=("figure", "reported", "recomputed", "equal"),
            rows=tuple(
                (
                    check.name,
                    _figure(check.reported),
                    _figure(check.recomputed),
                    "yes" if check.equal else "NO",
                )
                for check in checks
            ),
            numbers=frozenset({1, 2}),
        )
    )
    if wrong:
        app.screen.warn(f"{wrong} of {plural(len(checks), 'figure')} do not agree with the traces.")
    else:
        app.screen.say(f"All {plural(len(checks), 'figure')} agree with the traces.")


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.9g}"
