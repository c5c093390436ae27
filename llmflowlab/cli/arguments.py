"""The command line: what can be typed, checked before anything is loaded."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from llmflowlab import __version__
from llmflowlab.cli.commands import COMMANDS, Command
from llmflowlab.errors import InputError
from llmflowlab.program import program_name

__all__ = ["add_command", "build_parser", "parse"]

_DESCRIPTION = """\
A laboratory for language models: chat, evaluate, compare; every step in MLflow.
Without a command it opens the menu."""

_EPILOG = """\
A model REF is provider:model, as in gemini:gemini-2.5-flash, ollama:llama3.2, azure:DEPLOYMENT,
guide:docs; a bare provider name means its default model. `models` lists what can be reached,
`doctor` says what is missing.

exit codes: 0 done, 1 unexpected, 2 bad input or usage, 3 something must be configured first,
4 the provider failed, 5 a gate was not met, 130 interrupted"""


class _Parser(argparse.ArgumentParser):
    declare: Callable[[argparse.ArgumentParser], None] | None = None
    """Declares this command's options, once it is this command that was typed."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.declare is not None:
            declare, self.declare = self.declare, None
            declare(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        # argparse speaks of "argument COMMAND: invalid choice: 'x' (choose from ...)".
        message = message.removeprefix("argument COMMAND: ")
        raise InputError(f"{message}; see `{self.prog} --help`.")


def build_parser(*, whole: bool = False) -> argparse.ArgumentParser:
    """Build the parser; a command's options join it when that command is met, if not all are wanted."""
    parser = _Parser(
        prog=program_name(),
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"LLMFlowLab {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS.values():
        made = add_command(commands, command.name, command.help)
        assert isinstance(made, _Parser)
        if whole:
            command.load().declare_options(made)
        else:
            made.declare = _declaring(command)
    return parser


def _declaring(command: Command) -> Callable[[argparse.ArgumentParser], None]:
    return lambda parser: command.load().declare_options(parser)


def add_command(
    commands: argparse._SubParsersAction[Any], name: str, text: str
) -> argparse.ArgumentParser:
    """Add a command, or an action of one, with the line that help says of it."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
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
    return build_parser().parse_args(list(argv))
