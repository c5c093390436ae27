"""Scores of an answer at once, where a request asks for them; by scorers that ask no model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llmflowlab.data.rows import Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.scorer_choice import check_scorers
from llmflowlab.evaluation.scorers.base import TextScorer
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.evaluation.scores import Score
from llmflowlab.service.generation import Generation

__all__ = ["score_shown", "scored", "scorers_of"]


def scorers_of(named: Sequence[str]) -> list[TextScorer]:
    """Build the scorers that a request names.

    Raises:
        InputError: One does not exist, asks a model, or has an option that cannot be used.
    """
    specs = check_scorers(named)
    for spec in specs:
        if spec.kind not in TEXT_KINDS or TEXT_KINDS[spec.kind].asks_model:
            raise InputError(f"{spec.kind} asks a model; here scorers can be named that ask none.")
        if "file" in spec.options:
            raise InputError(f"{spec.name} reads a file, which a request cannot name.")
    return [build_text_scorer(spec) for spec in specs]


async def scored(
    generation: Generation, scorers: Sequence[TextScorer], expected: str | None
) -> list[dict[str, Any]]:
    """Return what each scorer says of an answer."""
    paid, order = generation.paid, generation.order
    assert paid is not None
    assert generation.record is not None
    settings = generation.settings
    began = generation.record.started_ms
    answer = AnswerRecord.of(paid, began_ms=began, ended_ms=began, settings=settings)
    row = Row(index=0, line=None, id="1", question=order.prompt, expected=expected, source={})
    # Apart: a pattern or a long text takes its time, which others must not wait for.
    scores = await asyncio.to_thread(lambda: [one.score(row, answer) for one in scorers])
    return list(map(score_shown, scores))


def score_shown(score: Score) -> dict[str, Any]:
    """Return a score as clients see it."""
    return {
        "scorer": score.scorer,
        "value": score.value,
        "not_scored": score.not_scored,
        "rationale": score.rationale,
    }
