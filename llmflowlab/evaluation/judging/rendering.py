"""Puts questions and answers into a judge's instructions, as material and never as instructions.

An answer is written by the model under test. It may hold anything: a placeholder of the template, the
tag that ends the block it stands in, a verdict in the judge's own form. Placeholders are therefore
filled in one pass, so that an answer's "{{expected}}" stays those letters; and tags of the template are
made harmless inside what is filled in, so that an answer cannot leave its block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["fill", "placeholders"]

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_TAG = re.compile(r"<\s*/?\s*([A-Za-z_]\w*)")


def placeholders(template: str) -> set[str]:
    """Return the names that a template asks for."""
    return set(_PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str], *, raw: Mapping[str, str] | None = None) -> str:
    """Return the template with its `{{ name }}` filled in; names without a value stay.

    Args:
        template: Instructions; blocks of material stand in tags such as `<answer>…</answer>`.
        values: Material. Where it contains a tag of the template, the `<` is written `&lt;`.
        raw: Texts of ours that may bring tags of their own.
    """
    ours = {**(raw or {})}
    tags = {name.lower() for text in (template, *ours.values()) for name in _TAG.findall(text)}

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in ours:
            return ours[name]
        return harmless(values[name], tags) if name in values else match.group(0)

    return _PLACEHOLDER.sub(value, template)


def harmless(text: str, tags: set[str]) -> str:
    """Return the text with the given tags (lower case) taken their power."""

    def escaped(match: re.Match[str]) -> str:
        found = match.group(0)
        return "&lt;" + found[1:] if match.group(1).lower() in tags else found

    return _TAG.sub(escaped, text)
