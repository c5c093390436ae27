"""Options that several commands have, and the one reader of each kind of value.

Every reader takes a text and raises `InputError` with a whole sentence, so that screens and slash
commands read with them too; `argument` makes argparse types of them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from llmflowlab.errors import InputError

__all__ = [
    "MAX_CONCURRENCY",
    "RANGES",
    "add_json",
    "add_parameters",
    "argument",
    "concurrency",
    "margin",
    "meant",
    "parameter",
    "port",
    "power",
    "read_mapping",
    "read_parameter",
    "read_usd",
    "read_whole",
    "seconds",
    "share",
    "usd",
    "whole",
]

T = TypeVar("T")

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


def _float(text: str) -> float:
    """Read a number; what is none lies in no range."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _int(text: str, otherwise: int = 0) -> int:
    try:
        return int(text)
    except ValueError:
        return otherwise


def read_parameter(name: str, text: str) -> float | int:
    """Read a generation parameter.

    Raises:
        InputError: It is no number, or outside its range.
    """
    low, high = RANGES[name]
    whole_number = name in {"max_tokens", "seed"}
    try:
        value = int(text) if whole_number else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        kind = "a whole number" if whole_number else "a number"
        raise InputError(f"{name} is {text!r}; give {kind} {_span(name)}.")
    return value


def _span(name: str) -> str:
    """Write the range of a parameter: `from 0 to 2`."""
    low, high = RANGES[name]
    return f"from {low:,.0f} to {high:,.0f}"


def read_usd(text: str) -> Decimal:
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


def read_whole(text: str) -> int:
    """Read a number of things.

    Raises:
        InputError: It is no whole number above 0.
    """
    value = _int(text)
    if value < 1:
        raise InputError(f"{text!r} must be a whole number above 0.")
    return value


def _share(text: str) -> float:
    value = _float(text)
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{text!r} is no share from 0 to 1; 95 % is 0.95.")
    return value


def _margin(text: str) -> float:
    value = _float(text)
    if not 0.0 < value < 1.0:
        raise InputError(f"{text!r} lies not between 0 and 1 (2 points are 0.02).")
    return value


def _power(text: str) -> float:
    value = _float(text)
    if not 0.5 <= value <= 0.99:
        raise InputError(f"{text!r} is no power from 0.5 to 0.99.")
    return value


def _seconds(text: str) -> float:
    value = _float(text)
    if not 0 < value < math.inf:
        raise InputError(f"{text!r} must be a number of seconds above 0.")
    return value


def _concurrency(text: str) -> int:
    value = _int(text)
    if not 1 <= value <= MAX_CONCURRENCY:
        raise InputError(
            f"{text!r} is no number of calls in flight; give one from 1 to {MAX_CONCURRENCY}."
        )
    return value


def _port(text: str) -> int:
    value = _int(text)
    if not 1 <= value <= 65535:
        raise InputError(f"{text!r} is no port; give a number from 1 to 65535.")
    return value


def argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return the argparse type that reads with `read`."""

    def convert(text: str) -> T:
        try:
            return read(text)
        except InputError as exc:
            raise argparse.ArgumentTypeError(exc.message.rstrip(".")) from exc

    return convert


def parameter(name: str) -> Callable[[str], float | int]:
    """Return the argparse type of a generation parameter."""
    return argument(lambda text: read_parameter(name, text))


whole = argument(read_whole)
usd = argument(read_usd)
share = argument(_share)
margin = argument(_margin)
power = argument(_power)
seconds = argument(_seconds)
concurrency = argument(_concurrency)
port = argument(_port)


def add_json(
    parser: argparse.ArgumentParser, text: str = "print one JSON document, nothing else"
) -> None:
    """Declare `--json`."""
    parser.add_argument("--json", action="store_true", help=text)


def add_values(parser: argparse.ArgumentParser) -> None:
    """Add `--value`, which fills a variable of a prompt."""
    parser.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="of a variable of the prompt; may be given several times",
    )


def add_parameters(parser: argparse.ArgumentParser, *, with_help: bool = True) -> None:
    """Declare an option for each generation parameter.

    Args:
        parser: Of the command.
        with_help: Whether its help says what values they take.
    """
    for name in RANGES:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=parameter(name),
            metavar=metavar(name),
            help=_span(name) if with_help else None,
        )


def metavar(name: str) -> str:
    """Return what help calls the value of a generation parameter."""
    return "X" if name in {"temperature", "top_p"} else "N"


def read_mapping(pairs: Sequence[str]) -> Mapping[str, str]:
    """Read what `--map` was given.

    Raises:
        InputError: One is not ROLE=COLUMN.
    """
    mapping = {}
    for pair in pairs:
        role, equals, column = pair.partition("=")
        if not equals or not role.strip() or not column.strip():
            raise InputError(f"--map {pair!r} is not ROLE=COLUMN, as in question=Frage.")
        mapping[role.strip()] = column
    return mapping


def meant(typed: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" where something known is close to what was typed; else nothing."""
    # Imported here: hardly anybody mistypes.
    from difflib import get_close_matches

    close = get_close_matches(typed, list(known), n=1, cutoff=0.7)
    return f" (did you mean {close[0]}?)" if close else ""
