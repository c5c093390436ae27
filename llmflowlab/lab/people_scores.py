"""What people think of each model, by the latest evaluation of which they judged its answers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from llmflowlab.errors import LabError
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.lab.lab import Lab
from llmflowlab.people.answer_words import kept_verdicts
from llmflowlab.people.human import HumanMean, human_means
from llmflowlab.tracking.summaries import EvaluationSummary

__all__ = ["PeopleScore", "people_scores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleScore:
    """One model's mean in answer to one question, over everybody who was asked."""

    question: str
    mean: float | None
    """From 0 to 1; None where nothing follows from what was judged."""
    ci_low: float | None
    ci_high: float | None
    n: int
    """Answers that were judged."""
    people: int
    evaluation_id: str
    dataset: str

    def to_json(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "mean": self.mean,
            "ci_low": self.ci_low,
            "ci_high": self.ci_high,
            "n": self.n,
            "people": self.people,
            "evaluation_id": self.evaluation_id,
            "dataset": self.dataset,
        }


def people_scores(
    lab: Lab, evaluations: Sequence[EvaluationSummary]
) -> dict[str, list[PeopleScore]]:
    """Return by model what people said, in answer to each question; models that nobody judged are left out.

    Args:
        lab: The parts.
        evaluations: Oldest first.

    Raises:
        TrackingError: The words cannot be read.
    """
    if not lab.has_evaluations:
        return {}
    with closing(lab.words()) as words:
        judged = {word.target.within for word in words.words("answer")}
    found: dict[str, list[PeopleScore]] = {}
    means: dict[str, _Judged | None] = {}
    for summary in reversed([e for e in evaluations if e.evaluation_id in judged]):
        if summary.model in found:
            continue
        name = summary.evaluation_id
        if name not in means:
            means[name] = _judged(lab, name)
        if (told := means[name]) is not None and summary.run_id in told.runs:
            index = told.runs.index(summary.run_id)
            scores = [_score(mean, told, summary) for mean in told.means if mean.index == index]
            if scores:
                found[summary.model] = scores
    return found


@dataclass(frozen=True, slots=True)
class _Judged:
    runs: Sequence[str]
    means: Sequence[HumanMean]
    people: dict[str, int]
    """By question, how many were asked."""


def _judged(lab: Lab, evaluation: str) -> _Judged | None:
    """Return what people said of an evaluation; None where it is not whole in this home any more."""
    try:
        with closing(lab.ledger()) as ledger, closing(lab.words()) as words:
            runs = ledger.evaluation(evaluation).runs.get("candidates") or []
            result = stored_result(ledger, evaluation)
            verdicts = kept_verdicts(words, evaluation)
    except LabError:
        # It was cleared, or is damaged: other commands say so, and nobody's score is in it.
        return None
    means = human_means(result, verdicts)
    asked: dict[str, set[str]] = {}
    for verdict in verdicts:
        asked.setdefault(verdict.question, set()).add(verdict.person)
    several = {question for question, people in asked.items() if len(people) > 1}
    together = [m for m in means if m.person is None or m.question not in several]
    return _Judged(runs, together, {question: len(people) for question, people in asked.items()})


def _score(mean: HumanMean, judged: _Judged, summary: EvaluationSummary) -> PeopleScore:
    return PeopleScore(
        question=mean.question,
        mean=mean.mean,
        ci_low=mean.interval.low if mean.interval else None,
        ci_high=mean.interval.high if mean.interval else None,
        n=mean.n,
        people=judged.people[mean.question],
        evaluation_id=summary.evaluation_id,
        dataset=summary.dataset,
    )
