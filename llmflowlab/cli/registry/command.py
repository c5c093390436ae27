"""`main.py registry`: models, versions, aliases, champion, serving."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from typing import Any

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural
from llmflowlab.cli.registry.show import (
    Detail,
    detail_json,
    models_json,
    move_json,
    print_json,
    show_comparison,
    show_detail,
    show_models,
)
from llmflowlab.cli.ui.screen import EndOfInput
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.tracking.registry import (
    Version,
    alias_history,
    evaluations_of,
    find_version,
    list_models,
    model_config_of,
    parse_version_name,
)
from llmflowlab.tracking.registry_changes import CHAMPION, archive, delete, roll_back, set_alias
from llmflowlab.tracking.store import Store, open_store

__all__ = ["describe", "run_command", "said_yes"]


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry a command out, or open the screen where none was named; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    if arguments.action is None:
        from llmflowlab.cli.registry.screen import registry_screen

        # The end of the input ends the lab, as in the menu.
        with contextlib.suppress(EndOfInput):
            registry_screen(app)
        return ExitCode.DONE
    return _ACTIONS[arguments.action](app, arguments)


def describe(store: Store, version: Version) -> Detail:
    """Look up what is known of a version."""
    described = model_config_of(store, version)
    return Detail(version, described, evaluations_of(store, version, described["config"]))


def said_yes(app: App, question: str, *, as_json: bool, refusal: str) -> bool:
    """Ask for a yes; where nobody can be asked, say which option stands for it.

    Raises:
        InputError: Nobody can be asked.
    """
    if app.screen.plain or as_json:
        raise InputError(refusal)
    try:
        return app.screen.confirm(question)
    except EndOfInput as exc:
        raise InputError(refusal) from exc


def _version(app: App, text: str) -> tuple[Store, Version]:
    wanted = parse_version_name(text)
    store = open_store(app.settings)
    return store, find_version(store, wanted)


def _list(app: App, arguments: argparse.Namespace) -> int:
    store = open_store(app.settings)
    models = list_models(store, arguments.name)
    evaluations = {
        version.reference: describe(store, version).evaluations
        for model in models
        for version in model.versions
    }
    if arguments.json:
        print_json(models_json(models, evaluations))
    else:
        show_models(app.screen, models, evaluations)
    return ExitCode.DONE


def _show(app: App, arguments: argparse.Namespace) -> int:
    store, version = _version(app, arguments.version)
    detail = describe(store, version)
    history = alias_history(store, version.name, CHAMPION)
    if arguments.json:
        moves = [{"at": m.at, "why": m.why, **_ends(m)} for m in history]
        print_json({**detail_json(detail), "champion_history": moves})
    else:
        show_detail(app.screen, detail, history)
    return ExitCode.DONE


def _ends(move: Any) -> dict[str, Any]:
    return {"before": move.before, "after": move.after}


def _compare(app: App, arguments: argparse.Namespace) -> int:
    store, first = _version(app, arguments.first)
    second = find_version(store, parse_version_name(arguments.second))
    one, two = describe(store, first), describe(store, second)
    if arguments.json:
        a, b = one.configuration, two.configuration
        differing = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
        print_json({"first": detail_json(one), "second": detail_json(two), "differing": differing})
    else:
        show_comparison(app.screen, one, two)
    return ExitCode.DONE


def _archive(app: App, arguments: argparse.Namespace) -> int:
    store, version = _version(app, arguments.version)
    archive(app.settings, store, version)
    if arguments.json:
        print_json({"name": version.name, "version": version.version, "stage": "Archived"})
    else:
        app.screen.say(f"{version.reference} is archived.")
    return ExitCode.DONE


def _alias(app: App, arguments: argparse.Namespace) -> int:
    store, version = _version(app, arguments.version)
    move = set_alias(app.settings, store, version, arguments.alias)
    if arguments.json:
        print_json(move_json(version.name, arguments.alias, move))
    else:
        before = (
            f" (before: version {move.before})" if move.before not in {None, move.after} else ""
        )
        app.screen.say(f"{version.name}@{arguments.alias} is version {move.after} now{before}.")
    return ExitCode.DONE


def _delete(app: App, arguments: argparse.Namespace) -> int:
    store, version = _version(app, arguments.version)
    held = f" with its alias {', '.join(version.aliases)}" if version.aliases else ""
    if not arguments.yes and not said_yes(
        app,
        f"Delete {version.reference}{held}? This cannot be undone.",
        as_json=arguments.json,
        refusal="Deleting needs a yes: give --yes.",
    ):
        app.screen.note("Nothing was deleted.")
        return ExitCode.DONE
    delete(app.settings, store, version)
    if arguments.json:
        print_json({"name": version.name, "version": version.version, "deleted": True})
    else:
        app.screen.say(f"{version.reference} is deleted{held}; its run stays in MLflow.")
    return ExitCode.DONE


def _rollback(app: App, arguments: argparse.Namespace) -> int:
    move = roll_back(app.settings, open_store(app.settings), arguments.name, arguments.alias)
    if arguments.json:
        print_json(move_json(arguments.name, arguments.alias, move))
    else:
        now = f"version {move.after}" if move.after else "no version"
        app.screen.say(
            f"{arguments.name}@{arguments.alias} is {now} again (was: {move.before or 'none'}); "
            "the same command once more undoes this."
        )
    return ExitCode.DONE


def _check(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.serving.version_check import check_version

    store, version = _version(app, arguments.version)
    if arguments.clean_env:
        app.screen.note(
            "Building an environment with the version's own requirements; this asks the package "
            "index and takes minutes."
        )
    steps = []
    for step in check_version(app.settings, store, version, clean_env=arguments.clean_env):
        steps.append(step)
        if not arguments.json:
            mark = "ok" if step.ok else "FAILED"
            app.screen.say(
                f"{mark:<7} {step.name}: {step.text}", tone="plain" if step.ok else "warning"
            )
    passed = all(step.ok for step in steps)
    if arguments.json:
        listed = [{"step": s.name, "ok": s.ok, "text": s.text} for s in steps]
        print_json(
            {"name": version.name, "version": version.version, "ok": passed, "steps": listed}
        )
    elif passed:
        app.screen.say(f"{version.reference} can be served.", tone="good")
    return ExitCode.DONE if passed else ExitCode.GATE_NOT_MET


def _register(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.cli.registry.registering import register

    return register(app, arguments)


def _promote(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.cli.registry.promoting import promote

    return promote(app, arguments)


def _serve(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.serving.server import bound_socket, serve

    wanted = parse_version_name(arguments.version)
    listening = bound_socket(arguments.host, arguments.port)
    with listening:
        store = open_store(app.settings)
        version = find_version(store, wanted)
        _require_configured(app, model_config_of(store, version)["config"])
        app.screen.note(f"Loading {version.reference} ...")
        serve(
            app.settings,
            wanted,
            version,
            listening,
            every=arguments.every,
            tell=app.screen.note,
        )
    return ExitCode.DONE


def _require_configured(app: App, config: dict[str, Any]) -> None:
    """Find out before anything is started that a key is missing.

    Raises:
        NotConfigured: A provider inside lacks something.
    """
    if config.get("key_file"):
        return
    references = [role["model"] for role in config.get("roles") or ()]
    if config.get("provider") and config.get("model"):
        references.append(f"{config['provider']}:{config['model']}")
    for reference in references:
        app.provider(reference).close()


def _batch(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.serving.batch import journal_of, read_requests, run_batch
    from llmflowlab.serving.served_model import load_version

    output = arguments.output
    if output.suffix.lower() not in {".csv", ".jsonl", ".ndjson"}:
        raise InputError(f"{output} must end in .csv or .jsonl.")
    if output.exists() and not journal_of(output).exists() and not arguments.force:
        raise InputError(f"{output} exists; name another, or give --force to write over it.")
    requests = read_requests(arguments.input)
    _, version = _version(app, arguments.version)
    model = load_version(app.settings, version)
    with app.screen.progress(f"batch {version.reference}") as progress:

        def tick(done: int) -> None:
            progress.update(f"{done} of {plural(len(requests), 'row')}", done, len(requests))

        result = run_batch(
            model,
            requests,
            output,
            version=version.reference,
            concurrency=arguments.concurrency,
            tick=tick,
        )
    if arguments.json:
        print_json(
            {
                "name": version.name,
                "version": version.version,
                "rows": result.rows,
                "answered": result.answered,
                "failed": result.failed,
                "resumed": result.resumed,
                "output": str(result.output),
            }
        )
    else:
        before = f", {result.resumed} of them before" if result.resumed else ""
        app.screen.say(
            f"{result.answered} of {plural(result.rows, 'row')} answered{before}: {result.output}"
        )
        if result.failed:
            app.screen.warn(f"{plural(result.failed, 'row')} failed; the column error says why.")
    return ExitCode.DONE if result.answered else ExitCode.PROVIDER_FAILED


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
    "promote": _promote,
    "serve": _serve,
    "batch": _batch,
}
