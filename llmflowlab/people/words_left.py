"""What people said that MLflow was not told; asked at every command's end, so that it imports next to nothing."""

from __future__ import annotations

from contextlib import closing

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.run.pending import pending_evaluations
from llmflowlab.settings import Settings

__all__ = ["words_left"]


def words_left(settings: Settings) -> list[str]:
    """Return the evaluations of whose answers people said what MLflow was not told, and can be told.

    What was said of an evaluation that is itself on its way waits for it. A file that cannot be read holds
    nothing that could be delivered; whoever wants to know what people said is told of it.
    """
    if not settings.people_file.exists():
        return []
    # Imported here: in most homes nobody said anything.
    from llmflowlab.people.word_store import WordStore

    try:
        with closing(WordStore(settings.people_file)) as words:
            left = words.undelivered()
    except TrackingError:
        return []
    waiting = set(pending_evaluations(settings)) if left else set()
    return [evaluation for evaluation in left if evaluation not in waiting]
