"""`main.py review calibrate`: how far judges say what people say."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural
from llmflowlab.cli.options import add_json, whole
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.errors import ExitCode
from llmflowlab.lab.calibrate import (
    FEWEST,
    Calibrated,
    Calibration,
    Disagreement,
    PeoplesAgreement,
    calibrate,
)

__all__ = ["declare_action", "run_command"]

_SHOWN = 10
_SAME = {
    "people": "people say the same of every answer",
    "judge": "the judge says the same of every answer",
}


def declare_action(commands: argparse._SubParsersAction[Any], name: str) -> None:
    """Declare `calibrate`."""
    parser = add_command(
        commands, name, "how far each judge says what people say, and may be trusted"
    )
    parser.add_argument(
        "run", metavar="RUN_OR_ID", help="a run, or an evaluation with all its models"
    )
    parser.add_argument(
        "--rows",
        type=whole,
        default=_SHOWN,
        metavar="N",
        help=f"rows of disagreement to show (default {_SHOWN}); --json has all",
    )
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Set judges beside people; returns the exit code.

    Raises:
        InputError: There is nothing to compare.
        TrackingError: Something cannot be read or kept.
    """
    found = calibrate(app.lab, arguments.run)
    give(arguments.json, found.to_json, lambda: _show(app.screen, found, arguments.rows))
    return ExitCode.DONE


def _show(screen: Screen, found: Calibrated, rows: int) -> None:
    screen.table(_judges(found.judges))
    for one in found.judges:
        if one.n and one.table:
            screen.table(_confusion(one))
    if found.people:
        screen.table(_people(found.people))
    if found.disagreements:
        screen.table(_rows(found.disagreements[:rows], len(found.disagreements)))
    for one in found.judges:
        screen.say(_verdict(one))
    if found.waiting is not None:
        screen.warn(f"{found.waiting}.")


def _verdict(one: Calibration) -> str:
    who = f"{one.scorer}, {one.judge} ({one.asked})"
    if one.passed is None and not one.same_question:
        return (
            f"{who}: not examined, as people were asked something else; a question named {one.scorer} "
            "would examine it."
        )
    if one.passed is None and one.questions >= FEWEST:
        return (
            f"{who}: not examined, as people say the same of every answer that both judged; judge some "
            "that are wrong, and some that are right."
        )
    if one.passed is None:
        return (
            f"{who}: {plural(one.questions, 'question')} judged by both; from {FEWEST} on the judge "
            "is examined by them."
        )
    if one.passed:
        return f"{who}: may gate and promote."
    return f"{who}: may not gate or promote, its scores stay shown: {'; '.join(one.doubts)}."


def _judges(judges: Sequence[Calibration]) -> Table:
    return Table(
        title="Judges beside people",
        columns=("measure", *(f"{one.scorer}, {one.judge}, {one.asked}" for one in judges)),
        rows=tuple(
            (name, *(value or None for value in values))
            for name, values in _measures(judges)
            if any(values)
        ),
        notes=(
            "Kappa: 1 is full agreement, 0 what chance would bring. A bias is by how many points more than "
            "people the judge says yes.",
        ),
    )


def _measures(judges: Sequence[Calibration]) -> list[tuple[str, list[str]]]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.0%}"

    def spread(value: float | None, found: Any, form: str) -> str:
        if value is None:
            return ""
        ends = "" if found is None else f" ({found.low:{form}} to {found.high:{form}})"
        return f"{value:{form}}{ends}"

    def rate(found: Any) -> str:
        return "" if found is None else spread(found.value, found.interval, ".0%")

    def bias(found: Any) -> str:
        return "" if found is None else spread(found.value, found.interval, "+.0%")

    languages = dict.fromkeys(name for one in judges for name in one.languages)
    return [
        ("answers that both judged", [str(one.n) for one in judges]),
        (
            "left out: people divided evenly",
            [str(one.divided) if one.divided else "" for one in judges],
        ),
        ("agreement", [rate(one.agreement) for one in judges]),
        (
            "kappa",
            [
                f"undefined: {_SAME[one.constant]}"
                if one.constant
                else spread(one.kappa, one.kappa_interval, ".2f")
                for one in judges
            ],
        ),
        (
            "kappa, squared weights",
            [
                "" if len(one.labels) == 2 else spread(one.weighted, one.weighted_interval, ".2f")
                for one in judges
            ],
        ),
        ("sensitivity", [rate(one.sensitivity) for one in judges]),
        ("specificity", [rate(one.specificity) for one in judges]),
        ("bias to length, a standard deviation", [bias(one.length) for one in judges]),
        ("bias to its own family", [bias(one.own_family) for one in judges]),
        *(
            (f"bias to {name}", [bias(one.languages.get(name)) for one in judges])
            for name in languages
        ),
        ("changed with the order", [share(one.flipped) for one in judges]),
        ("of these to the first place", [share(one.first_preferred) for one in judges]),
        ("the same when asked again", [share(one.steady) for one in judges]),
    ]


def _confusion(one: Calibration) -> Table:
    names = ("no", "yes") if len(one.labels) == 2 else tuple(f"{1 + 4 * v:.0f}" for v in one.labels)
    return Table(
        title=f"{one.scorer}, {one.judge}: what people say, and what the judge says of it",
        columns=(one.asked, *(f"judge: {name}" for name in names)),
        rows=tuple(
            (f"people: {name}", *map(str, row)) for name, row in zip(names, one.table, strict=True)
        ),
        numbers=frozenset(range(1, len(names) + 1)),
    )


def _people(found: Sequence[PeoplesAgreement]) -> Table:
    return Table(
        title="People among themselves",
        columns=("asked", "people", "answers", "Krippendorff's alpha", "95 % interval"),
        rows=tuple(
            (
                one.asked,
                str(one.people),
                str(one.answers),
                None if one.alpha is None else f"{one.alpha:.2f}",
                None
                if one.interval is None
                else f"{one.interval.low:.2f} to {one.interval.high:.2f}",
            )
            for one in found
        ),
        numbers=frozenset({1, 2, 3, 4}),
    )


def _rows(found: Sequence[Disagreement], of: int) -> Table:
    return Table(
        title=f"Rows to read: {len(found)} of {of} on which judge and people differ",
        columns=("row", "model", "asked", "people", "judge", "the judge's reason"),
        rows=tuple(
            (
                one.row,
                one.candidate,
                one.asked,
                f"{one.people:.0%}",
                f"{one.scorer}: {one.judge_said:.0%}",
                one.reason,
            )
            for one in found
        ),
        numbers=frozenset({3}),
    )
