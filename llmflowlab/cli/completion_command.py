"""`main.py completion`: what a shell needs to complete commands and options with Tab."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from llmflowlab.cli.arguments import build_parser
from llmflowlab.cli.context import App
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode

__all__ = ["declare_options", "run_command"]

_SHELLS = ("bash", "zsh", "fish")
_ZSH_IS_EVALUATED = "[[ $zsh_eval_context[-1] == eval ]]"
_ZSH_IS_EVALUATED_OR_SOURCED = "[[ $zsh_eval_context[-1] == (eval|file) ]]"


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument("shell", choices=_SHELLS)
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Print the shell's script; returns the exit code."""
    script = _script(arguments.shell)
    give(
        arguments.json,
        lambda: {"shell": arguments.shell, "script": script},
        lambda: app.screen.say(script),
    )
    return ExitCode.DONE


def _script(shell: str) -> str:
    import shtab

    # A shell completes after one word, so that it is the installed script whose words are known.
    parser = build_parser(whole=True, name="llmflowlab")
    for action in _actions(parser):
        if action.type is Path:
            kind = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE
            action.complete = kind  # type: ignore[attr-defined]  # shtab's own way
    script = shtab.complete(parser, shell=shell)
    if shell == "zsh":
        # shtab's would complete at once where it is sourced, and fail: only `eval` was thought of.
        script = script.replace(_ZSH_IS_EVALUATED, _ZSH_IS_EVALUATED_OR_SOURCED)
    return script


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
