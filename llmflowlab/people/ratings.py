"""A rating in a chat as a word."""

from __future__ import annotations

from llmflowlab.machine import person
from llmflowlab.people.words import Target, Word
from llmflowlab.tracking.records import RatingRecord

__all__ = ["rating_word"]


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
        question="thumbs_up" if thumb else "rating",
        said=("yes" if rating.value else "no") if thumb else str(rating.value),
        comment=rating.comment or "",
        at_ms=rating.rated_ms,
    )
