"""The registry's screen: choose a model, a version, and what to do with it."""

from __future__ import annotations

import argparse

from llmflowlab.cli.context import App
from llmflowlab.cli.registry.command import describe, run_command
from llmflowlab.cli.registry.show import show_comparison, show_detail, show_models
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.errors import LabError
from llmflowlab.tracking.registry import (
    RegisteredModel,
    Version,
    alias_history,
    list_models,
)
from llmflowlab.tracking.registry_changes import CHAMPION, archive, delete, set_alias
from llmflowlab.tracking.store import Store, open_store

__all__ = ["registry_screen"]


def registry_screen(app: App) -> None:
    """Show the registry until the person goes back.

    Raises:
        EndOfInput: Standard input ended.
        TrackingError: The store failed.
    """
    with app.screen.progress("registry"):
        store = open_store(app.settings)
    while True:
        models = list_models(store)
        if not models:
            show_models(app.screen, models, {})
            return
        choices: list[Choice[RegisteredModel | None]] = [
            Choice(f"{model.name} ({_summary(model)})", model, names=(model.name,))
            for model in models
        ]
        choices.append(Choice("Back", None, names=("back", "exit")))
        chosen = app.screen.select("Which model?", choices)
        if chosen is None:
            return
        _model(app, store, chosen.name)


def _summary(model: RegisteredModel) -> str:
    held = ", ".join(f"{alias}: {number}" for alias, number in sorted(model.aliases.items()))
    count = len(model.versions)
    return f"{count} version{'' if count == 1 else 's'}{'; ' + held if held else ''}"


def _model(app: App, store: Store, name: str) -> None:
    while True:
        (model,) = list_models(store, name)
        evaluations = {v.reference: describe(store, v).evaluations for v in model.versions}
        show_models(app.screen, [model], evaluations)
        versions: list[Choice[Version | str | None]] = [
            Choice(f"Version {v.version}", v, names=(v.version, v.reference))
            for v in model.versions
        ]
        versions += [
            Choice("Roll the champion back", "rollback", names=("rollback",)),
            Choice("Back", None, names=("back",)),
        ]
        chosen = app.screen.select("Which version?", versions)
        if chosen is None:
            return
        try:
            if isinstance(chosen, str):
                run_command(app, _arguments(action="rollback", name=name, alias=CHAMPION))
            else:
                _version(app, store, model, chosen)
        except LabError as exc:
            app.screen.warn(exc.message)


def _version(app: App, store: Store, model: RegisteredModel, version: Version) -> None:
    actions: list[Choice[str | None]] = [
        Choice("Show everything about it", "show", names=("show",)),
        Choice("Compare it with another version", "compare", names=("compare",)),
        Choice("Check it as it would be served", "check", names=("check",)),
        Choice("Set an alias", "alias", names=("alias",)),
        Choice("Archive it", "archive", names=("archive",)),
        Choice("Delete it", "delete", names=("delete",)),
        Choice("Back", None, names=("back",)),
    ]
    todo = app.screen.select(f"What about {version.reference}?", actions)
    if todo == "show":
        history = alias_history(store, version.name, CHAMPION)
        show_detail(app.screen, describe(store, version), history)
    elif todo == "compare":
        others = [Choice(v.reference, v) for v in model.versions if v != version]
        if not others:
            app.screen.say("There is no other version.")
            return
        other = app.screen.select("With which one?", others)
        show_comparison(app.screen, describe(store, version), describe(store, other))
    elif todo == "check":
        run_command(app, _arguments(action="check", version=version.reference, clean_env=False))
    elif todo == "alias":
        alias = app.screen.text("Which alias?", check=_alias_fault)
        set_alias(app.settings, store, version, alias.strip())
        app.screen.say(f"{version.name}@{alias.strip()} is version {version.version} now.")
    elif todo == "archive":
        archive(app.settings, store, version)
        app.screen.say(f"{version.reference} is archived.")
    elif todo == "delete" and app.screen.confirm(
        f"Delete {version.reference}? This cannot be undone."
    ):
        delete(app.settings, store, version)
        app.screen.say(f"{version.reference} is deleted; its run stays in MLflow.")


def _alias_fault(text: str) -> str | None:
    return None if text.strip() else "An alias is a name, such as staging."


def _arguments(**values: object) -> argparse.Namespace:
    return argparse.Namespace(json=False, **values)
