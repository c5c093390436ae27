"""A prompt as a template: its variables `{{name}}`, and what is put in their place.

A value is put in as it is: what looks like a variable inside it stays text, because texts are gone
through once. The syntax is that of MLflow's prompt registry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.messages import Message

__all__ = [
    "braced",
    "filled",
    "question_variable",
    "refuse_unfilled",
    "spoken",
    "takes_question",
    "variables_of",
]

_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_QUESTIONS = frozenset(
    {"question", "query", "customer_query", "user_query", "customer_message", "message", "input"}
)
"""What the place of the person's question is usually called."""


def variables_of(*texts: str | None) -> tuple[str, ...]:
    """Return the names of the variables, in the order in which they come."""
    return tuple(dict.fromkeys(name for text in texts for name in _VARIABLE.findall(text or "")))


def filled(text: str | None, values: Mapping[str, Any] | None) -> str | None:
    """Return `text` with each variable that has a value put in; others stay as they are.

    What is no text is written as JSON.
    """
    if not text or not values:
        return text

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            return found[0]
        item = values[found[1]]
        return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, default=str)

    return _VARIABLE.sub(value, text)


def question_variable(
    variables: Sequence[str], known: Collection[str], *, lone: bool = True
) -> str | None:
    """Return the variable that takes the question: the only one without a value, else a usual name.

    Args:
        variables: Of the template.
        known: Those that have a value.
        lone: Whether the only one takes it whatever it is called.
    """
    free = [name for name in variables if name not in known]
    usual = [name for name in free if name in _QUESTIONS]
    found = free if lone and len(free) == 1 else usual
    return found[0] if len(found) == 1 else None


def takes_question(messages: Sequence[Message], known: Collection[str]) -> str | None:
    """Return the variable of a template's messages that takes the question; None where none does."""
    return question_variable(variables_of(*(m.content for m in messages)), known)


def spoken(
    messages: Sequence[Message], turns: Sequence[Message], values: Mapping[str, Any]
) -> tuple[Message, ...]:
    """Return what is sent: a template's examples, then each turn in the place of the question.

    Args:
        messages: Of the template, without its system prompt; the last one takes the question where a
            variable in it does.
        turns: What was said, the person's question last.
        values: Of the template's variables.
    """
    name = takes_question(messages, values.keys())
    before = messages if name is None else messages[:-1]
    said = tuple(Message(m.role, filled(m.content, values) or "") for m in before)
    if name is None:
        return (*said, *turns)
    place = messages[-1].content
    return said + tuple(
        Message("user", filled(place, {**values, name: turn.content}) or "")
        if turn.role == "user"
        else turn
        for turn in turns
    )


def refuse_unfilled(
    system: str | None,
    messages: Sequence[Message],
    known: Collection[str],
    *,
    what: str,
    remedy: str,
) -> None:
    """Refuse a template that would reach the model with a variable in it.

    Args:
        system: The system prompt; a question is never put there.
        messages: The template's messages.
        known: The variables that have a value.
        what: The prompt, as a sentence begins with it.
        remedy: What to do, as a clause.

    Raises:
        InputError: Variables without a value, all of them named.
    """
    taken = takes_question(messages, known)
    missing = [
        name
        for name in variables_of(system, *(m.content for m in messages))
        if name not in known and (name != taken or name in variables_of(system))
    ]
    if missing:
        raise InputError(f"{what} has no value for {braced(missing)}; {remedy}.")
    if taken is not None and taken not in variables_of(messages[-1].content):
        raise InputError(
            f"{what} has {braced([taken])} before its last message; the question belongs in the last."
        )
    if messages and messages[-1].role == "user" and taken is None:
        raise InputError(
            f"{what} ends with a message of the user's in which no variable takes the question; "
            "write {{question}} in it, or leave that message out."
        )
    if taken is not None and messages[-1].role != "user":
        raise InputError(f"{what} ends with the assistant; the question belongs to the user.")


def braced(names: Iterable[str]) -> str:
    """Return variables as they are written: `{{a}}, {{b}}`."""
    return ", ".join("{{" + name + "}}" for name in names)
