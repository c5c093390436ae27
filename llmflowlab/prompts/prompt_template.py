"""What a version of a prompt says: one text, or the messages of a chat, with variables and other prompts in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from llmflowlab.errors import InputError
from llmflowlab.messages import Message, Role
from llmflowlab.template import braced, filled, question_variable, variables_of

__all__ = ["PromptTemplate", "refuse_unknown"]

_DEPTH = 8
"""How deep prompts may include prompts."""
_INCLUDE = re.compile(r"\{\{>\s*([\w.-]+(?:@[\w.-]+)?)\s*\}\}")
_HEADING = re.compile(r"^\[(system|user|assistant)\][ \t]*$", re.MULTILINE)
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """The texts of a template with their roles."""

    parts: tuple[tuple[str, str], ...]
    """Role and text; a template that is no chat is one part of the role `text`."""

    @classmethod
    def of(cls, value: Any, name: str) -> PromptTemplate:
        """Read what MLflow holds.

        Raises:
            InputError: It holds something other than texts, or Jinja's statements.
        """
        given = [{"role": "text", "content": value}] if isinstance(value, str) else value
        parts = []
        for part in given if isinstance(given, list) else [None]:
            role, text = (part or {}).get("role"), (part or {}).get("content")
            known = "text" if role == "text" else _ROLES.get(str(role))
            if known is None or not isinstance(text, str):
                raise InputError(
                    f"{name} holds a message of the role {role!r} or something other than text; only "
                    "texts of system, user and assistant can be used."
                )
            parts.append((known, text))
        if any("{%" in text and "%}" in text for _, text in parts):
            raise InputError(
                f"{name} is a Jinja template; only variables such as {{{{question}}}} can be used here."
            )
        return cls(tuple(parts))

    @classmethod
    def from_text(cls, text: str) -> PromptTemplate:
        """Read the form in which people write templates: a line `[system]` begins a message.

        Raises:
            InputError: It is empty, or has text before its first message.
        """
        before, *rest = _HEADING.split(text)
        if not rest:
            parts = [("text", before.strip())]
        elif before.strip():
            raise InputError("There is text before the first [system], [user] or [assistant].")
        else:
            parts = [(r, t.strip()) for r, t in zip(rest[::2], rest[1::2], strict=True)]
        if not all(content for _, content in parts):
            raise InputError("A prompt, or a message of it, is empty; write what it says.")
        return cls(tuple(parts))

    def to_text(self) -> str:
        """Return the form that `from_text` reads."""
        if self.is_text:
            return self.parts[0][1]
        return "\n\n".join(f"[{role}]\n{content}" for role, content in self.parts)

    def to_mlflow(self) -> str | list[dict[str, str]]:
        """Return what MLflow's registry takes."""
        if self.is_text:
            return self.parts[0][1]
        return [{"role": role, "content": content} for role, content in self.parts]

    @property
    def is_text(self) -> bool:
        """Whether it is one text and no chat."""
        return self.parts[0][0] == "text"

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables, in the order in which they come."""
        return variables_of(*(content for _, content in self.parts))

    @property
    def includes(self) -> tuple[str, ...]:
        """The references of the prompts that it includes, as they are written."""
        return tuple(name for _, content in self.parts for name in _INCLUDE.findall(content))

    @property
    def asked_for(self) -> tuple[str, ...]:
        """Its variables without the one that takes the question."""
        taken = question_variable(self.variables, ())
        return tuple(name for name in self.variables if name != taken)

    def map(self, change: Callable[[str], str]) -> PromptTemplate:
        """Return it with every text changed."""
        return replace(self, parts=tuple((role, change(content)) for role, content in self.parts))

    def rendered(self, values: Mapping[str, str]) -> PromptTemplate:
        """Return it with every variable filled in.

        Raises:
            InputError: A variable has no value, or a value no variable; all of them are named.
        """
        if missing := [name for name in self.variables if name not in values]:
            raise InputError(f"There is no value for {braced(missing)}; give --value NAME=TEXT.")
        refuse_unknown(values, self.variables)
        return self.map(lambda text: filled(text, values) or "")

    def included(
        self, load: Callable[[str], tuple[str, PromptTemplate]], within: Sequence[str] = ()
    ) -> tuple[PromptTemplate, tuple[str, ...]]:
        """Put the prompts that it includes in their places.

        Args:
            load: Returns `NAME@VERSION` and template of a reference.
            within: The versions that it is included by, itself last.

        Returns:
            The template, and `NAME@VERSION` of every prompt in it.

        Raises:
            InputError: Prompts include each other in a circle, too deep, or one is a chat.
        """
        used: list[str] = []

        def text_of(found: re.Match[str]) -> str:
            reference, template = load(found[1])
            way = " → ".join((*within, reference))
            if _name(reference) in map(_name, within):
                raise InputError(f"Prompts include each other in a circle: {way}.")
            if len(within) >= _DEPTH:
                raise InputError(f"Prompts include each other more than {_DEPTH} deep: {way}.")
            if not template.is_text:
                raise InputError(f"{way}: a chat of several messages cannot be included.")
            whole, below = template.included(load, (*within, reference))
            used.extend((reference, *below))
            return whole.parts[0][1]

        # Texts are gone through once: what an included prompt's text holds was put in on its own way.
        whole = self.map(lambda text: _INCLUDE.sub(text_of, text))
        return whole, tuple(dict.fromkeys(used))

    def framed(
        self, known: Collection[str], *, lone: bool = True
    ) -> tuple[str | None, tuple[Message, ...]]:
        """Return the system prompt, and the messages into whose last one the question is put.

        A text is the user's message where one of its variables takes the question, else the system
        prompt.

        Args:
            known: Variables that have a value.
            lone: Whether a single variable without a value takes the question whatever it is called.
        """
        if not self.is_text:
            system = "\n\n".join(text for role, text in self.parts if role == "system")
            said = [(role, text) for role, text in self.parts if role != "system"]
            return system or None, tuple(Message(cast("Role", role), text) for role, text in said)
        text = self.parts[0][1]
        if question_variable(self.variables, known, lone=lone) is None:
            return text, ()
        return None, (Message("user", text),)


def _name(reference: str) -> str:
    return reference.partition("@")[0]


def refuse_unknown(values: Mapping[str, str], variables: Sequence[str]) -> None:
    """Refuse values that no variable takes.

    Raises:
        InputError: There are such; all of them are named.
    """
    if unknown := [name for name in values if name not in variables]:
        there = f"there are {braced(variables)}" if variables else "the prompt has none"
        raise InputError(f"There is no variable {braced(unknown)}; {there}.")
