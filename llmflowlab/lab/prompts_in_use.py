"""Which version of a prompt a model is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from llmflowlab.errors import InputError
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Message
from llmflowlab.providers.redact import refuse_secrets
from llmflowlab.template import refuse_unfilled

__all__ = ["PromptInUse", "prompt_in_use", "read_values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptInUse:
    """A version of a prompt as a model is given it; see `Candidate`."""

    asked: str
    """As it was asked for: `NAME@ALIAS`."""
    reference: str
    """`NAME@VERSION`."""
    system: str | None
    messages: tuple[Message, ...]
    values: Mapping[str, str] | None = None
    note: str | None = None
    """What is to be said, where the registry could not be asked."""

    @property
    def follows(self) -> bool:
        """Whether another version may be behind what was asked for later."""
        return not self.asked.rpartition("@")[2].isdigit()


def prompt_in_use(
    lab: Lab,
    reference: str,
    values: Mapping[str, str],
    *,
    columns: Collection[str] | None = None,
) -> PromptInUse:
    """Load a prompt for a model.

    Args:
        lab: The parts.
        reference: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        values: Of its variables.
        columns: Variables that every row of a data file fills; None where no file does, and what has
            no value then is refused here.

    Raises:
        InputError: There is no such prompt, it holds a key, or a value is missing or unknown.
        TrackingError: The registry cannot be asked, and the prompt was never loaded here.
    """
    # Imported here: a chat without a prompt needs no store.
    from llmflowlab.prompts.last_known import find_prompt
    from llmflowlab.prompts.prompt_template import refuse_unknown

    found, note = find_prompt(lab.settings, reference)
    whole = "\n".join((found.template.to_text(), *values.values()))
    refuse_secrets(whole, lab.settings, found.reference)
    refuse_unknown(values, found.template.variables)
    system, messages = found.template.framed({*values, *(columns or ())})
    if columns is None:
        remedy = "give --value NAME=TEXT"
        refuse_unfilled(system, messages, values, what=found.reference, remedy=remedy)
    return PromptInUse(
        asked=reference,
        reference=found.reference,
        system=system,
        messages=messages,
        values=dict(values) or None,
        note=note,
    )


def read_values(texts: Collection[str]) -> dict[str, str]:
    """Read `NAME=TEXT` as it is typed.

    Raises:
        InputError: One is no such thing, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"{text!r} is no value; give --value NAME=TEXT.")
        if name.strip() in found:
            raise InputError(f"{name.strip()} has two values; give one.")
        found[name.strip()] = value
    return found
