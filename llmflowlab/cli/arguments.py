"""The command line: what can be typed, checked before anything is loaded."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NoReturn

from llmflowlab import __version__
from llmflowlab.cli.commands import COMMANDS, Command
from llmflowlab.cli.options import meant
from llmflowlab.errors import InputError
from llmflowlab.program import program_name

__all__ = ["add_command", "build_parser", "parse"]

_DESCRIPTION = """\
A laboratory for language models: chat, evaluate, compare; every step in MLflow.
Without a command it opens the menu."""

_EPILOG = """\
A model REF is provider:model, as in gemini:gemini-2.5-flash, ollama:llama3.2, azure:DEPLOYMENT,
local:NAME, guide:docs; a bare provider name means its default model. `models` lists what can be reached,
`doctor` says what is missing.

exit codes: 0 done, 1 unexpected, 2 bad input or usage, 3 something must be configured first,
4 the provider failed, 5 a gate was not met, 130 interrupted"""


class _Parser(argparse.ArgumentParser):
    declare: Callable[[argparse.ArgumentParser], None] | None = None
    """Declares this command's options, once it is this command that was typed."""
    usual: str | None = None
    """The action that is meant where the first word is none."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.declare is not None:
            declare, self.declare = self.declare, None
            declare(self)
        if self.usual is not None and (
            not args or args[0] not in {*_actions_of(self), "-h", "--help"}
        ):
            args = [self.usual, *args]
        found, unknown = super().parse_known_args(args, namespace)
        if "--config" in self._option_string_actions and found.config is not None:
            from llmflowlab.cli.evaluate.config_file import with_config

            found = with_config(self, args, found.config)
        return found, unknown

    def error(self, message: str) -> NoReturn:
        wrong = _CHOICE.fullmatch(message)
        if wrong is not None:
            message = wrong["said"].removeprefix("argument COMMAND: invalid choice: ")
            if message != wrong["said"]:
                message = f"there is no command {message}"
            message += meant(wrong["typed"], re.findall(r"[^\s,']+", wrong["known"]))
        raise InputError(f"{message}; see `{self.prog} --help`.")

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Say that there are no such options, and where one belongs or what was meant by it.

        Raises:
            InputError: It says so.
        """
        typed = unknown[0].partition("=")[0]
        homes = [parser.prog for parser in _commands() if typed in _options_of(parser)]
        if 0 < len(homes) <= _FEW:
            self.error(f"{typed} is no option of `{self.prog}` but of `{'` and `'.join(homes)}`")
        guess = meant(typed, _options_of(self))
        self.error(f"unrecognized arguments: {' '.join(unknown)}{guess}")


class _Program(_Parser):
    def format_help(self) -> str:
        """List the commands under their headings, which argparse cannot."""
        width = max(len(name) for name in (*COMMANDS, "--version")) + 2
        parts = [self.format_usage(), f"{_DESCRIPTION}\n"]
        for group, commands in groupby(COMMANDS.values(), key=lambda command: command.group):
            lines = [f"  {command.name:<{width}}{command.help}\n" for command in commands]
            parts.append(f"{group}:\n{''.join(lines)}")
        parts.append(
            f"options:\n  {'--help':<{width}}of the program, or after a command of that\n"
            f"  {'--version':<{width}}which one this is\n"
        )
        return "\n".join([*parts, f"{_EPILOG}\n"])


_CHOICE = re.compile(
    r"(?P<said>.*invalid choice: '(?P<typed>.*)') \(choose from (?P<known>.*)\)", re.DOTALL
)


_FEW = 3
"""Commands that are named as an option's; one that more have says nothing of where it belongs."""


def _actions_of(parser: argparse.ArgumentParser) -> list[str]:
    """Return the actions of a command that has such."""
    return [
        name
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name in action.choices
    ]


def _options_of(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options that help names."""
    return [
        option
        for option, action in parser._option_string_actions.items()
        if action.help != argparse.SUPPRESS
    ]


def _commands() -> list[argparse.ArgumentParser]:
    """Return the parsers of all commands, without their actions'."""
    (found,) = (
        action.choices
        for action in build_parser(whole=True)._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return list(found.values())


def build_parser(*, whole: bool = False, name: str | None = None) -> _Parser:
    """Build the parser; a command's options join it when that command is met, if not all are wanted."""
    parser = _Program(prog=name or program_name(), allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"LLMFlowLab {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS.values():
        made = add_command(commands, command.name, command.help, command.examples)
        assert isinstance(made, _Parser)
        made.usual = command.usual
        if whole:
            command.load().declare_options(made)
        else:
            made.declare = _declaring(command)
    return parser


def _declaring(command: Command) -> Callable[[argparse.ArgumentParser], None]:
    return lambda parser: command.load().declare_options(parser)


def add_command(
    commands: argparse._SubParsersAction[Any], name: str, text: str, examples: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Add a command, or an action of one, with the line that help says of it."""
    shown = "".join(f"\n  {program_name()} {example}" for example in examples)
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"examples:{shown}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        InputError: It cannot be understood.
    """
    for argument in argv:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            raise InputError("An argument is not valid UTF-8 text; give it in UTF-8.")
    parser = build_parser()
    arguments: argparse.Namespace
    arguments, unknown = parser.parse_known_args(list(argv))
    if unknown:
        _named(parser, arguments).refuse(unknown)
    return arguments


def _named(parser: _Parser, arguments: argparse.Namespace) -> _Parser:
    """Return the parser of the command, or of its action, that was typed."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            inner = action.choices.get(getattr(arguments, action.dest) or "")
            return parser if inner is None else _named(inner, arguments)
    return parser
