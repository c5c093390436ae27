"""The menu's evaluate mode: choose data, models, scorers, judge; see the cost; confirm; watch."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.live_view import watched
from llmflowlab.cli.evaluate.show_evaluation import describe_plan, show_details, show_result
from llmflowlab.cli.formatting import dollars
from llmflowlab.cli.going_back import going_back
from llmflowlab.cli.model_choice import choose_models
from llmflowlab.cli.options import read_usd
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import InputError, LabError
from llmflowlab.evaluation.judging import JUDGED, KINDS, OWN, PREFERENCE
from llmflowlab.evaluation.run.scorer_choice import DEFAULT_JUDGED, default_text_scorers
from llmflowlab.evaluation.scorers.deterministic import DETERMINISTIC
from llmflowlab.lab.candidates import first_compared
from llmflowlab.lab.evaluate import default_data, prepare
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.unfinished import Unfinished, unfinished_evaluations

__all__ = ["evaluate_screen"]


def evaluate_screen(app: App) -> None:
    """Lead through one evaluation; Esc leads back a question, Ctrl-C to the menu."""
    request = going_back(app, lambda: _ask_resume(app) or _ask_new(app))
    with closing(prepare(app.lab, replace(request, waits=False))) as prepared:
        for remark in prepared.remarks:
            app.screen.note(remark)
        for line in describe_plan(prepared.plan, prepared.estimate):
            app.screen.say(line)
        if not app.screen.confirm("Start?", default=True):
            app.screen.say("Nothing was sent.")
            return
        result = watched(app.screen, prepared)
    show_result(app.screen, result, recorded=False)
    # Line by line the answers are a script's, which knows nothing of this question.
    if not app.screen.plain and app.screen.confirm("Show all tables and comparisons?"):
        show_details(app.screen, result)


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

    def check(text: str) -> str | None:
        try:
            read_usd(text)
        except InputError as exc:
            return exc.message
        return None

    said = "nothing" if evaluation.spent == 0 else dollars(evaluation.spent)
    typed = app.screen.text(
        f"Budget in USD in all ({said} spent so far)",
        default=f"{evaluation.budget:f}",
        check=check,
    )
    return read_usd(typed)


def _ask_new(app: App) -> EvaluationRequest:
    data = _ask_data(app)
    answers, asking = _ask_answers(app, data)
    first = first_compared(app.lab)
    models = choose_models(app, "Which models?", first=first) if asking else []
    judge = _ask_judge(app, models)
    scorers = _ask_scorers(app, judge, data, comparing=len(models) + len(answers) > 1)
    system = ""
    if asking:
        system = app.screen.text("System prompt for all of them (empty: none)").strip()
    return EvaluationRequest(
        models=models,
        answers=answers,
        data=data,
        judges=[judge] if judge else (),
        scorers=scorers,
        systems=[system] if system else (),
    )


def _ask_data(app: App) -> Path:
    file = default_data(app.settings)
    chosen = app.screen.select(
        "Which questions?",
        [
            Choice(f"{file.name} (the default)", "default", ("benchmark",)),
            Choice("another file", "other", ("other", "file")),
        ],
        default="default",
    )
    if chosen == "default":
        return file

    def check(text: str) -> str | None:
        try:
            load_dataset(Path(text.strip()).expanduser())
        except LabError as exc:
            return exc.message
        return None

    return Path(
        app.screen.text("File (CSV, JSON, Parquet, Excel)", check=check).strip()
    ).expanduser()


def _ask_answers(app: App, data: Path) -> tuple[tuple[str, ...], bool]:
    """Return the column of given answers to be scored, and whether models are asked as well."""
    column = load_dataset(data).answered
    if column is None:
        return (), True
    choices: list[Choice[tuple[tuple[str, ...], bool]]] = [
        Choice("models that are asked now", ((), True), ("models",)),
        Choice("these answers; nobody is asked", ((column,), False), ("answers",)),
        Choice("both, compared with each other", ((column,), True), ("both",)),
    ]
    question = f"Column {column} looks like answers already given. What is to be scored?"
    return app.screen.select(question, choices, default=((), True))


def _ask_judge(app: App, models: list[str]) -> str | None:
    if app.settings.judge is not None and models != [app.settings.judge]:
        app.screen.note(f"Judge: {app.settings.judge} (LLMFLOWLAB_JUDGE)")
        return app.settings.judge
    picked = choose_models(
        app,
        "Which model judges? (not a candidate; none: only text comparison)",
        several=False,
        language_models_only=True,
        without=models,
        optional="no judge",
    )
    return picked[0] if picked else None


def _ask_scorers(app: App, judge: str | None, data: Path, *, comparing: bool) -> list[str]:
    dataset = load_dataset(data)
    rows = dataset.rows
    usual = [*default_text_scorers(dataset)]
    usable = [*dict.fromkeys([*usual, *DETERMINISTIC])]
    if judge is not None:
        left_out = {OWN, *(() if comparing else (PREFERENCE,))}
        if not any(row.guidelines for row in rows):
            left_out.add("guidelines")
        usable += [name for name in JUDGED if name not in left_out]
        usual += [name for name in DEFAULT_JUDGED if name not in left_out]
    choices = [Choice(_described(name), name, (name,)) for name in usable]
    return app.screen.checkbox("Which scorers?", choices, default=usual) or usual


def _described(scorer: str) -> str:
    title = KINDS[scorer].title if scorer in KINDS else ""
    if scorer == PREFERENCE:
        title = "which of two answers is better, asked in both orders"
    return f"{scorer} ({title})" if title else scorer
