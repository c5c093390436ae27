"""The menu's evaluate mode: choose data, models, scorers, judge; see the cost; confirm; watch."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from pathlib import Path

from llmflowlab.cli.arguments import checked_usd
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.command import carry_out, ledger_of
from llmflowlab.cli.evaluate.preparing import Wishes, default_data, prepare
from llmflowlab.cli.evaluate.show import describe_plan, show_result
from llmflowlab.cli.formatting import dollars
from llmflowlab.cli.model_choice import choose_models
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import InputError, LabError
from llmflowlab.evaluation.judging import JUDGED, KINDS, OWN, PREFERENCE
from llmflowlab.evaluation.run.ledger import Ledger, StoredEvaluation
from llmflowlab.evaluation.run.running import is_running
from llmflowlab.evaluation.run.scorer_choice import DEFAULT_JUDGED, default_text_scorers
from llmflowlab.evaluation.run.steering import known_budget
from llmflowlab.evaluation.scorers.deterministic import DETERMINISTIC

__all__ = ["evaluate_screen"]


def evaluate_screen(app: App) -> None:
    """Lead through one evaluation; Ctrl-C leads back to the menu."""
    with closing(ledger_of(app)) as ledger:
        wishes = _ask_resume(app, ledger) or _ask_new(app)
        prepared = prepare(app, wishes, ledger)
        for remark in prepared.remarks:
            app.screen.note(remark)
        for line in describe_plan(prepared.plan, prepared.estimate):
            app.screen.say(line)
        if not app.screen.confirm("Start?", default=True):
            app.screen.say("Nothing was sent.")
            return
        result = carry_out(app, prepared)
    show_result(app.screen, result)


def _ask_resume(app: App, ledger: Ledger) -> Wishes | None:
    unfinished = [
        e for e in ledger.evaluations() if e.state != "finished" and not is_running(ledger, e.id)
    ][:5]
    if not unfinished:
        return None
    choices: list[Choice[str | None]] = [Choice("Start a new evaluation", None, ("new",))]
    choices += [
        Choice(
            f"Go on with {e.id} ({e.plan['dataset']['name']}, {_end_of(e)}, "
            f"{', '.join(c['model'] for c in e.plan['candidates'])})",
            e.id,
            (e.id,),
        )
        for e in unfinished
    ]
    chosen = app.screen.select("An evaluation was not finished", choices, default=None)
    if chosen is None:
        return None
    return Wishes(resume=chosen, budget=_ask_budget(app, ledger, chosen))


def _end_of(evaluation: StoredEvaluation) -> str:
    # Nobody works on it any more, so a process that was killed left this state behind.
    return "interrupted" if evaluation.state == "running" else evaluation.state


def _ask_budget(app: App, ledger: Ledger, evaluation: str) -> Decimal | None:
    """Ask anew for the budget of an evaluation that has one; it may be why it stopped."""
    before = known_budget(ledger, evaluation)
    if before is None:
        return None

    def check(text: str) -> str | None:
        try:
            checked_usd(text)
        except InputError as exc:
            return exc.message
        return None

    spent = ledger.spent(evaluation)
    said = "nothing" if spent == 0 else dollars(spent)
    typed = app.screen.text(
        f"Budget in USD in all ({said} spent so far)", default=f"{before:f}", check=check
    )
    return checked_usd(typed)


def _ask_new(app: App) -> Wishes:
    data = _ask_data(app)
    models = choose_models(app, "Which models?")
    judge = _ask_judge(app, models)
    scorers = _ask_scorers(app, judge, data, comparing=len(models) > 1)
    system = app.screen.text("System prompt for all of them (empty: none)").strip() or None
    return Wishes(models=models, data=data, judge=judge, scorers=scorers, system=system)


def _ask_data(app: App) -> Path:
    file = default_data(app)
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


def _ask_judge(app: App, models: list[str]) -> str | None:
    if app.settings.judge is not None and app.settings.judge not in models:
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
