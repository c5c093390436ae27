"""Ratings in chats: as words, and what they come to by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llmflowlab.machine import person
from llmflowlab.people.answer_words import value_of
from llmflowlab.people.words import Target, Word
from llmflowlab.tracking.records import RatingRecord

__all__ = ["RATED", "RatingMean", "rating_means", "rating_word"]

_GRADE, _THUMB = "rating", "thumbs_up"
RATED = (_GRADE, _THUMB)
"""What a turn is rated by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingMean:
    """What people think of a model's answers in chats."""

    question: str
    """`rating`, answered by a grade, or `thumbs_up`."""
    mean: float
    """From 0 to 1, over turns; yes is 1, a grade g is (g − 1) / 4."""
    n: int
    """Turns that were rated."""
    people: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rating_word(rating: RatingRecord, run_id: str, *, by: str | None = None) -> Word:
    """Return what a person said of a turn: a grade in answer to `rating`, yes or no to `thumbs_up`.

    Args:
        rating: What was said.
        run_id: The run, or what stands for it until there is one.
        by: Who said it; None: the person of this account.
    """
    thumb = isinstance(rating.value, bool)
    return Word(
        person=by or person(),
        target=Target(kind="turn", within=run_id, key=rating.trace_id),
        question=_THUMB if thumb else _GRADE,
        said=("yes" if rating.value else "no") if thumb else str(rating.value),
        comment=rating.comment or "",
        at_ms=rating.rated_ms,
    )


def rating_means(words: Sequence[Word], models: Mapping[str, str]) -> dict[str, list[RatingMean]]:
    """Return by model reference what people said of its turns.

    Args:
        words: On turns.
        models: By a run's or a session's id, which model answered in it; words on others are left out.
    """
    turns: dict[tuple[str, str], dict[str, list[float]]] = {}
    people: dict[tuple[str, str], set[str]] = {}
    for word in words:
        model, value = models.get(word.target.within), value_of(word.said or "")
        if model is not None and value is not None:
            place = model, word.question
            turns.setdefault(place, {}).setdefault(word.target.key, []).append(value)
            people.setdefault(place, set()).add(word.person)
    found: dict[str, list[RatingMean]] = {}
    for (model, question), by_turn in sorted(turns.items()):
        means = [sum(said) / len(said) for said in by_turn.values()]
        found.setdefault(model, []).append(
            RatingMean(
                question=question,
                mean=sum(means) / len(means),
                n=len(means),
                people=len(people[model, question]),
            )
        )
    return found
