"""`main.py registry`: models, versions, aliases, champion, serving."""

from __future__ import annotations

import argparse
import contextlib
import importlib
from collections.abc import Callable
from dataclasses import asdict

from llmflowlab.cli.context import App
from llmflowlab.cli.output import give
from llmflowlab.cli.questions import said_yes
from llmflowlab.cli.registry.registry_options import declare_options
from llmflowlab.cli.registry.show_registry import (
    comparison_json,
    detail_json,
    models_json,
    move_json,
    say_rolled_back,
    show_check,
    show_comparison,
    show_detail,
    show_models,
    show_step,
)
from llmflowlab.cli.ui.screen import EndOfInput, GoBack
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.model_registry import RegisterRequest, Registry
from llmflowlab.lab.serve import is_trusted, trust_store
from llmflowlab.messages import Parameters
from llmflowlab.program import program_name

__all__ = ["declare_options", "run_command"]


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry a command out, or open the screen where none was named; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    if arguments.action is None:
        from llmflowlab.cli.registry.registry_screen import registry_screen

        # The end of the input ends the lab, as in the menu; Esc leads out of its first question.
        with contextlib.suppress(EndOfInput, GoBack):
            registry_screen(app)
        return ExitCode.DONE
    return _ACTIONS[arguments.action](app, arguments)


def _list(app: App, arguments: argparse.Namespace) -> int:
    registry = Registry(app.lab)
    models = registry.models(arguments.name)
    evaluations = registry.evaluations(models)
    app.show_on_the_way()
    give(
        arguments.json,
        lambda: models_json(models, evaluations),
        lambda: show_models(app.screen, models, evaluations),
    )
    return ExitCode.DONE


def _show(app: App, arguments: argparse.Namespace) -> int:
    registry = Registry(app.lab)
    version = registry.find(arguments.version)
    detail = registry.describe(version)
    history = registry.champion_history(version)
    give(
        arguments.json,
        lambda: detail_json(detail, history),
        lambda: show_detail(app.screen, detail, history),
    )
    return ExitCode.DONE


def _compare(app: App, arguments: argparse.Namespace) -> int:
    registry = Registry(app.lab)
    one, two = (
        registry.describe(registry.find(text)) for text in (arguments.first, arguments.second)
    )
    give(
        arguments.json,
        lambda: comparison_json(one, two),
        lambda: show_comparison(app.screen, one, two),
    )
    return ExitCode.DONE


def _archive(app: App, arguments: argparse.Namespace) -> int:
    registry = Registry(app.lab)
    version = registry.find(arguments.version)
    registry.archive(version)
    give(
        arguments.json,
        lambda: {"name": version.name, "version": version.version, "stage": "Archived"},
        lambda: app.screen.say(f"{version.reference} is archived."),
    )
    return ExitCode.DONE


def _alias(app: App, arguments: argparse.Namespace) -> int:
    registry = Registry(app.lab)
    version = registry.find(arguments.version)
    move = registry.set_alias(version, arguments.alias)
    before = f" (before: version {move.before})" if move.before not in {None, move.after} else ""
    give(
        arguments.json,
        lambda: move_json(version.name, arguments.alias, move),
        lambda: app.screen.say(
            f"{version.name}@{arguments.alias} is version {move.after} now{before}."
        ),
    )
    return ExitCode.DONE


def _delete(app: App, arguments: argparse.Namespace) -> int:
    registry = Registry(app.lab)
    version = registry.find(arguments.version)
    held = f" with its alias {', '.join(version.aliases)}" if version.aliases else ""
    if not arguments.yes and not said_yes(
        app,
        f"Delete {version.reference}{held}? This cannot be undone.",
        as_json=arguments.json,
        refusal="Deleting needs a yes: give --yes.",
    ):
        app.screen.note("Nothing was deleted.")
        return ExitCode.DONE
    registry.delete(version)
    give(
        arguments.json,
        lambda: {"name": version.name, "version": version.version, "deleted": True},
        lambda: app.screen.say(f"{version.reference} is deleted{held}; its run stays in MLflow."),
    )
    return ExitCode.DONE


def _rollback(app: App, arguments: argparse.Namespace) -> int:
    name, alias = arguments.name, arguments.alias
    move = Registry(app.lab).roll_back(name, alias)
    give(
        arguments.json,
        lambda: move_json(name, alias, move),
        lambda: say_rolled_back(app.screen, name, alias, move),
    )
    return ExitCode.DONE


def _check(app: App, arguments: argparse.Namespace) -> int:
    registry = Registry(app.lab)
    version = registry.find(arguments.version)
    if arguments.clean_env:
        app.screen.note(
            "Building an environment with the version's own requirements; this asks the package "
            "index and takes minutes."
        )
    steps = []
    for step in registry.check(version, clean_env=arguments.clean_env):
        steps.append(step)
        if not arguments.json:
            show_step(app.screen, step)
    passed = all(step.ok for step in steps)
    give(
        arguments.json,
        lambda: {
            "name": version.name,
            "version": version.version,
            "ok": passed,
            "steps": [{"step": s.name, "ok": s.ok, "text": s.text} for s in steps],
        },
        lambda: show_check(app.screen, version, passed=passed),
    )
    return ExitCode.DONE if passed else ExitCode.GATE_NOT_MET


_DESCRIBED = ("system", "prompt", "guardrails", "temperature", "top_p", "max_tokens", "seed")


_OF_FILES = ("model_config", "panel", "code")
_OF_AGENTS = ("kind", "name", "example", "needs")


def _register(app: App, arguments: argparse.Namespace) -> int:
    if any(getattr(arguments, name) is not None for name in _OF_FILES):
        return _register_agent(app, arguments)
    if any(getattr(arguments, name) for name in _OF_AGENTS):
        raise InputError(
            "--kind, --name, --example and --needs belong to --model-config, --panel or --code."
        )
    if bool(arguments.runs) == (arguments.model is not None):
        raise InputError(
            f"Name runs ({program_name()} registry register RUN_ID), or a model with --model REF."
        )
    if arguments.runs and any(getattr(arguments, name) is not None for name in _DESCRIBED):
        raise InputError("A run says itself what its candidate is; leave the other options out.")
    if arguments.system is not None and arguments.prompt is not None:
        raise InputError("Give --system or --prompt, not both.")
    request = RegisterRequest(
        runs=arguments.runs,
        model=arguments.model,
        system=arguments.system,
        prompt=arguments.prompt,
        guardrails=arguments.guardrails,
        parameters=Parameters(
            temperature=arguments.temperature,
            top_p=arguments.top_p,
            max_tokens=arguments.max_tokens,
            seed=arguments.seed,
        ),
    )
    made = []
    for one in Registry(app.lab).register(request):
        made.append(one)
        if not arguments.json:
            app.screen.say(f"{one.model} is {one.name}/{one.version}.")
    give(arguments.json, lambda: {"registered": [asdict(one) for one in made]}, lambda: None)
    return ExitCode.DONE


def _register_agent(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.lab.register_agent import AgentRequest, register_agent

    described = ("model", *_DESCRIBED)
    if arguments.runs or any(getattr(arguments, name) is not None for name in described):
        raise InputError("The file says what the agent is; leave runs, --model and the rest out.")
    if arguments.panel is not None and (arguments.model_config or arguments.code):
        raise InputError("Give --panel alone; its file says all of it.")
    made = register_agent(
        app.lab,
        AgentRequest(
            config=arguments.panel or arguments.model_config,
            panel=arguments.panel is not None,
            code=arguments.code,
            kind=arguments.kind,
            name=arguments.name,
            example=arguments.example,
            needs=arguments.needs,
        ),
    )
    give(
        arguments.json,
        lambda: {"registered": [asdict(made)]},
        lambda: app.screen.say(f"{made.model} is {made.name}/{made.version}."),
    )
    return ExitCode.DONE


def _serve(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.lab.serve import servable
    from llmflowlab.service.offers import ServedModels
    from llmflowlab.service.service_app import ServiceSetup
    from llmflowlab.service.service_processes import serve

    version = servable(app.lab, arguments.version)
    reference = version.version.reference

    def ready(address: str, models: list[str]) -> None:
        asked = f"{address}/invocations"
        give(
            arguments.json,
            lambda: {"version": reference, "address": asked},
            lambda: app.screen.note(f"{reference} answers at {asked}; Ctrl-C ends it."),
        )

    serve(
        app.lab,
        ServiceSetup(wanted=ServedModels(models=())),
        host=arguments.host,
        port=arguments.port,
        workers=1,
        ready=ready,
        version=version,
        every=arguments.every,
        tell=app.screen.note,
    )
    return ExitCode.DONE


def _trust(app: App, arguments: argparse.Namespace) -> int:
    where = app.lab.store_address
    agreed = (
        arguments.yes
        or is_trusted(app.lab)
        or said_yes(
            app,
            f"Models of {where} run their own code here, and whoever can write there decides what that "
            "is. Trust it?",
            as_json=arguments.json,
            refusal="To trust a store needs a yes: give --yes.",
        )
    )
    if agreed:
        trust_store(app.lab)
    give(
        arguments.json,
        lambda: {"store": where, "trusted": agreed},
        lambda: app.screen.say(f"{where}: models {'may' if agreed else 'may not'} run here."),
    )
    return ExitCode.DONE


def _elsewhere(module: str) -> Callable[[App, argparse.Namespace], int]:
    """Return an action whose module is imported once it is needed."""

    def run(app: App, arguments: argparse.Namespace) -> int:
        found = importlib.import_module(f"llmflowlab.cli.registry.{module}")
        code: int = found.run_command(app, arguments)
        return code

    return run


_ACTIONS: dict[str, Callable[[App, argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "compare": _compare,
    "register": _register,
    "archive": _archive,
    "alias": _alias,
    "delete": _delete,
    "rollback": _rollback,
    "check": _check,
    "trust": _trust,
    "promote": _elsewhere("promote_command"),
    "serve": _serve,
    "batch": _elsewhere("batch_command"),
}
