"""What the menu asks of an evaluation; the answers are the options that could have been typed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluation_options import add_evaluation_options
from llmflowlab.cli.model_choice import choose_models
from llmflowlab.cli.options import read_usd, read_whole
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.data.dataset import Dataset, load_dataset, sample
from llmflowlab.errors import InputError, LabError
from llmflowlab.lab.evaluate import default_data
from llmflowlab.lab.scorer_offer import default_scorers, offered_scorers, refuse_unusable

__all__ = ["ask_file", "ask_options", "options_parser", "wrong_usd"]

_FILE = "evaluation.yaml"
_NO, _YES = frozenset({"", "n", "no"}), frozenset({"y", "yes"})


def options_parser() -> argparse.ArgumentParser:
    """Return the parser whose options the questions fill in."""
    parser = argparse.ArgumentParser()
    add_evaluation_options(parser)
    return parser


def ask_options(app: App, first: list[str]) -> argparse.Namespace:
    """Ask for an evaluation; return it as the options of `evaluate`.

    Args:
        app: The program's parts.
        first: The models that are taken unless the person chooses.
    """
    said = options_parser().parse_args([])
    said.data = _ask_data(app)
    dataset = load_dataset(said.data or default_data(app.settings))
    said.sample = _ask_sample(app, len(dataset.rows))
    if said.sample is not None:
        dataset = sample(dataset, said.sample, said.seed)
    said.answers, asking = _ask_answers(app, dataset.answered)
    if asking:
        said.model = choose_models(app, "Which models?", first=first)
    said.judge = _ask_judge(app, said.model)
    comparing = len(said.model) + len(said.answers) > 1
    said.scorer = _ask_scorers(app, dataset, judged=bool(said.judge), comparing=comparing)
    if asking:
        system = app.screen.text("System prompt for all of them (Enter: none)")
        said.system = [system] if system else []
    budget = app.screen.text(
        "Budget in USD, judges included (Enter: none)", check=lambda t: wrong_usd(t) if t else None
    )
    said.budget = read_usd(budget) if budget else None
    return said


def ask_file(app: App) -> Path | None:
    """Ask where the choices are to be saved; None where they are not."""

    def file(typed: str) -> Path | None:
        if typed.lower() in _NO:
            return None
        return Path(_FILE if typed.lower() in _YES else typed).expanduser()

    def wrong(typed: str) -> str | None:
        found = file(typed)
        if found is None:
            return None
        if found.exists():
            return f"{found} is there already; name another file."
        if not found.parent.is_dir() or not os.access(found.parent, os.W_OK):
            return f"{found.parent} is no folder that can be written to; name another file."
        return None

    message = "Save these choices? (name a file for --config; Enter: no)"
    return file(app.screen.text(message, check=wrong))


def wrong_usd(text: str) -> str | None:
    """Return what is wrong with an amount of money."""
    return _wrong(lambda: read_usd(text))


def _wrong(use: Callable[[], object]) -> str | None:
    try:
        use()
    except LabError as exc:
        return exc.message
    return None


def _ask_data(app: App) -> Path | None:
    file = default_data(app.settings)
    choices = [
        Choice(f"{file.name} (the default)", True, ("benchmark",)),
        Choice("another file", False, ("other", "file")),
    ]
    if app.screen.select("Which questions?", choices, default=True):
        return None

    def path(text: str) -> Path:
        return Path(text.strip()).expanduser()

    return path(
        app.screen.text(
            "File (CSV, JSON, Parquet, Excel), or support_desk",
            check=lambda text: _wrong(lambda: load_dataset(path(text))),
        )
    )


def _ask_sample(app: App, rows: int) -> int | None:
    def wrong(text: str) -> str | None:
        if not text:
            return None
        too_many = f"The file has {rows:,}; give a number up to that, or nothing for all."
        return _wrong(lambda: read_whole(text)) or (too_many if int(text) > rows else None)

    typed = app.screen.text(f"How many of its {rows:,} questions? (Enter: all)", check=wrong)
    return read_whole(typed) if typed else None


def _ask_answers(app: App, column: str | None) -> tuple[list[str], bool]:
    """Return the column of given answers to be scored, and whether models are asked as well."""
    if column is None:
        return [], True
    choices: list[Choice[tuple[list[str], bool]]] = [
        Choice("models that are asked now", ([], True), ("models",)),
        Choice("these answers; nobody is asked", ([column], False), ("answers",)),
        Choice("both, compared with each other", ([column], True), ("both",)),
    ]
    question = f"Column {column} looks like answers already given. What is to be scored?"
    return app.screen.select(question, choices, default=([], True))


def _ask_judge(app: App, models: list[str]) -> list[str]:
    if app.settings.judge is not None and models != [app.settings.judge]:
        app.screen.note(f"Judge: {app.settings.judge} (LLMFLOWLAB_JUDGE)")
        return [app.settings.judge]
    return choose_models(
        app,
        "Which model judges? (not a candidate; none: only text comparison)",
        several=False,
        language_models_only=True,
        without=models,
        optional="no judge",
    )


def _ask_scorers(app: App, dataset: Dataset, *, judged: bool, comparing: bool) -> list[str]:
    """Ask for scorers of the registry, and for the options of those that need some."""
    offered = offered_scorers(dataset, judged=judged, comparing=comparing)
    try:
        usual = default_scorers(dataset, judged=judged)
    except InputError:
        # Nothing to compare with; why is said beside each scorer that would compare.
        usual = []
    usual = [scorer.name for scorer in offered if scorer.name in usual and not scorer.lacking]
    choices = [
        Choice(
            s.name if s.lacking else f"{s.name}: {s.says}",
            s.name,
            (s.name,),
            disabled=s.lacking,
            group=s.group,
        )
        for s in offered
    ]
    while True:
        chosen = app.screen.checkbox("Which scorers?", choices, default=usual)
        if chosen or app.screen.plain:
            break
        app.screen.warn("Choose at least one scorer.")
    begun = {scorer.name: scorer.begun for scorer in offered}
    return [_with_options(app, name, begun[name], dataset) for name in chosen]


def _with_options(app: App, scorer: str, begun: str | None, dataset: Dataset) -> str:
    if begun is None:
        return scorer
    return app.screen.text(
        f"{scorer} with its options",
        default=begun,
        check=lambda text: _wrong(lambda: refuse_unusable(text, dataset)),
    )
