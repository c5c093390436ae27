"""Rows put together by what judges say of them, so that people look where it teaches most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scores import NotScored, Score

__all__ = [
    "Strata",
    "believed",
    "doubt_of",
    "judgeable",
    "left_out",
    "nothing_to_judge",
    "strata_of",
]

_WHY: Mapping[NotScored, str] = {
    "answer_cut": "cut at the token limit",
    "answer_incomplete": "broken off",
    "answer_empty": "empty",
    "answer_filtered": "cut by the provider's filter",
    "answer_tool_call": "a tool call only",
    "prompt_cut": "given to a prompt that the server shortened",
    "blocked_in": "blocked by guardrails",
    "blocked_out": "blocked by guardrails",
    "budget_exhausted": "not asked for",
    "not_reached": "not asked for",
}
_SURE = 0.25
"""From 0 or 1, within which a judge is sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """The rows that can be judged, each in one stratum."""

    names: tuple[str, ...]
    of: Mapping[int, int]
    """By row, which stratum."""


def judgeable(result: EvaluationResult, candidates: Sequence[int]) -> dict[int, list[Cell]]:
    """Return by row the whole answers of these candidates; rows without one are left out."""
    found: dict[int, list[Cell]] = {}
    plan = result.plan
    for row in range(len(plan.dataset.rows)):
        cells = [
            cell
            for candidate in candidates
            for trial in range(plan.trials)
            if (answer := result.answers.get(cell := Cell(candidate, row, trial))) is not None
            and answer.why_not_scored is None
        ]
        if cells:
            found[row] = cells
    return found


def left_out(result: EvaluationResult, candidates: Sequence[int]) -> dict[str, int]:
    """Return how many answers of these candidates cannot be judged, by why, in words."""
    found: Counter[str] = Counter()
    for cell in result.plan.cells():
        if cell.candidate in candidates:
            answer = result.answers.get(cell)
            why = "not_reached" if answer is None else answer.why_not_scored
            if why is not None:
                found[_WHY.get(why, "failed")] += 1
    return dict(found.most_common())


def nothing_to_judge(result: EvaluationResult, candidates: Sequence[int]) -> InputError:
    """Return what to raise where no answer of these candidates is whole."""
    why = ", ".join(f"{count} {why}" for why, count in left_out(result, candidates).items())
    return InputError(
        f"{result.plan.evaluation_id} has no answer that could be judged, as none is whole: {why}."
    )


def strata_of(result: EvaluationResult) -> Strata:
    """Put rows together by what the main scorer says of their answers.

    Where it is unsure, where it tells candidates apart, where it says no to all, and yes to all: people's
    verdicts vary most in the first and least in the last two, if the judge is any good. Of the scorer's own
    scores alone, so that it is the same at every start.
    """
    names = ("unsure", "apart", "no", "yes")
    of = {}
    for row, cells in judgeable(result, range(len(result.plan.candidates))).items():
        means = [believed(result, cell) for cell in cells]
        if any(_SURE < mean < 1 - _SURE for mean in means):
            stratum = 0
        elif max(means) - min(means) > 0.5:
            stratum = 1
        else:
            stratum = 2 if max(means) <= _SURE else 3
        of[row] = stratum
    return Strata(names=names, of=of)


def believed(result: EvaluationResult, cell: Cell) -> float:
    """Return what the main scorer thinks of an answer; in the middle where it says nothing."""
    return _thought(result.scores.get(cell, {}).get(main_scorer(result.plan.scorers)))


def _thought(score: Score | None) -> float:
    """Return the mean over the members of a panel, who were not all heard by their majority."""
    if score is None:
        return 0.5
    votes = [member.value for member in score.members if member.value is not None]
    return fmean(votes) if votes else 0.5 if score.value is None else score.value


def doubt_of(result: EvaluationResult, cell: Cell) -> float:
    """Return from 0 to 1 how far an answer's judges disagree or are unsure.

    The widest of: the spread of a panel's votes, the distance of a verdict from yes and no, and the spread
    between scorers of yes and no; a judge that gave no verdict is unsure.
    """
    scores = result.scores.get(cell, {})
    doubts = [0.0]
    for score in scores.values():
        votes = [member.value for member in score.members if member.value is not None]
        doubts.append(2 * pstdev(votes) if len(votes) > 1 else 0.0)
        if score.judge is not None or score.scorer == main_scorer(result.plan.scorers):
            doubts.append(1 - abs(2 * _thought(score) - 1))
    traits = result.table.traits
    said = [
        score.value
        for name, score in scores.items()
        if score.value is not None and (traits[name].judged or traits[name].says_right)
    ]
    if len(said) > 1:
        doubts.append(max(said) - min(said))
    return max(doubts)
