"""What PromQL asks for: as much of the language as our dashboard and rules are written in."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Asked", "asked_by"]

_KEYWORDS = {"and", "bool", "by", "offset", "on", "or", "unless", "without"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks for."""

    metrics: frozenset[str]
    labels: frozenset[str]


def asked_by(query: str) -> Asked:
    """Find the metrics and labels in a query."""
    labels: set[str] = set()

    def named(match: re.Match[str]) -> str:
        labels.update(re.findall(r"[a-zA-Z_]\w*", match[1]))
        return " "

    text = re.sub(r'"[^"]*"', '""', query)
    text = re.sub(r"\b(?:by|without|on)\s*\(([^)]*)\)", named, text)
    text = re.sub(r"\{([^}]*)\}", named, text)
    # What is left of it: names, those of functions before a bracket.
    text = re.sub(r"\[[^\]]*\]|\$\w+", " ", text)
    names = set(re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()", text))
    return Asked(frozenset(names - _KEYWORDS), frozenset(labels))
