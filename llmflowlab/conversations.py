"""Conversations and generation parameters as they arrive in JSON, from requests and benchmark files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.messages import Message, Parameters

# For agents that earlier versions registered: their files import it from here.
from llmflowlab.template import filled

__all__ = [
    "Conversation",
    "Wishes",
    "filled",
    "overlaid",
    "parse_json",
    "read_conversation",
    "read_parameters",
    "read_stop",
    "read_wishes",
]

_SYSTEM_ROLES = frozenset({"system", "developer"})
_TEXT_PARTS = ("text", "input_text", "output_text")
_PARAMETERS = tuple(field.name for field in fields(Parameters))


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was said so far."""

    messages: tuple[Message, ...]
    system: str | None = None
    """All system messages, a blank line between two; None where there is none."""

    @property
    def question(self) -> str:
        """The last thing the user said."""
        return next(m.content for m in reversed(self.messages) if m.role == "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What one request asks for beside its conversation."""

    parameters: Parameters = Parameters()
    custom_inputs: Mapping[str, Any] | None = None
    """Facts about the caller, such as a client type; None where there are none."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer."""


def parse_json(text: str, what: str) -> Any:
    """Return the JSON value of a text; NaN and Infinity are no JSON.

    Args:
        text: The text.
        what: What it is meant to be, for the message: "messages".

    Raises:
        InputError: It is no JSON.
    """

    def refuse(name: str) -> None:
        raise InputError(f"The {what} hold {name}, which is no number.")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, TypeError, RecursionError) as exc:
        raise InputError(f"The {what} are no JSON: {_words(exc)}.") from exc


def read_conversation(value: Any) -> Conversation:
    """Read a list of `{"role", "content"}`; texts in parts are put together line by line.

    Raises:
        InputError: It is no such list, holds something other than text, or nothing of the user's.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise InputError('The messages must be a list of {"role": …, "content": …}.')
    system: list[str] = []
    messages: list[Message] = []
    for number, item in enumerate(value, start=1):
        if not isinstance(item, Mapping):
            raise InputError(f'Message {number} must be an object, {{"role": …, "content": …}}.')
        role, text = item.get("role"), _text(item.get("content"), number)
        if not isinstance(role, str):
            raise InputError(f"Message {number} has no role; use system, user, assistant.")
        if role in _SYSTEM_ROLES:
            system.append(text)
        elif role == "user":
            messages.append(Message("user", text))
        elif role == "assistant":
            messages.append(Message("assistant", text))
        else:
            raise InputError(
                f"Message {number} has the role {role!r}; use system, user, assistant."
            )
    if all(message.role != "user" for message in messages):
        raise InputError("The request holds no user message; send at least one.")
    return Conversation(messages=tuple(messages), system="\n\n".join(system) or None)


def read_wishes(value: Any) -> Wishes:
    """Read an object of parameters and `custom_inputs`; null and absent mean none.

    Raises:
        InputError: It is no such object, or a value cannot be used.
    """
    if value is None:
        return Wishes()
    if not isinstance(value, Mapping):
        raise InputError('The params must be an object, such as {"temperature": 0}.')
    custom = value.get("custom_inputs")
    if custom is not None and not isinstance(custom, Mapping):
        raise InputError("custom_inputs must be an object of names and values.")
    rest = {name: item for name, item in value.items() if name != "custom_inputs"}
    return Wishes(parameters=read_parameters(rest), custom_inputs=dict(custom) if custom else None)


def read_parameters(values: Mapping[str, Any]) -> Parameters:
    """Read generation parameters; null means that none was asked for.

    Raises:
        InputError: There is no such parameter, or its value cannot be used.
    """
    unknown = sorted(set(values) - set(_PARAMETERS))
    if unknown:
        raise InputError(
            f"There is no parameter {unknown[0]!r}; there are {', '.join(_PARAMETERS)}."
        )
    return Parameters(
        temperature=_number(values, "temperature", 0.0, 2.0),
        top_p=_number(values, "top_p", 0.0, 1.0),
        max_tokens=_whole(values, "max_tokens", least=1),
        seed=_whole(values, "seed"),
    )


def read_stop(value: Any) -> tuple[str, ...]:
    """Read the texts that end an answer: one, or a list; null means none.

    Raises:
        InputError: It is neither, or one of them is empty.
    """
    listed = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(listed, list | tuple) or not all(w and isinstance(w, str) for w in listed):
        raise InputError("stop must be a text or a list of texts, none of them empty.")
    return tuple(listed)


def overlaid(base: Parameters, over: Parameters) -> Parameters:
    """Return `base` with every parameter that `over` names taken from there."""
    named = {name: getattr(over, name) for name in _PARAMETERS}
    return replace(base, **{name: value for name, value in named.items() if value is not None})


def _text(content: Any, number: int) -> str:
    if isinstance(content, str):
        text = content
    else:
        parts = content if isinstance(content, Sequence) else ()
        texts = [
            part.get("text")
            for part in parts
            if isinstance(part, Mapping) and part.get("type", "text") in _TEXT_PARTS
        ]
        if not parts or len(texts) != len(parts) or not all(isinstance(t, str) for t in texts):
            raise InputError(f"Message {number} holds something other than text; send text only.")
        text = "\n".join(str(part) for part in texts)
    if not text.strip():
        raise InputError(f"Message {number} is empty.")
    return text


def _number(values: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = values.get(name)
    if value is None:
        return None
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    if not usable or not math.isfinite(value) or not low <= value <= high:
        raise InputError(f"{name} is {value!r}; give a number from {low:g} to {high:g}.")
    return float(value)


def _whole(values: Mapping[str, Any], name: str, *, least: int | None = None) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        # Numbers come as floats out of tables with gaps.
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or (least or value) > value:
        wanted = "a whole number" if least is None else f"a whole number from {least}"
        raise InputError(f"{name} is {value!r}; give {wanted}.")
    return value


def _words(exc: Exception) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at character {exc.pos + 1}"
    return "it is nested too deeply" if isinstance(exc, RecursionError) else "it is no text"
