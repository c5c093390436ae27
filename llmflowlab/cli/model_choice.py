"""Choosing a model from what is there."""

from __future__ import annotations

from collections.abc import Sequence

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import count
from llmflowlab.cli.going_back import going_back
from llmflowlab.cli.models_command import fetch_shown
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.errors import InputError
from llmflowlab.lab.catalogue import Listing, list_models
from llmflowlab.lab.labels import LABELS
from llmflowlab.providers.base import ModelInfo, Provider, Readiness
from llmflowlab.providers.factory import parse_reference, provider_class

__all__ = ["choose_model", "choose_models", "choose_reference"]

_CHECKS_PATIENCE = 1.2


def choose_model(app: App) -> Provider:
    """Ask for a model and return it, ready to be called.

    Raises:
        NotConfigured: The chosen provider lacks something.
    """
    question = "Which model would you like to talk with?"
    return app.lab.provider(going_back(app, lambda: choose_reference(app, question)))


def choose_reference(app: App, message: str) -> str:
    """Ask for a provider that is ready, then for one of its models; return the reference."""
    known = _readiness(app)
    choices: list[Choice[str | None]] = []
    for name, state in known.items():
        if state is not None and state.ready:
            choices.append(
                Choice(f"{LABELS[name]}: {state.text}", name, names=(name, LABELS[name]))
            )
    choices.append(Choice("Type a model reference", None, names=("type", "other")))
    for name, state in known.items():
        if state is not None and state.to_pull and not state.ready:
            choices.append(Choice(f"{LABELS[name]}: fetch {state.to_pull}", name, names=(name,)))
        elif state is None or not state.ready:
            why = "no answer yet" if state is None else state.text
            choices.append(Choice(LABELS[name], name, disabled=why))
    provider = app.screen.select(message, choices)
    if provider is None:
        return _typed(app)
    state = known[provider]
    return _fetched(app, provider) if state and not state.ready else _model_of(app, provider)


def choose_models(
    app: App,
    message: str,
    *,
    several: bool = True,
    language_models_only: bool = False,
    without: Sequence[str] = (),
    first: Sequence[str] = (),
    optional: str | None = None,
) -> list[str]:
    """Ask for one or several of all models that the ready providers can reach.

    Args:
        app: The program's parts.
        message: The question.
        several: Whether more than one may be taken.
        language_models_only: Leave out what cannot serve as a judge.
        without: References that are not offered.
        first: Those that are taken unless the person chooses, where all of them are there.
        optional: The line that means none; without it at least one must be taken.

    Returns:
        References, empty only where `optional` was taken.
    """
    names = [name for name, state in _readiness(app).items() if state is not None and state.ready]
    if language_models_only:
        names = [name for name in names if provider_class(name).is_language_model]
    references: list[Choice[str]] = []
    for listing in list_models(app.settings, names, deadline=app.settings.connect_timeout):
        if listing.error is not None:
            app.screen.warn(listing.error.message)
        references += _references(listing, without)
    typed = Choice("Type a model reference", "", names=("type", "other"))
    if not several:
        none = [Choice(optional, "none", names=("none", "no"))] if optional else []
        one = app.screen.select(message, [*none, *references, typed])
        if one == "none" and optional:
            return []
        return [one or _typed(app)]
    while True:
        there = [reference.value for reference in references]
        usual = there if len(there) == 1 else [name for name in first if set(first) <= set(there)]
        chosen = app.screen.checkbox(message, [*references, typed], default=usual)
        if "" in chosen:
            chosen = [*(reference for reference in chosen if reference), _typed(app)]
        if chosen or optional:
            return chosen
        app.screen.warn("Choose at least one model.")


def _references(listing: Listing, without: Sequence[str]) -> list[Choice[str]]:
    models = [(info.name, _title(info)) for info in _ordered(listing)]
    if not models and listing.default is not None and listing.error is not None:
        models = [(listing.default, f"{listing.default} (the default)")]
    return [
        Choice(f"{listing.provider}:{title}", f"{listing.provider}:{name}", names=(name,))
        for name, title in models
        if f"{listing.provider}:{name}" not in without
    ]


def _readiness(app: App) -> dict[str, Readiness | None]:
    if not app.lab.checks.done:
        app.lab.checks.wait(_CHECKS_PATIENCE)
    return app.lab.checks.snapshot()


def _typed(app: App, prefix: str = "") -> str:
    def check(text: str) -> str | None:
        try:
            parse_reference(prefix + text)
        except InputError as exc:
            return exc.message
        return None

    message = "Name of the model" if prefix else "Model reference, as provider:model"
    return prefix + app.screen.text(message, check=check)


def _model_of(app: App, provider: str) -> str:
    (listing,) = list_models(app.settings, [provider], deadline=app.settings.connect_timeout)
    if listing.error is not None:
        app.screen.warn(listing.error.message)
    elif not listing.models and provider_class(provider).can_pull:
        return _pull(app, listing)
    elif len(listing.models) == 1:
        return f"{provider}:{listing.models[0].name}"
    choices: list[Choice[str | None]] = [
        Choice(_title(info), info.name, names=(info.name,)) for info in _ordered(listing)
    ]
    if not choices and listing.default is not None:
        choices.append(Choice(f"{listing.default} (the default)", listing.default))
    choices.append(Choice("Type a name", None, names=("type", "other")))
    if len(choices) == 1:
        return _typed(app, f"{provider}:")
    name = app.screen.select(f"Which model of {LABELS[provider]}?", choices)
    return _typed(app, f"{provider}:") if name is None else f"{provider}:{name}"


def _ordered(listing: Listing) -> list[ModelInfo]:
    return sorted(listing.models, key=lambda info: info.name != listing.default)


def _title(info: ModelInfo) -> str:
    window = count(info.context_window)
    details = [info.detail] if info.detail else []
    if window:
        details.append(f"window {window}")
    return f"{info.name} ({', '.join(details)})" if details else info.name


def _pull(app: App, listing: Listing) -> str:
    """Offer to download a model where a provider that can do so holds none.

    Raises:
        ProviderError: The download failed.
    """
    prefix, default = f"{listing.provider}:", listing.default
    choices = [Choice("Download another one", "", names=("other", "type"))]
    if default is not None:
        choices.insert(0, Choice(f"Download {default}", default, names=(default, "yes", "y")))
    name = app.screen.select(
        f"{LABELS[listing.provider]} holds no model yet. Download one?", choices
    )
    if not name:
        name = _typed(app, prefix).removeprefix(prefix)
    return _fetched(app, prefix + name)


def _fetched(app: App, reference: str) -> str:
    """Download a model; return its reference with the model named.

    Raises:
        ProviderError: The download failed.
    """
    fetch_shown(app, reference)
    provider = app.lab.provider(reference)
    app.screen.note(f"{provider.model} is there.")
    return provider.reference
