"""What people would say of all answers: from their words on some, and a judge's scores on all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeAlias

import numpy as np

from llmflowlab.evaluation.conclude.people_estimates import PeopleEstimate
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.scorers.ranking import ranked
from llmflowlab.people.answer_words import ASIDE, HumanVerdict, was_picked
from llmflowlab.people.human import HumanMean, human_means, on_whole_answers
from llmflowlab.people.strata import judgeable, strata_of
from llmflowlab.statistics.prediction_powered import (
    Combined,
    combined_difference,
    combined_mean,
)

__all__ = ["people_estimates"]

_STEP = 40
"""Questions more of which it is said what they would bring."""

Values: TypeAlias = "list[float | None]"


def people_estimates(
    result: EvaluationResult, verdicts: Sequence[HumanVerdict]
) -> list[PeopleEstimate]:
    """Return for each question that people were asked every candidate's estimate, and the differences.

    The scorer that helps is one of the question's name, else of its kind (yes and no, or degrees), judges
    before others, and of these the one that counts most.
    Answers that were picked because judges disagree are no sample and in no estimate, nor are such as are
    not whole.
    """
    verdicts = on_whole_answers(result, verdicts)
    found: list[PeopleEstimate] = []
    asked = dict.fromkeys(
        v.question for v in verdicts if v.value is not None and v.question not in ASIDE
    )
    for question in asked:
        own = [verdict for verdict in verdicts if verdict.question == question]
        found += _of_question(result, question, own)
    return found


def _of_question(
    result: EvaluationResult, question: str, verdicts: Sequence[HumanVerdict]
) -> list[PeopleEstimate]:
    graded = any(verdict.said.isdecimal() for verdict in verdicts)
    scorer = _scorer(result, question, graded=graded)
    unequal = any(v.details.get("order") == "narrow" for v in verdicts if not was_picked(v))
    means = {
        mean.index: mean
        for mean in reversed(human_means(result, verdicts))
        # Everybody together stands first, and so comes last here.
    }
    said = _said(result, verdicts)
    count = len(result.plan.candidates)
    units = {index: _units(result, [index]) for index in range(count)}
    judged = {index: _judged(result, scorer, index) for index in range(count)}
    binary = not graded and not result.plan.repeated and len({v.person for v in verdicts}) == 1
    found = []
    for index in range(count):
        own = units[index]
        words: Values = [said[index].get(unit) for unit in own]
        labelled = sum(word is not None for word in words)
        if not labelled:
            continue
        scores: Values = [judged[index].get(unit) for unit in own]
        combined = combined_mean(
            words, scores, binary=binary, **_shape(result, own, unequal=unequal)
        )
        mean = means.get(index)
        estimate = _estimate(question, scorer, index, words, scores, combined, mean)
        found.append(replace(estimate, judge=result.table.mean(index, scorer)))
    for first, second in combinations(sorted({e.candidate for e in found}), 2):
        others = set(units[second])
        own = [unit for unit in units[first] if unit in others]
        words = [_less(said[first].get(unit), said[second].get(unit)) for unit in own]
        if not any(word is not None for word in words):
            continue
        scores = [_less(judged[first].get(unit), judged[second].get(unit)) for unit in own]
        combined = combined_difference(
            words, scores, binary=binary, **_shape(result, own, unequal=unequal)
        )
        found.append(
            _estimate(question, scorer, second, words, scores, combined, None, against=first)
        )
    return found


def _scorer(result: EvaluationResult, question: str, *, graded: bool) -> str:
    """Return whose scores help: any would do, the nearer to what people were asked the better."""
    traits = result.table.traits
    order = [n for n in ranked(result.plan.scorers) if traits[n].figure is None]
    order = [n for n in order if not traits[n].comparing] or ranked(result.plan.scorers)

    def farther(name: str) -> tuple[bool, ...]:
        kind = traits[name].kind
        return name != question, (kind == "grade") != graded, not traits[name].judged

    return min(order, key=farther)


def _estimate(
    question: str,
    scorer: str,
    candidate: int,
    words: Values,
    scores: Values,
    combined: Combined | None,
    mean: HumanMean | None,
    *,
    against: int | None = None,
) -> PeopleEstimate:
    known = [word for word in words if word is not None]
    judged = [score for score in scores if score is not None]
    more = min(_STEP, len(words) - len(known)) or None
    return PeopleEstimate(
        asked=question,
        scorer=scorer,
        candidate=candidate,
        against=against,
        judge=sum(judged) / len(judged) if judged else None,
        people=sum(known) / len(known) if mean is None else mean.mean,
        people_interval=None if mean is None else mean.interval,
        labelled=len(known),
        of=len(words),
        value=combined.value if combined else None,
        interval=combined.interval if combined else None,
        effective=combined.effective if combined else None,
        more=more if combined else None,
        half_width=combined.half_width(more) if combined and more else None,
    )


def _said(result: EvaluationResult, verdicts: Sequence[HumanVerdict]) -> list[Mapping[int, float]]:
    """Return for each candidate what people say on average of its answers to each question."""
    found: list[dict[int, list[float]]] = [defaultdict(list) for _ in result.plan.candidates]
    for verdict in verdicts:
        if verdict.value is not None and not was_picked(verdict):
            unit = result.plan.questions[verdict.cell.row]
            found[verdict.cell.candidate][unit].append(verdict.value)
    return [{unit: sum(v) / len(v) for unit, v in own.items()} for own in found]


def _units(result: EvaluationResult, candidates: Sequence[int]) -> list[int]:
    """Return the questions with an answer that can be judged, in order."""
    rows = judgeable(result, candidates)
    return list(dict.fromkeys(result.plan.questions[row] for row in rows))


def _judged(result: EvaluationResult, scorer: str, candidate: int) -> Mapping[int, float]:
    """Return by question the mean of the scorer's scores."""
    column = result.table.column(candidate, scorer)
    sums = np.bincount(column.questions, column.sums)
    scored = np.bincount(column.questions, column.scored)
    return {int(q): float(sums[q] / scored[q]) for q in np.flatnonzero(scored)}


def _shape(
    result: EvaluationResult, units: Sequence[int], *, unequal: bool
) -> dict[str, np.ndarray | None]:
    """Return the clusters of questions, where there are any, and the strata they were drawn from."""
    plan = result.plan
    row_of: dict[int, int] = {}
    for row, unit in enumerate(plan.questions):
        row_of.setdefault(unit, row)
    rows = [row_of[unit] for unit in units]
    clustered = result.table.clusters is not None
    strata = strata_of(result) if unequal else None
    return {
        "clusters": np.array([plan.clusters[row] for row in rows]) if clustered else None,
        "strata": np.array([strata.of.get(row, 0) for row in rows]) if strata else None,
    }


def _less(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else second - first
