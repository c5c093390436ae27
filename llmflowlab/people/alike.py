"""Which scorers say of an answer what people were asked of it: only like is set beside like."""

from __future__ import annotations

from dataclasses import dataclass

from llmflowlab.evaluation.scorers.traits import ScorerTraits
from llmflowlab.people.answer_words import CORRECT, QUALITY

__all__ = ["Likeness", "alike"]


@dataclass(frozen=True, slots=True)
class Likeness:
    """Why a scorer's values stand beside people's."""

    why: str
    """Ends "matched because"."""
    same_question: bool = True
    """Whether both were asked the same; else only the kind of answer is alike."""


def alike(question: str, traits: ScorerTraits, *, graded: bool) -> Likeness | None:
    """Return why a scorer and people can be set side by side; None where they cannot.

    Args:
        question: What people were asked.
        traits: The scorer's.
        graded: Whether people gave grades, else yes and no.
    """
    one_of_all = traits.comparing or traits.figure is not None
    if one_of_all or traits.kind != ("grade" if graded else "yes_no"):
        return None
    if question == traits.name:
        return Likeness("both have one name")
    if question == CORRECT and traits.says_right:
        return Likeness("both say whether the answer is right")
    if question == QUALITY and traits.judged:
        return Likeness("both grade the answer", same_question=False)
    return None
