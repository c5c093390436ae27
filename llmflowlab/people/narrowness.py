"""How narrowly people's verdicts, helped by a judge's, tell what candidates are worth."""

from __future__ import annotations

from collections.abc import Sequence

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.people.answer_words import HumanVerdict
from llmflowlab.people.combined import people_estimates

__all__ = ["half_width"]

_FEWEST = 10
"""Questions to a candidate below which an interval says too little to end by."""


def half_width(
    result: EvaluationResult, verdicts: Sequence[HumanVerdict], question: str
) -> float | None:
    """Return half the width of the widest candidate's interval, of 1; None where one is not known yet.

    That of the combined estimate where there is one, else that of people's words alone.

    Args:
        result: The evaluation.
        verdicts: What everybody said.
        question: Of the rubric.
    """
    asked = [verdict for verdict in verdicts if verdict.question == question]
    found = [each for each in people_estimates(result, asked) if each.against is None]
    intervals = [each.interval or each.people_interval for each in found]
    known = [each for each in intervals if each is not None]
    if not known or len(known) < len(intervals) or min(e.labelled for e in found) < _FEWEST:
        return None
    return max((each.high - each.low) / 2 for each in known)
