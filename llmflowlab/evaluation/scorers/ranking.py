"""Which scorer counts: the one list by which candidates are ranked and answers are called right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS

__all__ = ["main_scorer", "ranked", "says_right"]

_FIRST = ("correctness", "contains", "token_f1", "exact_match", "accuracy")
"""A judge's correctness, then the text measures, those that do not punish full sentences first."""

_JUDGES_THAT_SAY_RIGHT = frozenset({"correctness", "equivalence", "support_correctness"})


def says_right(kind: str) -> bool:
    """Tell whether a kind's yes means that the answer is right, not how near or how well said it is."""
    text = TEXT_KINDS.get(kind)
    return kind in _JUDGES_THAT_SAY_RIGHT if text is None else text.says_right


def ranked(scorers: Iterable[str]) -> list[str]:
    """Return scorers by how much they count: the list's first, the others in the order given."""
    names = list(scorers)
    return [n for n in _FIRST if n in names] + [n for n in names if n not in _FIRST]


def main_scorer(scorers: Sequence[str]) -> str:
    """Return the scorer that ranks candidates, by which gates, promotion and `info` go as well."""
    return ranked(scorers)[0]
