"""What scores given in the background come to, for MLflow and for whoever measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmflowlab.service.store.online_scores import KeptScore, ScoreTotal

if TYPE_CHECKING:
    from llmflowlab.tracking.evaluation_rows import AssessmentValue

__all__ = ["EXAM", "assessed", "score_metrics"]

EXAM = "llmflowlab.judge_exam"
"""Metadata of a judge's assessment: how its examination ended."""


def assessed(kept: KeptScore) -> AssessmentValue:
    """Return a score as an evaluation's would stand on a trace, with how its judge was examined."""
    # Imported here: it imports MLflow.
    from llmflowlab.evaluation.run.row_traces import assessment

    value = assessment(kept.score)
    exam = {} if kept.judge_exam is None else {EXAM: kept.judge_exam}
    return replace(value, metadata={**value.metadata, **exam})


def score_metrics(totals: Sequence[ScoreTotal]) -> dict[str, float]:
    """Return a run's metrics, named as an evaluation's: mean and coverage of the answers looked at."""
    found: dict[str, float] = {}
    for scorer in dict.fromkeys(each.scorer for each in totals):
        mine = [each for each in totals if each.scorer == scorer]
        scored = sum(each.number for each in mine if each.reason is None)
        if scored:
            found[f"{scorer}/mean"] = sum(each.total for each in mine) / scored
        found[f"{scorer}/coverage"] = scored / sum(each.number for each in mine)
    return found
