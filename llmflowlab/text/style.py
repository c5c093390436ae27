"""How an answer looks, whatever it says: its length and its Markdown."""

from __future__ import annotations

import re

from llmflowlab.text.token_estimate import estimate_tokens

__all__ = ["STYLE", "style_of"]

STYLE = ("length", "headers", "lists", "bold")
"""What `style_of` measures, in its order."""

_FENCED = re.compile(r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_HEADER = re.compile(r"^ {0,3}#{1,6}[ \t]+\S", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S", re.MULTILINE)
_BOLD = re.compile(r"(\*\*|__)(?=\S)[^\n]{1,500}?(?<=\S)\1")


def style_of(text: str) -> tuple[float, ...]:
    """Return estimated tokens, and how many headers, list items and bold passages stand outside code.

    The properties that the public arena controls for (Li, Angelopoulos & Chiang 2024, "Does style
    matter?").
    """
    prose = _FENCED.sub("", text)
    found = [len(pattern.findall(prose)) for pattern in (_HEADER, _ITEM, _BOLD)]
    return (float(estimate_tokens(text)), *map(float, found))
