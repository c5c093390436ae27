"""How narrowly people's verdicts, and whatever helps them, tell what candidates are worth."""

from __future__ import annotations

from collections.abc import Sequence

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.people.answer_words import HumanVerdict
from llmflowlab.people.human import human_means

__all__ = ["half_width"]

_FEWEST = 10
"""Answers of a candidate below which an interval says too little to end by."""


def half_width(
    result: EvaluationResult, verdicts: Sequence[HumanVerdict], question: str
) -> float | None:
    """Return half the width of the widest candidate's interval, of 1; None where one is not known yet.

    Args:
        result: The evaluation.
        verdicts: What everybody said.
        question: Of the rubric.
    """
    asked = [verdict for verdict in verdicts if verdict.question == question]
    candidates = {verdict.cell.candidate for verdict in asked}
    several = len({verdict.person for verdict in asked}) > 1
    means = [mean for mean in human_means(result, asked) if mean.person is None or not several]
    if not candidates or {mean.index for mean in means if mean.n >= _FEWEST} != candidates:
        return None
    widths = [(m.interval.high - m.interval.low) / 2 for m in means if m.interval is not None]
    return max(widths) if len(widths) == len(candidates) else None
