"""The registry's screen: choose a model, a version, and what to do with it."""

from __future__ import annotations

from contextlib import suppress

from llmflowlab.cli.context import App
from llmflowlab.cli.registry.show_registry import (
    say_rolled_back,
    show_check,
    show_comparison,
    show_detail,
    show_models,
    show_step,
)
from llmflowlab.cli.ui.screen import Choice, GoBack
from llmflowlab.errors import LabError
from llmflowlab.lab.model_registry import CHAMPION, RegisteredModel, Registry, Version

__all__ = ["registry_screen"]


def registry_screen(app: App) -> None:
    """Show the registry until the person goes back.

    Raises:
        EndOfInput: Standard input ended.
        TrackingError: The store failed.
    """
    with app.screen.progress("registry"):
        registry = Registry(app.lab)
    while True:
        models = registry.models()
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
        with suppress(GoBack):
            _model(app, registry, chosen.name)


def _summary(model: RegisteredModel) -> str:
    held = ", ".join(f"{alias}: {number}" for alias, number in sorted(model.aliases.items()))
    count = len(model.versions)
    return f"{count} version{'' if count == 1 else 's'}{'; ' + held if held else ''}"


def _model(app: App, registry: Registry, name: str) -> None:
    while True:
        (model,) = registry.models(name)
        show_models(app.screen, [model], registry.evaluations([model]))
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
                say_rolled_back(app.screen, name, CHAMPION, registry.roll_back(name))
            else:
                with suppress(GoBack):
                    _version(app, registry, model, chosen)
        except LabError as exc:
            app.screen.warn(exc.message)


def _version(app: App, registry: Registry, model: RegisteredModel, version: Version) -> None:
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
        history = registry.champion_history(version)
        show_detail(app.screen, registry.describe(version), history)
    elif todo == "compare":
        others = [Choice(v.reference, v) for v in model.versions if v != version]
        if not others:
            app.screen.say("There is no other version.")
            return
        other = app.screen.select("With which one?", others)
        show_comparison(app.screen, registry.describe(version), registry.describe(other))
    elif todo == "check":
        passed = True
        for step in registry.check(version):
            show_step(app.screen, step)
            passed = passed and step.ok
        show_check(app.screen, version, passed=passed)
    elif todo == "alias":
        alias = app.screen.text("Which alias?", check=_alias_fault)
        registry.set_alias(version, alias.strip())
        app.screen.say(f"{version.name}@{alias.strip()} is version {version.version} now.")
    elif todo == "archive":
        registry.archive(version)
        app.screen.say(f"{version.reference} is archived.")
    elif todo == "delete" and app.screen.confirm(
        f"Delete {version.reference}? This cannot be undone."
    ):
        registry.delete(version)
        app.screen.say(f"{version.reference} is deleted; its run stays in MLflow.")


def _alias_fault(text: str) -> str | None:
    return None if text.strip() else "An alias is a name, such as staging."
