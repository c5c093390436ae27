"""The info screen and command: what is known of each model, and which one wins."""

from __future__ import annotations

import json
import sys
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
from llmflowlab.cli.status import LABELS
from llmflowlab.cli.ui.screen import Choice, Table
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.history.models import FEW_TURNS, ModelSummary
from llmflowlab.history.summary import Comparison, compare
from llmflowlab.text.sanitize import neutralise

if TYPE_CHECKING:
    from llmflowlab.history.overview import SessionSummary

__all__ = ["answers", "comparison_table", "info_screen", "run_command"]


def run_command(app: App, *, provider: str | None, as_json: bool) -> int:
    """Print what is known of all models, or of one provider's.

    Raises:
        InputError: No such provider.
        TrackingError: The tracking store cannot be read.
    """
    if provider is not None and provider not in LABELS:
        raise InputError(f"{provider!r} is no provider; choose from {', '.join(LABELS)}.")
    comparison, sessions = _read(app, provider)
    if as_json:
        _print_json(comparison, len(sessions))
        return ExitCode.DONE
    _show(app, comparison, len(sessions))
    if provider is not None:
        _show_details(app, provider, sessions)
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


def _read(app: App, provider: str | None) -> tuple[Comparison, list[SessionSummary]]:
    from llmflowlab.history.overview import load_evaluations, load_sessions

    sessions = load_sessions(app.settings, on_notice=app.screen.note)
    evaluations = load_evaluations(app.settings, on_notice=app.screen.note)
    if provider is not None:
        sessions = [s for s in sessions if s.provider == provider]
        evaluations = [e for e in evaluations if e.model.partition(":")[0] == provider]
    return compare(sessions, evaluations), sessions


def _show(app: App, comparison: Comparison, sessions: int) -> None:
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


def comparison_table(comparison: Comparison, sessions: int) -> Table:
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
    few = [m.reference for m in comparison.models if 0 < m.turns - m.failed_turns < FEW_TURNS]
    if few:
        notes.append(f"Fewer than {FEW_TURNS} answers, read with care: {', '.join(few)}.")
    return Table(
        title="Models compared",
        columns=("model", "turns", "avg time", "tokens", "cost", "quality"),
        rows=tuple(rows),
        numbers=frozenset({1, 2, 3, 4, 5}),
        marked=frozenset(marked),
        notes=tuple(notes),
    )


def _quality(model: ModelSummary) -> str | None:
    return "not evaluated" if model.quality is None else percent(model.quality.mean)


def answers(comparison: Comparison) -> list[str]:
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
            "nothing was evaluated yet"
            if comparison.same_questions
            else "the models were evaluated on different questions",
        ),
    ]


def _show_details(app: App, provider: str, everything: Sequence[SessionSummary]) -> None:
    """Print a provider's last parameters and metrics."""
    sessions = [session for session in everything if session.provider == provider]
    if not sessions:
        app.screen.say(f"No chat with {LABELS.get(provider, provider)} is recorded yet.")
        return
    last = max(sessions, key=lambda s: s.started)
    info = app.settings.info_dir / f"{provider}_info.json"
    app.screen.say(f"{LABELS.get(provider, provider)}, last session {last.started}", tone="heading")
    for name, value in _parameters(info).items():
        app.screen.say(f"  {name:<24} {shortened(neutralise(str(value)), 200)}")
    rows: dict[str, str | None] = {
        "sessions": count(len(sessions)),
        "turns of the last": f"{last.turns} ({last.failed_turns} failed)",
        "avg_inference_time": seconds(last.avg_inference_time),
        "p95_inference_time": seconds(last.p95_inference_time),
        "avg_time_to_first_token": seconds(last.avg_time_to_first_token),
        "tokens_per_second": count(last.tokens_per_second),
        "total_tokens": count(last.total_tokens),
        "total_cost_estimate": dollars(last.cost),
    }
    for name, shown in rows.items():
        app.screen.say(f"  {name:<24} {'unknown' if shown is None else shown}")


def _parameters(file: Any) -> dict[str, Any]:
    """Read the parameters of the last session; sessions of other machines have no file here."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    parameters = values.get("parameters") if isinstance(values, dict) else None
    if not isinstance(parameters, dict):
        return {}
    return {name: value for name, value in parameters.items() if value is not None}


def _print_json(comparison: Comparison, sessions: int) -> None:
    document = {
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
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _model_json(model: ModelSummary) -> dict[str, Any]:
    values = {"model": model.reference, **asdict(model)}
    del values["reference"]
    values["cost_usd"] = number_or_none(values.pop("cost"))
    values["cost_usd_per_turn"] = number_or_none(model.cost_per_turn)
    return {k: float(v) if isinstance(v, Decimal) else v for k, v in values.items()}
