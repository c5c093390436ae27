"""`main.py prompts`: templates with their versions and aliases."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluation_options import add_evaluation_options
from llmflowlab.cli.options import add_json, add_parameters, add_values, share, usd, whole
from llmflowlab.cli.output import give
from llmflowlab.cli.prompts.editing import edited
from llmflowlab.cli.prompts.show_prompts import (
    alias_words,
    prompt_json,
    prompts_json,
    show_optimized,
    show_prompt,
    show_prompts,
    synced_words,
)
from llmflowlab.cli.ui.screen import EndOfInput, GoBack
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.prompts import SUPPORT_DESK, PromptShelf
from llmflowlab.lab.prompts_in_use import read_values

__all__ = ["declare_options", "run_command"]

_REFERENCE = "NAME[@VERSION|@ALIAS]"


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare the commands; without one the screen opens."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")

    def command(name: str, text: str, *places: str) -> argparse.ArgumentParser:
        made = add_command(commands, name, text)
        for place in places:
            made.add_argument(place, metavar=_REFERENCE if place == "reference" else place.upper())
        return made

    one = command("sync", "register the starting set, or a folder of prompts; shows what changed")
    one.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="of files NAME.md")
    command("list", "all prompts with their versions and aliases")
    command("show", "what a version says, and all that is known of it", "reference")
    command("diff", "what differs between two versions or aliases", "name", "a", "b")
    edit = command("edit", "write a new version in $EDITOR; a new name makes a prompt", "name")
    edit.add_argument("--message", metavar="TEXT", help="what changed (asked for otherwise)")
    edit.add_argument(
        "--file", metavar="FILE", help="take the text from a file; - is standard input"
    )
    add_values(command("render", "fill a template in", "reference"))
    _try(command("try", "ask a model with a prompt, once", "reference"))
    command("alias", "let an alias point to a version", "name", "alias", "version")
    compare = command("compare", "which prompt is better on which model, on questions with answers")
    compare.add_argument("names", nargs="*", metavar=_REFERENCE, help="default: the starting set")
    _optimize(command("optimize", "look for a better version, within a budget", "reference"))
    for name, made in commands.choices.items():
        if name == "compare":
            add_evaluation_options(made)
        else:
            add_json(made)


def _try(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="REF", help="who answers")
    parser.add_argument("--message", metavar="TEXT", help="the question; one --value does as well")
    add_values(parser)
    add_parameters(parser)


def _optimize(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", action="append", default=[], required=True, metavar="REF", help="who answers")
    add("--data", type=Path, required=True, metavar="FILE", help="questions with known answers")
    add("--scorer", required=True, metavar="NAME", help="what is to get better")
    add("--budget", type=usd, required=True, metavar="USD", help="for everything together")
    add("--calls", type=whole, metavar="N", help="most answers to ask for while looking")
    add("--reflection", metavar="REF", help="who rewrites the prompt (default: the model)")
    add("--judge", action="append", default=[], metavar="REF", help="for judged scorers")
    add("--tune", type=share, default=0.5, metavar="X", help="share of the rows it is tuned on")
    add("--max-length", type=whole, metavar="N", help="characters the prompt may have")
    add("--seed", type=int, default=0, metavar="N", help="of the split of the rows (default 0)")


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry a command out, or open the screen where none was named; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    if arguments.action is None:
        from llmflowlab.cli.prompts.prompts_screen import prompts_screen

        # The end of the input ends the lab, as in the menu; Esc leads out of its first question.
        with contextlib.suppress(EndOfInput, GoBack):
            prompts_screen(app)
        return ExitCode.DONE
    return _ACTIONS[arguments.action](app, arguments)


def _sync(app: App, arguments: argparse.Namespace) -> int:
    done = PromptShelf(app.lab).sync(arguments.folder)

    def document() -> dict[str, Any]:
        rows = [(one.name, one.state, one.version, one.latest) for one in done]
        names = ("name", "state", "version", "latest")
        return {"prompts": [dict(zip(names, row, strict=True)) for row in rows]}

    give(arguments.json, document, lambda: synced_words(app.screen, done))
    return ExitCode.DONE


def _list(app: App, arguments: argparse.Namespace) -> int:
    found = PromptShelf(app.lab).prompts()
    give(arguments.json, lambda: prompts_json(found), lambda: show_prompts(app.screen, found))
    return ExitCode.DONE


def _show(app: App, arguments: argparse.Namespace) -> int:
    shelf = PromptShelf(app.lab)
    found = shelf.load(arguments.reference)
    versions = shelf.versions(found.name)
    give(
        arguments.json,
        lambda: prompt_json(found, versions),
        lambda: show_prompt(app.screen, found, versions),
    )
    return ExitCode.DONE


def _diff(app: App, arguments: argparse.Namespace) -> int:
    a, b, lines = PromptShelf(app.lab).diff(arguments.name, arguments.a, arguments.b)
    give(
        arguments.json,
        lambda: {"a": prompt_json(a), "b": prompt_json(b), "diff": lines},
        lambda: app.screen.say(lines or f"{a.reference} and {b.reference} say the same."),
    )
    return ExitCode.DONE


def _edit(app: App, arguments: argparse.Namespace) -> int:
    text = _text(arguments.file)
    made = edited(app, PromptShelf(app.lab), arguments.name, text=text, message=arguments.message)

    def words() -> None:
        app.screen.say("Nothing changed." if made is None else f"{made.reference} is written.")

    give(arguments.json, lambda: {"written": made and prompt_json(made)}, words)
    return ExitCode.DONE


def _text(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{file} cannot be read ({type(exc).__name__}).") from exc


def _render(app: App, arguments: argparse.Namespace) -> int:
    found = PromptShelf(app.lab).load(arguments.reference)
    rendered = found.template.rendered(read_values(arguments.value))
    give(
        arguments.json,
        lambda: {"prompt": found.reference, "rendered": rendered.to_mlflow()},
        lambda: app.screen.say(rendered.to_text()),
    )
    return ExitCode.DONE


def _try_once(app: App, arguments: argparse.Namespace) -> int:
    """Chat with one message; what stands in the question's place may be given as a value too."""
    from llmflowlab.cli.chat import chat_command

    given = read_values(arguments.value)
    if arguments.message is None:
        name = PromptShelf(app.lab).question_of(arguments.reference, given)
        arguments.message = given.pop(name)
    parser = argparse.ArgumentParser()
    chat_command.declare_options(parser)
    options = parser.parse_args(["--model", arguments.model, "--message", arguments.message])
    options.prompt, options.json = arguments.reference, arguments.json
    options.value = [f"{name}={text}" for name, text in given.items()]
    for name in ("temperature", "top_p", "max_tokens", "seed"):
        setattr(options, name, getattr(arguments, name))
    return chat_command.run_command(app, options)


def _alias(app: App, arguments: argparse.Namespace) -> int:
    if not arguments.version.isdigit():
        raise InputError(f"{arguments.version!r} is no version; give its number.")
    done = PromptShelf(app.lab).set_alias(arguments.name, arguments.alias, int(arguments.version))
    give(
        arguments.json,
        lambda: {
            "name": done.name,
            "alias": done.alias,
            "before": done.before,
            "after": done.after,
        },
        lambda: app.screen.say(alias_words(done)),
    )
    return ExitCode.DONE


def _compare(app: App, arguments: argparse.Namespace) -> int:
    """Evaluate with prompts as candidates; the questions of the support desk where none are named."""
    from llmflowlab.cli.evaluate import evaluate_command

    shelf = PromptShelf(app.lab)
    arguments.prompt = [*arguments.names, *arguments.prompt] or shelf.styles()
    arguments.data = arguments.data or SUPPORT_DESK
    arguments.save_config = None
    return evaluate_command.run_command(app, arguments)


def _run_optimize(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.lab.optimize_prompt import OptimizeRequest, optimize_prompt

    done = optimize_prompt(
        app.lab,
        OptimizeRequest(
            prompt=arguments.reference,
            models=arguments.model,
            data=arguments.data,
            scorer=arguments.scorer,
            budget=arguments.budget,
            calls=arguments.calls,
            reflection=arguments.reflection,
            judges=arguments.judge,
            tune=arguments.tune,
            max_length=arguments.max_length,
            seed=arguments.seed,
        ),
        tell=app.screen.note,
    )
    give(arguments.json, done.to_json, lambda: show_optimized(app.screen, done))
    return ExitCode.DONE if done.accepted else ExitCode.GATE_NOT_MET


_ACTIONS: dict[str, Callable[[App, argparse.Namespace], int]] = {
    "sync": _sync,
    "list": _list,
    "show": _show,
    "diff": _diff,
    "edit": _edit,
    "render": _render,
    "try": _try_once,
    "alias": _alias,
    "compare": _compare,
    "optimize": _run_optimize,
}
