"""`main.py report` and `diff`: reading past evaluations."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural, shortened
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.evaluation.run.ledger import Ledger, StoredEvaluation
from llmflowlab.text.sanitize import neutralise

if TYPE_CHECKING:
    from llmflowlab.evaluation.conclude.results import EvaluationResult
    from llmflowlab.evaluation.reports.changes import ChangedRow, Diff, Side

__all__ = ["run_command"]

_SHOWN = 50
"""Rows that a screen lists; JSON has all."""
_QUESTION = 44
_ID = 12
"""Characters of a question and of a row's id, so that the table fits 80 columns."""


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry one of the commands out; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    path = app.settings.state_dir / "evaluations.db"
    if not path.exists():
        raise InputError(f"No evaluation was made in {app.settings.home} yet.")
    with closing(Ledger(path)) as ledger:
        if arguments.command == "report":
            return _report(app, ledger, arguments)
        return _diff(app, ledger, arguments)


def _result(ledger: Ledger, evaluation: str) -> EvaluationResult:
    from llmflowlab.evaluation.run.engine import with_runs
    from llmflowlab.evaluation.run.replay import stored_result

    return with_runs(stored_result(ledger, evaluation), ledger.evaluation(evaluation).runs)


def _report(app: App, ledger: Ledger, arguments: argparse.Namespace) -> int:
    from llmflowlab.evaluation.reports import write_files
    from llmflowlab.evaluation.run.replay import evaluation_behind

    evaluation = evaluation_behind(ledger, arguments.evaluation)
    folder = arguments.output or app.settings.state_dir / "evaluations" / evaluation
    with app.screen.progress(f"report {evaluation}"):
        result, written = write_files(_result(ledger, evaluation), folder)
    plots = [file for file in written if file.suffix == ".svg"]
    files = [file for file in written if file not in plots]
    if arguments.json:
        names = {file.name.replace(".", "_"): str(file) for file in files}
        _print_json(
            {
                "evaluation_id": evaluation,
                "files": {**names, "plots": [str(plot) for plot in plots]},
            }
        )
        return ExitCode.DONE
    for file in files:
        app.screen.say(str(file))
    app.screen.say(f"{folder / 'plots'} ({plural(len(plots), 'plot')})")
    if result.interrupted:
        app.screen.note(
            "Not every row was asked or scored; the report covers those that were. "
            f"Go on with: evaluate --resume {evaluation}"
        )
    return ExitCode.DONE


def _diff(app: App, ledger: Ledger, arguments: argparse.Namespace) -> int:
    from llmflowlab.evaluation.reports.changes import diff_sides

    a, b = _sides(ledger, arguments.a, arguments.b)
    found = diff_sides(a, b, arguments.scorer)
    if arguments.json:
        _print_json(found.to_json())
    else:
        _show(app, found)
    return ExitCode.DONE


def _sides(ledger: Ledger, first: str, second: str) -> tuple[Side, Side]:
    """Return what the two names stand for.

    Raises:
        InputError: A name is unknown, does not say which candidate, or both are the same.
    """
    from llmflowlab.evaluation.reports.changes import Side

    a, b = _named(ledger, first), _named(ledger, second)
    a, b = _narrowed(a, b), _narrowed(b, a)
    for name, (stored, candidates) in ((first, a), (second, b)):
        if len(candidates) > 1:
            raise InputError(f"{name!r} has several candidates; name one: {_choices(stored)}.")
    if (a[0].id, a[1]) == (b[0].id, b[1]):
        raise InputError(f"{first!r} and {second!r} are the same candidate of one evaluation.")
    results = {stored.id: _result(ledger, stored.id) for stored in (a[0], b[0])}
    return Side(results[a[0].id], a[1][0]), Side(results[b[0].id], b[1][0])


def _named(ledger: Ledger, name: str) -> tuple[StoredEvaluation, list[int]]:
    """Return the evaluation a name belongs to, and the candidates it may mean."""
    from llmflowlab.evaluation.run.replay import evaluation_behind

    evaluation, colon, number = name.rpartition(":")
    if not colon:
        evaluation = name
    stored = ledger.evaluation(evaluation_behind(ledger, evaluation))
    count = len(stored.plan["candidates"])
    if colon:
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= count):
            raise InputError(f"{name!r}: {evaluation} has candidates 1 to {count}.")
        return stored, [int(number) - 1]
    runs = stored.runs.get("candidates") or []
    if name in runs:
        return stored, [runs.index(name)]
    return stored, list(range(count))


def _narrowed(
    side: tuple[StoredEvaluation, list[int]], other: tuple[StoredEvaluation, list[int]]
) -> tuple[StoredEvaluation, list[int]]:
    """Take the candidate that the other side has too, where that leaves no doubt."""
    stored, candidates = side
    if len(candidates) == 1 or len(other[1]) > 1 or stored.id == other[0].id:
        return side
    labels = _labels(stored)
    wanted = _labels(other[0])[other[1][0]]
    same = [index for index in candidates if labels[index] == wanted]
    return (stored, same) if len(same) == 1 else side


def _labels(stored: StoredEvaluation) -> list[str]:
    from llmflowlab.evaluation.run.plan import CandidateSpec

    return [CandidateSpec.from_json(values).label for values in stored.plan["candidates"]]


def _choices(stored: StoredEvaluation) -> str:
    return ", ".join(
        f"{stored.id}:{number} ({label})" for number, label in enumerate(_labels(stored), start=1)
    )


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
                shortened(neutralise(row.b.id), _ID),
                shortened(neutralise(row.b.question), _QUESTION),
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
        f"p = {test.p_value:.3g}, {plural(test.n, 'row')}"
    )
    # Both must say so: an interval that reaches 0 is no proof of a difference.
    if test.p_value >= 0.05 or low <= 0 <= high:
        return f"No difference shown between A and B ({figures})."
    return f"B is {'better' if test.difference > 0 else 'worse'} than A ({figures})."


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
