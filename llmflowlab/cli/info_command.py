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
    seconds,
    shortened,
)
from llmflowlab.cli.info_people import said_table
from llmflowlab.cli.info_tables import (
    answers,
    comparison_table,
    evaluated_table,
    paired_lines,
)
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.errors import ExitCode
from llmflowlab.history.models import ModelSummary
from llmflowlab.history.summary import ModelComparison, compare
from llmflowlab.lab.labels import LABELS
from llmflowlab.program import program_name
from llmflowlab.text.amounts import marked_few
from llmflowlab.tracking.summaries import newest
from llmflowlab.tracking.violations import in_words

if TYPE_CHECKING:
    from llmflowlab.history.overview import SessionSummary
    from llmflowlab.lab.info import Past

__all__ = [
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
    past, comparison = _read(app, provider)

    def words() -> None:
        _show(app, past, comparison)
        if provider is not None:
            _show_details(app, provider, past.sessions)

    give(as_json, lambda: _document(past, comparison), words)
    return ExitCode.DONE


def info_screen(app: App) -> None:
    """Show the comparison, then what the person wants to see closer."""
    past, comparison = _read(app, None)
    _show(app, past, comparison)
    # Of evaluations all is said above; parameters and history are those of chats.
    providers = list(dict.fromkeys(session.provider for session in past.sessions))
    if not providers:
        return
    from llmflowlab.cli.history_browser import browse_history

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
                _show_details(app, name, past.sessions)
            else:
                browse_history(app, name)
        except KeyboardInterrupt:
            # One level back is this menu.
            app.screen.say()


def _read(app: App, provider: str | None) -> tuple[Past, ModelComparison]:
    # Imported here: the parts of the past take a moment to load.
    from llmflowlab.lab.info import read_past

    app.show_on_the_way()
    past = read_past(app.lab, provider, app.screen.note)
    return past, compare(past.sessions, past.evaluations, others=past.votes)


def _show(app: App, past: Past, comparison: ModelComparison) -> None:
    screen = app.screen
    if not comparison.models:
        screen.say("Nothing is recorded yet: chat with a model or run an evaluation first.")
        return
    if past.sessions or all(model.evaluated is None for model in comparison.models):
        screen.table(comparison_table(comparison, len(past.sessions)))
    if (evaluated := evaluated_table(comparison, past.people)) is not None:
        screen.table(evaluated)
    models = [model.reference for model in comparison.models]
    if (said := said_table(models, past.ratings, past.votes)) is not None:
        screen.table(said)
    screen.say()
    for line in answers(comparison):
        screen.say(line)
    screen.say()
    if past.evaluations:
        screen.say("On the same questions", tone="heading")
        for line in paired_lines(past.paired):
            screen.say(line)
        if past.paired.found:
            newest = past.paired.found[0].evaluation_id
            screen.say(f"Quality against cost: {program_name()} compare {newest}", tone="quiet")
        screen.say()
    screen.say("What can be improved", tone="heading")
    for sentence in comparison.advice or ("Nothing stands out in these numbers.",):
        screen.say(f"- {sentence}")
    screen.say()


def _show_details(app: App, provider: str, everything: Sequence[SessionSummary]) -> None:
    """Print a provider's last parameters and metrics."""
    from llmflowlab.lab.info import last_parameters

    sessions = [session for session in everything if session.provider == provider]
    if not sessions:
        app.screen.say(f"No chat with {LABELS.get(provider, provider)} is recorded yet.")
        return
    last = newest(sessions)
    app.screen.say(f"{LABELS.get(provider, provider)}, last session {last.started}", tone="heading")
    for name, value in last_parameters(app.lab, provider).items():
        app.screen.say(f"  {name:<24} {shortened(str(value), 200)}")
    rows: dict[str, str | None] = {
        "sessions": count(len(sessions)),
        "turns of the last": f"{last.turns} ({last.failed_turns} failed)",
        "avg_inference_time": seconds(last.avg_inference_time),
        "p95_inference_time": marked_few(seconds(last.p95_inference_time), last.answered),
        "avg_time_to_first_token": seconds(last.avg_time_to_first_token),
        "tokens_per_second": count(last.tokens_per_second),
        "total_tokens": count(last.total_tokens),
        "total_cost_estimate": dollars(last.cost),
    }
    if last.guardrail_violations is not None:
        rows["guardrail_violations"] = in_words(last.guardrail_violations) or "none"
    for name, shown in rows.items():
        app.screen.say(f"  {name:<24} {'unknown' if shown is None else shown}")


def _document(past: Past, comparison: ModelComparison) -> dict[str, Any]:
    return {
        "sessions": len(past.sessions),
        "models": [
            _model_json(model)
            | {"people": [score.to_json() for score in past.people.get(model.reference, ())]}
            | {"ratings": [mean.to_json() for mean in past.ratings.get(model.reference, ())]}
            | {"arena": tally.to_json() if (tally := past.votes.get(model.reference)) else None}
            for model in comparison.models
        ],
        "winners": {
            "latency": list(comparison.fastest),
            "tokens": list(comparison.most_tokens),
            "cost": list(comparison.cheapest),
            "quality": list(comparison.best),
            "latency_evaluated": list(comparison.fastest_evaluated),
            "cost_evaluated": list(comparison.cheapest_evaluated),
        },
        "improve": list(comparison.advice),
        "paired": [asdict(pair) for pair in past.paired.found],
        "no_paired_because": past.paired.why_none,
    }


def _model_json(model: ModelSummary) -> dict[str, Any]:
    values = {"model": model.reference, **asdict(model)}
    del values["reference"]
    values["cost_usd"] = number_or_none(values.pop("cost"))
    values["cost_usd_per_turn"] = number_or_none(model.cost_per_turn)
    return {k: float(v) if isinstance(v, Decimal) else v for k, v in values.items()}
