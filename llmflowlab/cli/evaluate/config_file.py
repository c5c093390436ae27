"""An evaluation file: what can be typed after `evaluate`, written down once.

Its keys are the options' own names, taken from the parser, so that there is no second list of them;
its values go through the options' own readers.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from llmflowlab.cli.evaluate.evaluation_options import add_evaluation_options
from llmflowlab.cli.options import meant
from llmflowlab.errors import InputError
from llmflowlab.files import write_atomically
from llmflowlab.program import program_name
from llmflowlab.text.yaml_texts import read_texts

__all__ = ["save_config", "with_config"]

_NEVER = frozenset({"--help", "--config", "--save-config"})
_NOT_SAVED = _NEVER | {"--json", "--dry-run", "--resume"}
"""How one run of it is carried out is no part of an evaluation."""
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_LARGEST = 1_000_000
"""Bytes; nobody writes that many by hand."""


def with_config(
    parser: argparse.ArgumentParser, typed: Sequence[str], file: Path
) -> argparse.Namespace:
    """Return what a file and the command line say together; what was typed wins, lists included.

    Args:
        parser: Of the command, its options declared.
        typed: What stands after the command's name.
        file: The evaluation file.

    Raises:
        InputError: The file cannot be read, or has a key or a value that is no option's.
    """
    # Nothing but the parser itself knows which tokens are options; without defaults it tells.
    defaults = [(action, action.default) for action in parser._actions]
    for action, _ in defaults:
        action.default = argparse.SUPPRESS
    given, _ = argparse.ArgumentParser.parse_known_args(parser, list(typed))
    for action, default in defaults:
        action.default = default
    try:
        said, _ = argparse.ArgumentParser.parse_known_args(parser, list(_tokens(parser, file)))
    except InputError as exc:
        raise InputError(f"{file}: {exc.message}") from exc
    return argparse.Namespace(**{**vars(said), **vars(given)})


def _options(parser: argparse.ArgumentParser, without: frozenset[str]) -> dict[str, Any]:
    """Return every option that help names by its key: `--max-tokens` is `max-tokens`."""
    return {
        option.removeprefix("--"): action
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option not in without and action.help != argparse.SUPPRESS
    }


def _tokens(parser: argparse.ArgumentParser, file: Path) -> Iterator[str]:
    """Yield the file as it would be typed, without what only `evaluate` reads."""
    options = _options(parser, _NEVER)
    whole = argparse.ArgumentParser()
    add_evaluation_options(whole)
    known = _options(whole, _NEVER)
    for key, value in _read(file).items():
        name = key.replace("_", "-")
        if name not in options and name in known:
            continue
        if name not in options:
            raise InputError(
                f"{key!r} is no option of an evaluation{meant(name, options)}; its keys are the "
                "options without their dashes."
            )
        yield from _typed(name, options[name], value)


def _typed(name: str, action: argparse.Action, value: Any) -> Iterator[str]:
    if action.nargs == 0:
        truth = _TRUTH.get(value.lower()) if isinstance(value, str) else None
        if truth is None:
            raise InputError(f"{name} is true or false.")
        if truth:
            yield f"--{name}"
        return
    if isinstance(value, dict) and "=" in str(action.metavar):
        value = [f"{key}={inner}" for key, inner in value.items()]
    several = isinstance(value, list) and isinstance(
        action, argparse._AppendAction | argparse._ExtendAction
    )
    for each in value if several else [value]:
        if not isinstance(each, str) or not each:
            kind = "a value, or a list of them" if several else "one value"
            raise InputError(f"{name} takes {kind}.")
        # One token, so that a value may begin with a dash.
        yield f"--{name}={each}"


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError("this is too large for an evaluation file.")
        content = file.read_bytes()
    except OSError as exc:
        raise InputError(f"it cannot be read ({exc.strerror or exc}).") from exc
    found = read_texts(content, kind="no YAML", hint="; write lines as in `model: gemini`.")
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InputError("it holds no options; write lines as in `model: gemini`.")
    return found


def save_config(parser: argparse.ArgumentParser, arguments: argparse.Namespace, file: Path) -> str:
    """Write what differs from the options' defaults; return how `--config` repeats it.

    Raises:
        InputError: The file cannot be written.
    """
    import yaml

    document = {
        name: _plain(value)
        for name, action in _options(parser, _NOT_SAVED).items()
        if (value := getattr(arguments, action.dest)) != action.default
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    try:
        write_atomically(file, text.encode(), shared=True)
    except OSError as exc:
        raise InputError(
            f"--save-config {file} cannot be written ({exc.strerror or exc}); name another file."
        ) from exc
    again = f"{program_name()} evaluate --config {shlex.quote(str(file))}"
    return f"The options are saved; again with: {again}"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path | Decimal) else value
