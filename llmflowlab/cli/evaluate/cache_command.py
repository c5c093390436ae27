"""`main.py cache`: what is kept of evaluations, and how it is given back."""

from __future__ import annotations

import argparse

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import bytes_text, count, dollars, plural
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.cli.questions import said_yes
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode
from llmflowlab.lab.upkeep import (
    KeptEvaluation,
    KeptFile,
    clear_damaged,
    clear_evaluations,
    is_damaged,
    kept_file,
    named_evaluations,
)

__all__ = ["declare_options", "run_command"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument(
        "--clear",
        nargs="?",
        const="all",
        metavar="EVALUATION_ID|all",
        help="forget one evaluation's answers and judgements, or all",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before clearing")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Show what is kept, after forgetting what was named; returns the exit code.

    Raises:
        InputError: There is nothing of that name, it is running, or nobody said yes.
    """
    if arguments.clear is not None:
        _clear(app, arguments.clear, sure=arguments.yes, as_json=arguments.json)
    kept = kept_file(app.lab)
    give(arguments.json, lambda: _document(kept), lambda: _show(app, kept))
    return ExitCode.DONE


def _document(kept: KeptFile | None) -> object:
    if kept is None:
        return {"file": None, "bytes": 0, "evaluations": []}
    return {
        "file": str(kept.path),
        "bytes": kept.size,
        "evaluations": [entry.to_json() for entry in kept.evaluations],
    }


def _show(app: App, kept: KeptFile | None) -> None:
    if kept is None:
        app.screen.say("No evaluation is kept here yet.")
        return
    if kept.evaluations:
        app.screen.table(
            Table(
                title="Evaluations",
                columns=("id", "data", "state", "rows", "models", "answers", "judged", "cost"),
                rows=tuple(_row(entry) for entry in kept.evaluations),
                numbers=frozenset({3, 4, 5, 6, 7}),
            )
        )
    answers = sum(entry.answers for entry in kept.evaluations)
    judgements = sum(entry.judgements for entry in kept.evaluations)
    app.screen.say(
        f"{plural(len(kept.evaluations), 'evaluation')}, {plural(answers, 'answer')} and "
        f"{plural(judgements, 'judgement')} in {bytes_text(kept.size)}: {kept.path}"
    )


def _row(entry: KeptEvaluation) -> tuple[str | None, ...]:
    plan = entry.stored.plan
    return (
        entry.stored.id,
        plan["dataset"]["name"],
        entry.state,
        count(plan["dataset"]["rows"]),
        str(len(plan["candidates"])),
        count(entry.answers),
        count(entry.judgements),
        dollars(entry.cost_usd),
    )


def _clear(app: App, what: str, *, sure: bool, as_json: bool) -> None:
    if is_damaged(app.lab, what):
        if sure or said_yes(
            app,
            f"Forget {what}, a record of which is damaged?",
            as_json=as_json,
            refusal="Clearing needs a yes: give --yes.",
        ):
            clear_damaged(app.lab, what)
            app.screen.note("1 evaluation cleared; MLflow keeps what it has.")
        return
    chosen = named_evaluations(app.lab, what)
    answers = sum(entry.answers for entry in chosen)
    if not sure and not said_yes(
        app,
        f"Forget {plural(len(chosen), 'evaluation')} with {plural(answers, 'answer')}? "
        "They would have to be asked again.",
        as_json=as_json,
        refusal="Clearing needs a yes: give --yes.",
    ):
        app.screen.note("Nothing was cleared.")
        return
    cleared = clear_evaluations(app.lab, chosen)
    if not cleared.compacted:
        app.screen.note("The file keeps its size while an evaluation is running.")
    app.screen.note(
        f"{plural(cleared.evaluations, 'evaluation')} cleared; MLflow keeps what it has."
    )
