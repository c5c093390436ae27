"""The steps of a review: what each took the place of, so that it can be taken back, in a later session too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.people.answer_words import HumanVerdict, cell_of, verdict_of
from llmflowlab.people.words import Word

__all__ = ["NO_STEP", "NoStep", "ReviewStep", "steps_before"]

NO_STEP = "no_step"
"""Key of a word's details that says why it is no step of its own."""
NoStep: TypeAlias = Literal["undo", "drawn"]
"""It takes a step back, or says again what was said, of an answer that now counts as drawn."""


@dataclass(frozen=True, slots=True)
class ReviewStep:
    """What is taken back by an undo."""

    at: int
    """Where the answer stands in the order."""
    words: tuple[tuple[str, HumanVerdict | None], ...] = ()
    """Questions with what was said before; None: nothing."""
    order: tuple[int, ...] | None = None
    """In which order answers stood before one was skipped."""


def steps_before(
    history: Iterable[Word], person: str, places: Mapping[Cell, int]
) -> list[ReviewStep]:
    """Return what a person did at the keys in earlier sessions and did not take back, oldest first.

    The words of one step were said in one moment. What came from a sheet or from MLflow's pages is no
    step, and what it replaced cannot be taken back any more.

    Args:
        history: Everything that was ever said of the evaluation's answers, in order.
        person: Who judges.
        places: The answers that are judged now, with where they stand.
    """
    steps: list[tuple[Cell, int, dict[str, HumanVerdict | None]]] = []
    now: dict[tuple[Cell, str], HumanVerdict] = {}
    undone: tuple[Cell, int] | None = None
    for word in history:
        cell = cell_of(word.target)
        if word.person != person or cell not in places:
            continue
        place, moment = (cell, word.question), (cell, word.at_ms)
        before, verdict = now.pop(place, None), verdict_of(word)
        if verdict is not None:
            now[place] = verdict
        why = word.details.get(NO_STEP)
        if "order" not in word.details:
            steps = [step for step in steps if step[0] != cell or word.question not in step[2]]
        elif why == "undo":
            if moment != undone:
                last = max((n for n, step in enumerate(steps) if step[0] == cell), default=None)
                if last is not None:
                    del steps[last]
            undone = moment
        elif why is None:
            if not steps or steps[-1][:2] != moment:
                steps.append((*moment, {}))
            steps[-1][2].setdefault(word.question, before)
    return [ReviewStep(places[cell], tuple(words.items())) for cell, _, words in steps]
