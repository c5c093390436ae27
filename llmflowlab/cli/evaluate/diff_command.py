"""`main.py diff`: which rows got better or worse between two evaluations."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import shortened
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode
from llmflowlab.evaluation.conclude.clusters_in_words import rows_in_words
from llmflowlab.evaluation.reports.changes import ChangedRow
from llmflowlab.lab.compare import Diff, compare_evaluations

__all__ = ["declare_options", "run_command"]

_SHOWN = 50
"""Rows that a screen lists; JSON has all."""
_QUESTION = 44
_ID = 12
"""Characters of a question and of a row's id, so that the table fits 80 columns."""


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument("a", metavar="A", help="the one before: a run, EVALUATION or EVALUATION:2")
    parser.add_argument("b", metavar="B", help="the one after, likewise")
    parser.add_argument("--scorer", metavar="NAME", help="by which; default: the main one")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Compare two candidates row by row; returns the exit code.

    Raises:
        InputError: They cannot be compared.
    """
    found = compare_evaluations(app.lab, arguments.a, arguments.b, arguments.scorer)
    give(arguments.json, found.to_json, lambda: _show(app, found))
    return ExitCode.DONE


def _show(app: App, found: Diff) -> None:
    say = app.screen.say
    for letter, side in (("A", found.a), ("B", found.b)):
        say(f"{letter}: {side.label}, {side.result.plan.evaluation_id}")
    changed = [row for row in found.rows if row.change in {"better", "worse"}]
    if changed:
        app.screen.table(_table(found, changed[:_SHOWN]))
    if len(changed) > _SHOWN:
        app.screen.note(f"{len(changed) - _SHOWN} more rows changed; --json has all of them.")
    counts = [f"{found.count('better')} better", f"{found.count('worse')} worse"]
    counts.append(f"{found.count('same')} same")
    for number, words in (
        (found.count("not_scored"), "not scored in both"),
        (found.only_in_a, "only in A"),
        (found.only_in_b, "only in B"),
    ):
        if number:
            counts.append(f"{number} {words}")
    say(f"{found.scorer}, from A to B: {', '.join(counts)}.")
    say(_verdict(found))


def _table(found: Diff, rows: Sequence[ChangedRow]) -> Table:
    return Table(
        title=f"Rows by {found.scorer}, worst first",
        columns=("row", "question", "A", "B", "change"),
        rows=tuple(
            (
                shortened(row.b.id, _ID),
                shortened(row.b.question, _QUESTION),
                _share(row.value_a),
                _share(row.value_b),
                "" if row.difference is None else f"{row.difference * 100:+.0f}",
            )
            for row in rows
        ),
        numbers=frozenset({2, 3, 4}),
    )


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.0%}"


def _verdict(found: Diff) -> str:
    test = found.test
    if test is None:
        return "No row is scored on both sides, so nothing can be said of the difference."
    low, high = test.interval.low * 100, test.interval.high * 100
    figures = (
        f"{test.difference * 100:+.1f} points, 95 % CI {low:.1f} to {high:.1f}, "
        f"p = {test.p_value:.3g}, {rows_in_words(test)}"
    )
    if found.caveat is not None:
        return f"No verdict between A and B ({figures}): {found.caveat}."
    if found.verdict == "no_difference_shown":
        return f"No difference shown between A and B ({figures})."
    return f"B is {'better' if found.verdict == 'b_better' else 'worse'} than A ({figures})."
