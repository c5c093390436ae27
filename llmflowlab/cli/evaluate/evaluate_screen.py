"""The menu's evaluate mode: choose what and by what; see the cost; keep the choices; confirm; watch."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.config_file import save_config
from llmflowlab.cli.evaluate.evaluate_questions import (
    ask_file,
    ask_options,
    options_parser,
    wrong_usd,
)
from llmflowlab.cli.evaluate.evaluation_options import evaluation_request
from llmflowlab.cli.evaluate.live_view import watched
from llmflowlab.cli.evaluate.show_evaluation import describe_plan, show_details, show_result
from llmflowlab.cli.formatting import dollars
from llmflowlab.cli.going_back import going_back
from llmflowlab.cli.options import read_usd
from llmflowlab.cli.ui.screen import Choice, GoBack
from llmflowlab.errors import InputError, LabError
from llmflowlab.lab.candidates import first_compared
from llmflowlab.lab.evaluate import PreparedEvaluation, prepare
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.unfinished import Unfinished, unfinished_evaluations

__all__ = ["evaluate_screen"]


def evaluate_screen(app: App) -> None:
    """Lead through one evaluation; Esc leads back a question, Ctrl-C to the menu."""
    first = first_compared(app.lab)
    if first.lacking is not None:
        app.screen.note(first.lacking)
    prepared, start = going_back(app, lambda: _ask(app, list(first.models)))
    with closing(prepared):
        if not start:
            app.screen.say("Nothing was sent.")
            return
        result = watched(app.screen, prepared)
    show_result(app.screen, result, recorded=False)
    # Line by line the answers are a script's, which knows nothing of this question.
    if not app.screen.plain and app.screen.confirm("Show all tables and comparisons?"):
        show_details(app.screen, result)


def _ask(app: App, first: list[str]) -> tuple[PreparedEvaluation, bool]:
    """Ask for everything; return the evaluation, and whether it is to start."""
    request, said = _ask_resume(app), None
    if request is None:
        said = ask_options(app, first)
        request = evaluation_request(said)
    prepared = _prepared(app, request)
    try:
        for remark in prepared.remarks:
            app.screen.note(remark)
        for line in describe_plan(prepared.plan, prepared.estimate):
            app.screen.say(line)
        file = None if said is None else ask_file(app)
        start = app.screen.confirm("Start?", default=True)
        # Written once nobody can go back any more.
        if said is not None and file is not None:
            _save(app, said, file)
    except BaseException:
        prepared.close()
        raise
    return prepared, start


def _prepared(app: App, request: EvaluationRequest) -> PreparedEvaluation:
    try:
        return prepare(app.lab, replace(request, waits=False))
    except LabError as exc:
        if app.screen.plain:
            raise
        # What was chosen does not fit together: the last question is asked again.
        app.screen.warn(exc.message)
        raise GoBack from exc


def _save(app: App, said: argparse.Namespace, file: Path) -> None:
    try:
        again = save_config(options_parser(), said, file)
    except InputError as exc:
        app.screen.warn(exc.message)
    else:
        app.screen.note(again)


def _ask_resume(app: App) -> EvaluationRequest | None:
    unfinished = unfinished_evaluations(app.lab)
    if not unfinished:
        return None
    choices: list[Choice[Unfinished | None]] = [Choice("Start a new evaluation", None, ("new",))]
    choices += [
        Choice(f"Go on with {e.id} ({e.dataset}, {e.state}, {', '.join(e.models)})", e, (e.id,))
        for e in unfinished
    ]
    chosen = app.screen.select("An evaluation was not finished", choices, default=None)
    if chosen is None:
        return None
    return EvaluationRequest(resume=chosen.id, budget=_ask_budget(app, chosen))


def _ask_budget(app: App, evaluation: Unfinished) -> Decimal | None:
    """Ask anew for the budget of an evaluation that has one; it may be why it stopped."""
    if evaluation.budget is None:
        return None
    said = "nothing" if evaluation.spent == 0 else dollars(evaluation.spent)
    typed = app.screen.text(
        f"Budget in USD in all ({said} spent so far)",
        default=f"{evaluation.budget:f}",
        check=wrong_usd,
    )
    return read_usd(typed)
