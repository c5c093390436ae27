"""Numbered masks: the same value has the same one, and a person's own can be put back for them alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmflowlab.guardrails.personal_data import personal_data
from llmflowlab.guardrails.secrets import secrets
from llmflowlab.guardrails.verdict import Detection

__all__ = ["Masks", "hidden", "label", "without_secrets"]

_MASK = re.compile(r"\[[a-z ]{2,40} \d+\]")


class Masks:
    """The masks of one session, kept in memory and nowhere else."""

    def __init__(self) -> None:
        self._by_value: dict[tuple[str, str], str] = {}
        self._own: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def mask(self, finding: Detection, value: str, *, own: bool) -> str:
        """Return what stands in the place of a value.

        Args:
            finding: What it is.
            value: What stood there.
            own: Whether the person wrote it, who may see it again.
        """
        kind = label(finding)
        mask = self._by_value.get((kind, value))
        if mask is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            mask = self._by_value[kind, value] = f"[{kind} {number}]"
        if own:
            self._own[mask] = value
        return mask

    def restore(self, text: str) -> str:
        """Return a text with the person's own values in the places of their masks."""
        if not self._own or "[" not in text:
            return text
        return _MASK.sub(lambda match: self._own.get(match[0], match[0]), text)


def label(finding: Detection) -> str:
    """Return what a mask calls a finding."""
    if finding.category == "secrets":
        return "secret"
    named = finding.rule if finding.category == "personal_data" else finding.category
    return named.replace("_", " ")


def without_secrets(text: str) -> str:
    """Return a text with personal data and secrets masked, for records that others read."""
    found = sorted([*personal_data(text), *secrets(text)], key=lambda f: (f.start, -f.end))
    parts, done = [], 0
    for finding in found:
        if finding.start >= done:
            parts += [text[done : finding.start], f"[{label(finding)}]"]
            done = finding.end
    return "".join([*parts, text[done:]])


def hidden(value: Any) -> Any:
    """Return JSON values with personal data and secrets masked in every text."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {name: hidden(each) for name, each in value.items()}
    return [hidden(each) for each in value] if isinstance(value, list | tuple) else value
