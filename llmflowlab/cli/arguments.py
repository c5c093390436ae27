"""The command line: what can be typed, checked before anything is loaded."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from llmflowlab import __version__
from llmflowlab.errors import InputError

__all__ = [
    "MAX_CONCURRENCY",
    "RANGES",
    "build_parser",
    "checked_number",
    "checked_usd",
    "concurrency_argument",
    "number_argument",
    "parse",
    "port_argument",
    "usd_argument",
]

_DESCRIPTION = """\
A laboratory for language models: chat, evaluate, compare; every step in MLflow.
Without a command it opens the menu."""

_EPILOG = """\
A model REF is provider:model, as in gemini:gemini-2.5-flash, ollama:llama3.2, azure:DEPLOYMENT,
guide:docs; a bare provider name means its default model. `models` lists what can be reached,
`doctor` says what is missing.

exit codes: 0 done, 1 unexpected, 2 bad input or usage, 3 something must be configured first,
4 the provider failed, 5 a gate was not met, 130 interrupted"""

RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "max_tokens": (1, 10_000_000),
    "seed": (0, 2**31 - 1),
}
"""Generation parameters and the values they may take; the last two are whole numbers."""

MAX_CONCURRENCY = 1000
"""Calls in flight per candidate beyond which threads cost more than they bring."""
_MOST_USD = 1_000_000


def checked_number(name: str, text: str) -> float | int:
    """Read a generation parameter.

    Raises:
        InputError: It is no number, or outside its range.
    """
    low, high = RANGES[name]
    whole = name in {"max_tokens", "seed"}
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{name} is {text!r}; give {kind} {_span(name)}.")
    return value


def _span(name: str) -> str:
    """Write the range of a parameter: `from 0 to 2`."""
    low, high = RANGES[name]
    return f"from {low:,.0f} to {high:,.0f}"


def checked_usd(text: str) -> Decimal:
    """Read an amount of money.

    Raises:
        InputError: It is no amount of USD above 0, or more than anybody means to spend.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 < value <= _MOST_USD:
        raise InputError(f"{text!r} is no amount of USD above 0 and up to {_MOST_USD:,}.")
    return value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse speaks of "argument COMMAND: invalid choice: 'x' (choose from ...)".
        message = message.removeprefix("argument COMMAND: ")
        raise InputError(f"{message}; see `{self.prog} --help`.")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = _Parser(
        prog="main.py",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"LLMFlowLab {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _chat(_command(commands, "chat", "talk with a model; without --message, one prompt per line"))
    evaluate = _command(commands, "evaluate", "ask models questions with known answers and compare")
    evaluate.set_defaults(evaluate_parser=evaluate)
    plan = _command(
        commands, "plan", "how many questions it takes to see a difference, and the cost"
    )
    plan.set_defaults(plan_parser=plan)
    info = _command(commands, "info", "what past sessions and evaluations say about each model")
    info.add_argument("--provider", metavar="NAME", help="only this provider (gemini, ollama, ...)")
    _json(info)
    _json(_command(commands, "models", "list the models that can be reached, with their prices"))
    _json(_command(commands, "doctor", "check everything the lab stands on; say what is missing"))
    _upkeep(commands)
    _data(commands)
    registry = _command(commands, "registry", "model versions: compare, check, promote, serve")
    registry.set_defaults(registry_parser=registry, action=None)
    ui = _command(commands, "ui", "open MLflow's pages on the lab's store")
    ui.add_argument("--port", type=port_argument, default=5000, metavar="N", help="default: 5000")
    return parser


def _upkeep(commands: argparse._SubParsersAction[_Parser]) -> None:
    cache = _command(commands, "cache", "what is kept of evaluations; --clear forgets it")
    cache.add_argument(
        "--clear",
        nargs="?",
        const="all",
        metavar="EVALUATION_ID|all",
        help="forget one evaluation's answers and judgements, or all",
    )
    cache.add_argument("--yes", action="store_true", help="do not ask before clearing")
    _json(cache)
    adjust = _command(commands, "adjust", "change an evaluation that is running elsewhere")
    adjust.add_argument("evaluation", metavar="EVALUATION_ID")
    adjust.add_argument(
        "--concurrency", type=concurrency_argument, metavar="N", help="calls in flight per model"
    )
    adjust.add_argument("--budget", type=usd_argument, metavar="USD", help="the new ceiling")
    repair = _command(commands, "repair", "deliver an evaluation to MLflow again; asks no model")
    repair.add_argument("evaluation", metavar="RUN_OR_EVALUATION")
    report = _command(commands, "report", "write an evaluation's files again, plots included")
    report.add_argument("evaluation", metavar="RUN_OR_EVALUATION")
    report.add_argument("--output", type=Path, metavar="DIR", help="folder; default: its own")
    _json(report)
    diff = _command(commands, "diff", "which rows got better or worse between two evaluations")
    diff.add_argument("a", metavar="A", help="the one before: a run, EVALUATION or EVALUATION:2")
    diff.add_argument("b", metavar="B", help="the one after, likewise")
    diff.add_argument("--scorer", metavar="NAME", help="by which; default: the main one")
    _json(diff)
    verify = _command(commands, "verify", "recompute every figure of a run from MLflow's traces")
    verify.add_argument("run", metavar="RUN_OR_EVALUATION")
    _json(verify)


def _data(commands: argparse._SubParsersAction[_Parser]) -> None:
    data = _command(commands, "data", "check, sample, split, convert and register benchmark files")
    actions = data.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    check = _command(actions, "check", "find what makes a benchmark's figures worth less")
    check.add_argument("--runs", action="store_true", help="look at earlier evaluations too")
    check.add_argument(
        "--strict", action="store_true", help="end with code 5 where there is an error or warning"
    )
    check.add_argument(
        "--skip-bad", action="store_true", help="look only at the rows that can be used"
    )
    _json(check)
    sample = _command(actions, "sample", "draw rows, the same for the same seed")
    sample.add_argument("-n", type=int, required=True, metavar="N", help="how many rows")
    split = _command(actions, "split", "divide rows; near duplicates stay together")
    split.add_argument(
        "--into", required=True, metavar="NAME=SHARE,...", help="as in train=0.8,test=0.2"
    )
    convert = _command(actions, "convert", "write a file in another format, every text as it is")
    register = _command(actions, "register", "keep a version of a benchmark in MLflow")
    register.add_argument("--name", metavar="NAME", help="default: the file's name")
    _json(register)
    for action in (check, sample, split, convert, register):
        action.add_argument("file", metavar="FILE")
    convert.add_argument(
        "target", metavar="OUT", help="ends in .csv, .tsv, .jsonl, .json, .parquet"
    )
    for action in (check, split, register):
        action.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="ROLE=COLUMN",
            help="which column is the question, answer, ...",
        )
    for action in (sample, split):
        action.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
        action.add_argument(
            "--by", metavar="COLUMN", help="keep the shares of this column's values"
        )
    sample.add_argument("-o", "--output", required=True, metavar="OUT", help="the file to write")
    split.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="the folder to write to"
    )
    for action in (sample, split, convert):
        action.add_argument("--force", action="store_true", help="replace files that are there")
    _json(_command(actions, "list", "list the registered versions"))


def _command(
    commands: argparse._SubParsersAction[Any], name: str, text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _chat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="REF", help="the model, as provider:model")
    parser.add_argument("--system", metavar="TEXT", help="the system prompt")
    parser.add_argument(
        "--prompt",
        metavar="NAME[@VERSION]",
        help="the system prompt, from MLflow's prompt registry",
    )
    for name in RANGES:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=number_argument(name),
            metavar="X" if name in {"temperature", "top_p"} else "N",
            help=_span(name),
        )
    parser.add_argument(
        "--message",
        action="append",
        default=[],
        metavar="TEXT",
        help="a prompt; may be given several times, the conversation goes on",
    )
    _json(parser)


def number_argument(name: str) -> Callable[[str], float | int]:
    """Return the argparse type that reads a generation parameter."""

    def read(text: str) -> float | int:
        try:
            return checked_number(name, text)
        except InputError as exc:
            raise argparse.ArgumentTypeError(exc.message.rstrip(".")) from exc

    return read


def usd_argument(text: str) -> Decimal:
    """Read an option that is an amount of USD."""
    try:
        return checked_usd(text)
    except InputError as exc:
        raise argparse.ArgumentTypeError(exc.message.rstrip(".")) from exc


def concurrency_argument(text: str) -> int:
    """Read an option that is a number of calls in flight."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MAX_CONCURRENCY:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of calls in flight; give one from 1 to {MAX_CONCURRENCY}"
        )
    return value


def port_argument(text: str) -> int:
    """Read an option that is a port."""
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return port


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        InputError: It cannot be understood.
    """
    for argument in argv:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            raise InputError("An argument is not valid UTF-8 text; give it in UTF-8.")
    parser = build_parser()
    if next((a for a in argv if not a.startswith("-")), None) == "evaluate":
        # Its options are the evaluation's own and are only read when they are needed.
        from llmflowlab.cli.evaluate import add_arguments

        sub: argparse.ArgumentParser = parser.parse_args(["evaluate"]).evaluate_parser
        add_arguments(sub)
        return parser.parse_args(list(argv))
    if next((a for a in argv if not a.startswith("-")), None) == "plan":
        from llmflowlab.cli.evaluate import add_arguments as add_options
        from llmflowlab.cli.evaluate.planning import add_plan_arguments

        options: argparse.ArgumentParser = parser.parse_args(["plan"]).plan_parser
        add_options(options)
        add_plan_arguments(options)
        return parser.parse_args(list(argv))
    if next((a for a in argv if not a.startswith("-")), None) == "registry":
        from llmflowlab.cli.registry.arguments import add_arguments as add_actions

        add_actions(parser.parse_args(["registry"]).registry_parser)
        return parser.parse_args(list(argv))
    return parser.parse_args(list(argv))
