"""Values as files write them: JSON, Python literals and what pandas makes of both."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "DoubledKeyError",
    "Literal",
    "alone",
    "as_text",
    "kind_of",
    "loads",
    "numbered",
    "structured",
    "without_nan",
]

_LONGEST = 200_000
"""Characters of a cell beyond which no list is looked for in it."""
_ARRAY = re.compile(r"\barray\((\[.*?\])(?:,\s*dtype=[\w.']+)?\)", re.DOTALL)
_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
# numpy's own way of writing an array of texts: no commas. Python would join them to one text.
_SPACED = re.compile(rf"\[\s*{_TEXT}(?:\s+{_TEXT})+\s*\]", re.DOTALL)


class Literal(str):
    """A JSON number as it was written, so that 1.0 stays "1.0" and 007 is never made."""

    __slots__ = ()


class DoubledKeyError(json.JSONDecodeError):
    """An object has a key twice; where is not known."""


def _constant(name: str) -> Literal | None:
    # NaN is how pandas writes a missing value.
    return None if name == "NaN" else Literal(name)


def loads(text: str) -> Any:
    """Return a JSON value; numbers keep the form they are written in, and NaN is missing.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deeply.
    """
    return json.loads(
        text,
        parse_float=Literal,
        parse_int=Literal,
        parse_constant=_constant,
        object_pairs_hook=_object,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        # Which of the two is meant nobody knows; the first would be lost in silence.
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DoubledKeyError(f"the key {twice!r} stands twice in one object", "", 0)
    return made


def numbered(value: Any) -> Any:
    """Return a value with its numbers as numbers, for those who compute with them or send them on."""
    if isinstance(value, Literal):
        return json.loads(value)
    if isinstance(value, Mapping):
        return {name: numbered(inner) for name, inner in value.items()}
    return [numbered(inner) for inner in value] if isinstance(value, list) else value


def structured(text: str) -> Any:
    """Return the list or object that a cell of text holds, as JSON or a Python literal; else None."""
    text = text.strip()
    if len(text) > _LONGEST or text[:1] + text[-1:] not in {"[]", "{}"}:
        return None
    try:
        return loads(text)
    except (ValueError, RecursionError):
        pass
    python = _ARRAY.sub(r"\1", text)
    python = _SPACED.sub(lambda found: ", ".join(re.findall(_TEXT, found[0])).join("[]"), python)
    python = re.sub(r"(?<=[\[,:\s])nan(?=[\],}\s])", "None", python)
    try:
        value = ast.literal_eval(python)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list | dict) else None


def kind_of(value: Any) -> str:
    """Say what a JSON value is, for messages."""
    if value is None:
        return "null"
    if isinstance(value, Literal):
        return "a number"
    if isinstance(value, Mapping):
        keys = ", ".join(map(repr, list(value)[:4]))
        return f"an object with the keys {keys}" if keys else "an empty object"
    return {str: "a text", bool: "true or false", list: "an array"}.get(type(value), "a value")


def as_text(value: Any) -> str:
    """Return a value as the text of a cell; None is an empty one."""
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def alone(value: Any) -> Any:
    """Return the text of an array that holds nothing else, as many datasets write their answers."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value) and len(value) < 2:
        return "".join(value)
    return value


def without_nan(value: Any) -> Any:
    """Return a value of a data frame in which what is missing is None."""
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [without_nan(item) for item in value]
    return value
