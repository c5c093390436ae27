"""Which scorer counts: the one list by which candidates are ranked and answers are called right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["SAYS_RIGHT", "main_scorer", "ranked"]

_FIRST = ("correctness", "contains", "token_f1", "exact_match")
"""A judge's correctness, then the text measures, those that do not punish full sentences first."""

SAYS_RIGHT = frozenset(
    {
        *("contains", "correctness", "equivalence", "exact_match", "multiple_choice"),
        *("numeric_match", "support_correctness"),
    }
)
"""Kinds whose yes means that the answer is right; others measure how near or how well said it is."""


def ranked(scorers: Iterable[str]) -> list[str]:
    """Return scorers by how much they count: the list's first, the others in the order given."""
    names = list(scorers)
    return [n for n in _FIRST if n in names] + [n for n in names if n not in _FIRST]


def main_scorer(scorers: Sequence[str]) -> str:
    """Return the scorer that ranks candidates, by which gates, promotion and `info` go as well."""
    return ranked(scorers)[0]
