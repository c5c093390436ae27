"""Benchmark rows that hold a whole conversation, and parameters of their own, instead of a question."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llmflowlab.conversations import (
    parse_json,
    read_conversation,
    read_wishes,
)
from llmflowlab.errors import InputError
from llmflowlab.messages import Message, Parameters

__all__ = [
    "RowConversation",
    "conversation_from_json",
    "row_conversation",
]

_NUMBERS = ("temperature", "top_p", "max_tokens", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowConversation:
    """What a row sends."""

    messages: tuple[Message, ...]
    system: str | None = None
    """Goes before the candidate's system prompt; None where the row has none."""
    parameters: Parameters = Parameters()
    """Go before the candidate's."""
    custom_inputs: Mapping[str, Any] | None = None
    """Fill the placeholders of the candidate's system prompt."""

    @property
    def question(self) -> str:
        """The last thing the user said: what tables and judges show of the row."""
        return next(m.content for m in reversed(self.messages) if m.role == "user")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def row_conversation(messages: Any, params: str | None) -> RowConversation:
    """Read what a row sends.

    Args:
        messages: A list of messages, or one as JSON text.
        params: JSON text, as the tabular agent takes it; None where the row has none.

    Raises:
        InputError: One of them cannot be used.
    """
    value = parse_json(messages, "messages") if isinstance(messages, str) else messages
    conversation = read_conversation(value)
    if conversation.messages[-1].role != "user":
        raise InputError("The last message must be the user's, which is what gets answered.")
    wished = parse_json(params, "params") if params else None
    wishes = read_wishes(_with_numbers(wished))
    return RowConversation(
        messages=conversation.messages,
        system=conversation.system,
        parameters=wishes.parameters,
        custom_inputs=wishes.custom_inputs,
    )


def conversation_from_json(values: Mapping[str, Any] | None) -> RowConversation | None:
    """Return what `to_json` was made of."""
    if values is None:
        return None
    return RowConversation(
        messages=tuple(Message(**message) for message in values["messages"]),
        system=values["system"],
        parameters=Parameters(**values["parameters"]),
        custom_inputs=values["custom_inputs"],
    )


def _with_numbers(value: Any) -> Any:
    """Undo that cells are texts: numbers inside a JSON Lines file arrive here in quotes."""
    if not isinstance(value, Mapping):
        return value
    found = dict(value)
    for name in _NUMBERS:
        if isinstance(found.get(name), str):
            try:
                found[name] = json.loads(found[name])
            except ValueError:
                continue
    return found
