"""`main.py models`: what can be reached, at what price; and fetching one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import bytes_text, count, number_or_none
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode, NotConfigured
from llmflowlab.lab.catalogue import Listing, list_models
from llmflowlab.lab.fetch import fetch_model, to_fetch
from llmflowlab.lab.labels import LABELS
from llmflowlab.providers.base import ModelInfo

if TYPE_CHECKING:
    from llmflowlab.text.cost import Rates

__all__ = ["declare_options", "fetch_shown", "run_command", "show_available"]


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument(
        "action", nargs="?", choices=["fetch"], metavar="fetch", help="download a model"
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="which one (default: the small one of provider local); ollama:NAME as well",
    )
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code.

    Raises:
        LabError: The model cannot be fetched.
    """
    if arguments.action == "fetch":
        reference = to_fetch(arguments.name)
        fetch_shown(app, reference)
        provider = app.lab.provider(reference)
        document = {"model": provider.reference, "weights": provider.weights}
        give(
            arguments.json,
            lambda: document,
            lambda: app.screen.say(f"{provider.reference} is there."),
        )
        return ExitCode.DONE
    return show_available(app, as_json=arguments.json)


def show_available(app: App, *, as_json: bool) -> int:
    """List the models of all providers; what cannot be listed is said on standard error."""
    listings = list_models(app.settings, list(LABELS), deadline=app.settings.connect_timeout)
    give(as_json, lambda: _document(app, listings), lambda: _show(app, listings))
    return ExitCode.DONE


def fetch_shown(app: App, reference: str) -> None:
    """Download a model, showing how far it is.

    Raises:
        LabError: It cannot be fetched.
    """
    name = reference.partition(":")[2] or reference
    with app.screen.progress(f"fetching {name}") as shown:
        for step in fetch_model(app.lab, reference):
            size = "" if step.total is None else f" of {bytes_text(step.total)}"
            text = f"{step.status}{size}" if step.status else f"fetching {name}{size}"
            shown.update(text, step.completed, step.total)


def _document(app: App, listings: Sequence[Listing]) -> dict[str, Any]:
    return {
        "models": [entry for listing in listings for entry in _entries(app, listing)],
        "unreachable": {
            listing.provider: listing.error.message for listing in listings if listing.error
        },
    }


def _show(app: App, listings: Sequence[Listing]) -> None:
    rows = tuple(_row(app, listing, info) for listing in listings for info in listing.models)
    if rows:
        app.screen.table(
            Table(
                title="Models that can be reached",
                columns=("model", "window", "in", "out", "details"),
                rows=rows,
                numbers=frozenset({1, 2, 3}),
                notes=("Window in tokens; prices in USD per million tokens.",),
            )
        )
    for listing in listings:
        if isinstance(listing.error, NotConfigured):
            app.screen.note(listing.error.message)
        elif listing.error is not None:
            app.screen.warn(listing.error.message)
        elif not listing.models:
            app.screen.note(f"{LABELS[listing.provider]} holds no model.")


def _rates(app: App, listing: Listing, info: ModelInfo) -> Rates | None:
    return app.lab.prices.rates(listing.provider, info.name)


def _row(app: App, listing: Listing, info: ModelInfo) -> tuple[str | None, ...]:
    rates = _rates(app, listing, info)
    default = "default" if info.name == listing.default else ""
    return (
        f"{listing.provider}:{info.name}",
        count(info.context_window),
        None if rates is None else _price(rates.input_per_million),
        None if rates is None else _price(rates.output_per_million),
        ", ".join(part for part in (default, info.detail) if part),
    )


def _price(value: Any) -> str:
    return "free" if value == 0 else f"{value.normalize():f}"


def _entries(app: App, listing: Listing) -> list[dict[str, Any]]:
    entries = []
    for info in listing.models:
        rates = _rates(app, listing, info)
        entries.append(
            {
                "model": f"{listing.provider}:{info.name}",
                "default": info.name == listing.default,
                "context_window": info.context_window,
                "detail": info.detail,
                "input_usd_per_million": number_or_none(rates and rates.input_per_million),
                "output_usd_per_million": number_or_none(rates and rates.output_per_million),
            }
        )
    return entries
