"""The info screen and command: what is known of each model, and which one wins."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import (
    count,
    dollars,
    number_or_none,
    percent,
    plural,
    seconds,
    shortened,
)
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Choice, Table
from llmflowlab.errors import ExitCode
from llmflowlab.history.models import FEW_TURNS, ModelSummary
from llmflowlab.history.summary import ModelComparison, compare
from llmflowlab.lab.labels import LABELS
from llmflowlab.text.amounts import marked_few

if TYPE_CHECKING:
    from llmflowlab.history.overview import SessionSummary

__all__ = [
    "answers",
    "comparison_table",
    "declare_options",
    "info_screen",
    "run_command",
    "show_info",
]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument(
        "--provider", metavar="NAME", help="only this provider (gemini, ollama, ...)"
    )
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    return show_info(app, provider=arguments.provider, as_json=arguments.json)


def show_info(app: App, *, provider: str | None, as_json: bool) -> int:
    """Print what is known of all models, or of one provider's.

    Raises:
        InputError: No such provider.
        TrackingError: The tracking store cannot be read.
    """
    comparison, sessions = _read(app, provider)

    def words() -> None:
        _show(app, comparison, len(sessions))
        if provider is not None:
            _show_details(app, provider, sessions)

    give(as_json, lambda: _document(comparison, len(sessions)), words)
    return ExitCode.DONE


def info_screen(app: App) -> None:
    """Show the comparison, then what the person wants to see closer."""
    comparison, sessions = _read(app, None)
    _show(app, comparison, len(sessions))
    if not comparison.models:
        return
    from llmflowlab.cli.history_browser import browse_history

    providers = list(dict.fromkeys(m.reference.partition(":")[0] for m in comparison.models))
    choices: list[Choice[tuple[str, str] | None]] = []
    for name in providers:
        label = LABELS.get(name, name)
        choices.append(Choice(f"{label}: parameters and metrics", ("details", name)))
        choices.append(Choice(f"{label}: artifact history", ("history", name)))
    choices.append(Choice("Back", None, names=("back", "b")))
    while True:
        chosen = app.screen.select("Look closer?", choices)
        if chosen is None:
            return
        what, name = chosen
        try:
            if what == "details":
                _show_details(app, name, sessions)
            else:
                browse_history(app, name)
        except KeyboardInterrupt:
            # One level back is this menu.
            app.screen.say()


def _read(app: App, provider: str | None) -> tuple[ModelComparison, Sequence[SessionSummary]]:
    # Imported here: the parts of the past take a moment to load.
    from llmflowlab.lab.info import read_past

    app.show_on_the_way()
    past = read_past(app.lab, provider, app.screen.note)
    return compare(past.sessions, past.evaluations), past.sessions


def _show(app: App, comparison: ModelComparison, sessions: int) -> None:
    screen = app.screen
    if not comparison.models:
        screen.say("Nothing is recorded yet: chat with a model or run an evaluation first.")
        return
    screen.table(comparison_table(comparison, sessions))
    screen.say()
    for line in answers(comparison):
        screen.say(line)
    screen.say()
    screen.say("What can be improved", tone="heading")
    for sentence in comparison.advice or ("Nothing stands out in these numbers.",):
        screen.say(f"- {sentence}")
    screen.say()


def comparison_table(comparison: ModelComparison, sessions: int) -> Table:
    """Set the models side by side, winners marked."""
    winners = {
        2: comparison.fastest,
        3: comparison.most_tokens,
        4: comparison.cheapest,
        5: comparison.best,
    }
    rows, marked = [], set()
    for index, model in enumerate(comparison.models):
        rows.append(
            (
                model.reference,
                count(model.turns) if model.turns else "none",
                seconds(model.avg_time),
                count(model.generated),
                dollars(model.cost_per_turn),
                _quality(model),
            )
        )
        if len(comparison.models) > 1:
            marked |= {(index, column) for column, won in winners.items() if model.reference in won}
    notes = [f"From {plural(sessions, 'session')}. Tokens: generated. Cost: per answered turn."]
    scorers = sorted({m.quality.scorer for m in comparison.models if m.quality})
    if scorers:
        notes.append(f"Quality: mean of {', '.join(scorers)} in the latest evaluation.")
    doubts = [(m.reference, m.quality.doubt) for m in comparison.models if m.quality]
    notes += [f"In doubt, {name}: {doubt}." for name, doubt in doubts if doubt is not None]
    few = [m.reference for m in comparison.models if 0 < m.turns - m.failed_turns < FEW_TURNS]
    if few:
        notes.append(f"Fewer than {FEW_TURNS} answers, read with care: {', '.join(few)}.")
    return Table(
        title="Models compared",
        columns=("model", "turns", "avg time", "tokens", "cost", "quality"),
        rows=tuple(rows),
        numbers=frozenset({1, 2, 3, 4, 5}),
        marked=frozenset(marked),
        mark_means="the best of its column",
        notes=tuple(notes),
    )


def _quality(model: ModelSummary) -> str | None:
    if model.quality is None:
        return "not evaluated"
    return f"{percent(model.quality.mean)}{' in doubt' if model.quality.doubt else ''}"


def answers(comparison: ModelComparison) -> list[str]:
    """Answer the questions people ask of a comparison, from known values only."""
    by_name = {model.reference: model for model in comparison.models}

    def answer(question: str, won: tuple[str, ...], value: str | None, missing: str) -> str:
        if not won:
            return f"{question}: unknown, {missing}"
        tie = " (tied)" if len(won) > 1 else ""
        alone = " (the only one known)" if len(by_name) == 1 else ""
        return f"{question}: {', '.join(won)}, {value}{tie}{alone}"

    def first(won: tuple[str, ...]) -> ModelSummary | None:
        return by_name[won[0]] if won else None

    fastest, most = first(comparison.fastest), first(comparison.most_tokens)
    cheapest, best = first(comparison.cheapest), first(comparison.best)
    quality = None if best is None else best.quality
    judged = (
        None
        if quality is None
        else f"{percent(quality.mean)} {quality.scorer} on {quality.dataset}"
    )
    return [
        answer(
            "Lowest average latency",
            comparison.fastest,
            None if fastest is None else seconds(fastest.avg_time),
            "no answered turn is recorded",
        ),
        answer(
            "Most tokens generated",
            comparison.most_tokens,
            None if most is None else count(most.generated),
            "no tokens are recorded",
        ),
        answer(
            "Cheapest per answered turn",
            comparison.cheapest,
            None if cheapest is None else dollars(cheapest.cost_per_turn),
            "no cost is known",
        ),
        answer(
            "Best answers",
            comparison.best,
            judged,
            _no_best(comparison),
        ),
    ]


def _no_best(comparison: ModelComparison) -> str:
    if all(model.quality is None for model in comparison.models):
        return "nothing was evaluated yet"
    if not comparison.same_questions:
        return "the models were evaluated on different questions"
    if all(model.quality is None or model.quality.doubt for model in comparison.models):
        return "what was measured is in doubt"
    return "no answer was right"


def _show_details(app: App, provider: str, everything: Sequence[SessionSummary]) -> None:
    """Print a provider's last parameters and metrics."""
    from llmflowlab.lab.info import last_parameters

    sessions = [session for session in everything if session.provider == provider]
    if not sessions:
        app.screen.say(f"No chat with {LABELS.get(provider, provider)} is recorded yet.")
        return
    last = max(sessions, key=lambda s: s.started)
    app.screen.say(f"{LABELS.get(provider, provider)}, last session {last.started}", tone="heading")
    for name, value in last_parameters(app.lab, provider).items():
        app.screen.say(f"  {name:<24} {shortened(str(value), 200)}")
    rows: dict[str, str | None] = {
        "sessions": count(len(sessions)),
        "turns of the last": f"{last.turns} ({last.failed_turns} failed)",
        "avg_inference_time": seconds(last.avg_inference_time),
        "p95_inference_time": marked_few(
            seconds(last.p95_inference_time), last.turns - last.failed_turns
        ),
        "avg_time_to_first_token": seconds(last.avg_time_to_first_token),
        "tokens_per_second": count(last.tokens_per_second),
        "total_tokens": count(last.total_tokens),
        "total_cost_estimate": dollars(last.cost),
    }
    for name, shown in rows.items():
        app.screen.say(f"  {name:<24} {'unknown' if shown is None else shown}")


def _document(comparison: ModelComparison, sessions: int) -> dict[str, Any]:
    return {
        "sessions": sessions,
        "models": [_model_json(model) for model in comparison.models],
        "winners": {
            "latency": list(comparison.fastest),
            "tokens": list(comparison.most_tokens),
            "cost": list(comparison.cheapest),
            "quality": list(comparison.best),
        },
        "improve": list(comparison.advice),
    }


def _model_json(model: ModelSummary) -> dict[str, Any]:
    values = {"model": model.reference, **asdict(model)}
    del values["reference"]
    values["cost_usd"] = number_or_none(values.pop("cost"))
    values["cost_usd_per_turn"] = number_or_none(model.cost_per_turn)
    return {k: float(v) if isinstance(v, Decimal) else v for k, v in values.items()}
