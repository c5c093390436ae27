"""Candidates of several evaluations as one result, over the questions and scorers they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import subset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.matching import content_keys, same_scorers
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score

__all__ = ["Joined", "Member", "join"]


@dataclass(frozen=True, slots=True)
class Member:
    """One candidate of an evaluation."""

    result: EvaluationResult
    candidate: int

    @property
    def evaluation(self) -> str:
        return self.result.plan.evaluation_id

    @property
    def spec(self) -> Candidate:
        return self.result.plan.candidates[self.candidate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What they are together."""

    result: EvaluationResult
    members: Sequence[Member]
    """In the order of the result's candidates."""
    remarks: Sequence[str] = ()
    """What was left out so that they can be compared, in sentences."""


def join(members: Sequence[Member]) -> Joined:
    """Return candidates as one result; all of one evaluation are that evaluation, figure for figure.

    Rows are matched by what they ask and expect. Everything is counted and tested anew over the rows
    in common, by whoever counts and tests an evaluation.

    Args:
        members: At least two, none twice.

    Raises:
        InputError: They have no question or no scorer in common, one candidate stands in two of the
            evaluations, or one of these ended early.
    """
    results = list({member.evaluation: member.result for member in members}.values())
    first = results[0]
    if len(results) == 1 and len(members) == len(first.candidates):
        ordered = sorted(members, key=lambda member: member.candidate)
        return Joined(result=first, members=ordered)
    _refuse(members)
    newest = max(results, key=lambda result: result.plan.evaluation_id)
    scorers, dropped = _scorers(newest, results)
    keyed = {
        result.plan.evaluation_id: content_keys(result.plan.dataset.rows) for result in results
    }
    common = [
        key
        for key in keyed[newest.plan.evaluation_id]
        if all(key in rows for rows in keyed.values())
    ]
    if not common:
        raise InputError(
            f"{_listed(results)} have no question in common: rows are matched by what they ask and "
            "expect."
        )
    remarks = [
        f"Only the {len(common):,} questions that all have in common count: "
        + "; ".join(
            f"{name} has {len(rows):,}" for name, rows in keyed.items() if len(rows) > len(common)
        )
        + "."
    ]
    remarks = remarks if any(len(rows) > len(common) for rows in keyed.values()) else []
    trials = min(result.plan.trials for result in results)
    if any(result.plan.trials > trials for result in results):
        remarks.append(f"Of every question the first {trials} of the repetitions counts.")
    if dropped:
        remarks.append(f"Not scored alike everywhere and left out: {', '.join(dropped)}.")
    plan = replace(
        newest.plan,
        dataset=subset(
            newest.plan.dataset,
            [keyed[newest.plan.evaluation_id][key].index for key in common],
        ),
        candidates=_told_apart(members),
        scorers=tuple(scorers),
        trials=trials,
        until_decided=None,
    )
    answers: dict[Cell, AnswerRecord] = {}
    scores: dict[Cell, dict[str, Score]] = {}
    for place, member in enumerate(members):
        rows = keyed[member.evaluation]
        for row, key in enumerate(common):
            for trial in range(trials):
                old = Cell(member.candidate, rows[key].index, trial)
                new = Cell(place, row, trial)
                if old in member.result.answers:
                    answers[new] = member.result.answers[old]
                    scores[new] = {
                        name: score
                        for name, score in member.result.scores.get(old, {}).items()
                        if name in scorers
                    }
    result = build_result(
        plan,
        answers,
        scores,
        reused=[member.result.candidates[member.candidate].reused for member in members],
        interrupted=any(one.unfinished is not None for one in results),
        exams=[exam for one in results for exam in one.exams if exam.scorer in scorers],
    )
    with_runs = [
        replace(
            candidate,
            run_id=(own := member.result.candidates[member.candidate]).run_id,
            system=own.system,
        )
        for candidate, member in zip(result.candidates, members, strict=True)
    ]
    return Joined(
        result=replace(result, candidates=with_runs), members=list(members), remarks=remarks
    )


def _refuse(members: Sequence[Member]) -> None:
    for member in members:
        if member.result.decided_early:
            raise InputError(
                f"{member.evaluation} ended as soon as its two candidates were told apart, so its rows "
                "cannot be held against others; compare it by itself."
            )
    counted = Counter(member.spec.digest for member in members)
    for member in members:
        if counted[member.spec.digest] > 1:
            raise InputError(
                f"{member.spec.label} is the same candidate in two of the evaluations; name one of "
                "them, or see what changed between both with `diff`."
            )


def _scorers(
    newest: EvaluationResult, results: Sequence[EvaluationResult]
) -> tuple[list[str], list[str]]:
    """Return the scorers by which all were scored alike, and the others that all have."""
    common, alike = set(newest.plan.scorers), set(newest.plan.scorers)
    for result in results:
        common &= set(result.plan.scorers)
        if result is not newest:
            alike &= set(same_scorers(newest.plan, result.plan))
            # Which answer is preferred to others depends on who else was there.
            alike -= {name for name, traits in newest.table.traits.items() if traits.comparing}
    if not alike:
        raise InputError(
            f"{_listed(results)} have no scorer in common that scored all in the same way; evaluate "
            "the candidates together, or with the same --scorer and --judge."
        )
    kept = [name for name in newest.plan.scorers if name in alike]
    return kept, [name for name in newest.plan.scorers if name in common - alike]


def _told_apart(members: Sequence[Member]) -> tuple[Candidate, ...]:
    """Return the candidates, those of one name with the evaluation that they come from."""
    counted = Counter(member.spec.label for member in members)
    return tuple(
        replace(member.spec, variant=member.evaluation)
        if counted[member.spec.label] > 1
        else member.spec
        for member in members
    )


def _listed(results: Sequence[EvaluationResult]) -> str:
    return " and ".join(result.plan.evaluation_id for result in results)
