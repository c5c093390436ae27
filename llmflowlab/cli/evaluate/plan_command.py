"""`main.py plan`: how many questions, how much money and time it takes to see a difference."""

from __future__ import annotations

import argparse
from decimal import Decimal
from typing import Any

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluation_options import add_planned_options, planned_request
from llmflowlab.cli.formatting import dollars
from llmflowlab.cli.options import add_json, margin, power
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode
from llmflowlab.lab.plan_evaluation import Sizing, SizingRequest, size_evaluation
from llmflowlab.program import program_name

__all__ = ["declare_options", "run_command"]

_SWITCHES = ("--fresh", "--show-models", "--dry-run")
_VALUES = (
    *("--until-decided", "--harness", "--output", "--fail-under", "--fail-over", "--min-coverage"),
    *("--compare-to", "--margin", "--junit", "--summary", "--export-sheet", "--import-sheet"),
    "--judge-name",
)
"""Options of `evaluate` that 0.1.0's `plan` took without reading them: scripts may have them."""


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `evaluate` that a plan reads, and its own."""
    add_planned_options(parser)
    add = parser.add_argument_group("what is to be seen").add_argument
    add(
        "--difference",
        type=margin,
        default=0.03,
        metavar="X",
        help="what is to be seen, in points of 1 (default 0.03: 3 points)",
    )
    add(
        "--power",
        type=power,
        default=0.8,
        metavar="P",
        help="chance of seeing it if it is there (default 0.8)",
    )
    add(
        "--paired-from",
        metavar="RUN_OR_EVALUATION",
        help="take from it how far two candidates differ from row to row",
    )
    add_json(parser)
    for option in _SWITCHES:
        _take(parser, option, action="append_const", const=option)
    for option in _VALUES:
        _take(parser, option, action="append", type=lambda _, option=option: option)


def _take(parser: argparse.ArgumentParser, option: str, **how: Any) -> None:
    """Accept an option without naming it in the help; only that it was typed is kept."""
    parser.add_argument(option, dest="unread", default=[], help=argparse.SUPPRESS, **how)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Say how many questions, money and time it takes; returns the exit code.

    Raises:
        LabError: Something cannot be used.
    """
    if arguments.unread:
        names = ", ".join(dict.fromkeys(arguments.unread))
        app.screen.note(f"A plan makes no use of {names}; `{program_name()} evaluate` does.")
    found = size_evaluation(
        app.lab,
        SizingRequest(
            evaluation=planned_request(arguments),
            difference=arguments.difference,
            power=arguments.power,
            paired_from=arguments.paired_from,
        ),
    )

    def words() -> None:
        for remark in found.remarks:
            app.screen.note(remark)
        for line in _lines(found):
            app.screen.say(line)

    give(arguments.json, found.to_json, words)
    return ExitCode.DONE


def _lines(found: Sizing) -> list[str]:
    rows, there = found.rows_needed, found.rows_there
    if found.cost is None:
        price = f"cost unknown (no price for {', '.join(found.unpriced)})"
    elif found.cost[1] == 0:
        price = "free"
    else:
        low, high = (dollars(Decimal(str(amount))) or "" for amount in found.cost)
        price = high if low == high else f"{low} to {high}"
    minutes = _minutes(found.duration.low / 60, found.duration.high / 60)
    lines = [
        f"To see {_points(found.difference)} of {found.scorer} in {found.power:.0%} of cases you "
        f"need about {rows:,} questions{_asked(found.trials)}: {price}, "
        f"{minutes}{' (assumed speed)' if found.duration.assumed else ''}.",
        f"Reckoned with: {found.spread.words()}; "
        f"{found.comparisons} comparison{'s' if found.comparisons > 1 else ''}.",
    ]
    if found.detector_calls:
        lines.append(f"In that are {found.detector_calls:,} calls of the guardrails' detector.")
    if found.trials > 1:
        effect = found.spread.trials_effect
        worth = (
            ""
            if effect is None
            else f": they tell as much as {found.trials / effect:.1f} asked once"
        )
        lines.append(f"The {found.trials} trials of a question count as one question{worth}.")
    smallest = found.smallest_visible
    if rows <= there:
        lines.append(f"The file has {there:,}: that is enough (--sample {rows} draws them).")
    elif smallest is None:
        lines.append(f"The file has {there:,}: too few to show any difference.")
    else:
        lines.append(
            f"The file has {there:,}: they show differences from about {_points(smallest)}."
        )
    return lines


def _asked(trials: int) -> str:
    return "" if trials == 1 else f", each asked {trials} times"


def _points(difference: float) -> str:
    value = 100 * difference
    text = f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")
    return f"{text} point{'' if text == '1' else 's'}"


def _minutes(low: float, high: float) -> str:
    if high < 2:
        first, second, unit = round(60 * low), max(1, round(60 * high)), "s"
    elif high < 120:
        first, second, unit = round(low), round(high), "minutes"
    else:
        first, second, unit = round(low / 60), round(high / 60), "hours"
    if first == second:
        return f"{second:,} {unit}"
    return f"{first:,} to {second:,} {unit}" if first else f"up to {second:,} {unit}"
