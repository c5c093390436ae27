"""Counts an evaluation up: from answers and scores to the figures of each candidate."""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.comparing import compare, compare_measures
from llmflowlab.evaluation.conclude.costs import Own, spent_in_all
from llmflowlab.evaluation.conclude.decide import INTERRUPTED
from llmflowlab.evaluation.conclude.deciding import sequential_of
from llmflowlab.evaluation.conclude.groups import groups_of
from llmflowlab.evaluation.conclude.judging_quality import (
    Contradiction,
    JudgingQuality,
    judging_quality,
)
from llmflowlab.evaluation.conclude.leaderboards import leaderboards
from llmflowlab.evaluation.conclude.recommendation import recommend
from llmflowlab.evaluation.conclude.results import (
    CandidateResult,
    EvaluationResult,
    GivenUp,
    Latency,
    ScoreSummary,
)
from llmflowlab.evaluation.conclude.sameness import Margin
from llmflowlab.evaluation.conclude.table import ScoreTable, table_of
from llmflowlab.evaluation.judging.exam import Exam, caveat_of, doubts_of
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scores import Score
from llmflowlab.evaluation.system_use import SystemUse
from llmflowlab.statistics.quantiles import quantile_of_sorted
from llmflowlab.tracking.violations import counts

__all__ = ["build_result", "judge_usage", "score_summary", "summarise"]

_LETTER = "exact_match"
"""The scorer whose yes no judge of right and wrong can deny."""
_SPENT = "budget_exhausted"
_OUT_OF_BUDGET = "the budget was spent before all rows were asked and judged"


def summarise(
    plan: EvaluationPlan,
    candidate: int,
    answers: Mapping[Cell, AnswerRecord],
    table: ScoreTable,
    *,
    run_id: str | None,
    reused: int,
    only: Container[Cell] | None = None,
) -> CandidateResult:
    """Count up one candidate.

    Cells without an answer (not reached, out of budget) stay in the denominators; only in a comparison
    that was decided early are the cells nobody needed to ask left out (`only` names the others).
    """
    own = Own(answers, candidate)
    seen = _Seen()
    for record in own.values():
        seen.add(record)
    asked = plan.size // len(plan.candidates)
    if only is not None:
        asked = sum(cell.candidate == candidate and cell in only for cell in plan.cells())
    if missing := asked - seen.records:
        seen.failed["not_reached"] += missing
    return CandidateResult(
        spec=plan.candidates[candidate],
        run_id=run_id,
        rows=asked,
        answered=seen.answered,
        failed=dict(sorted(seen.failed.items())),
        not_whole=dict(sorted(seen.not_whole.items())),
        at_limit=seen.at_limit,
        scores={scorer: score_summary(table, candidate, scorer) for scorer in plan.scorers},
        latency=_latency(seen.seconds),
        prompt_tokens=seen.prompt_tokens if seen.answered else None,
        completion_tokens=seen.completion_tokens if seen.answered else None,
        tokens_estimated=seen.estimated,
        cost_usd=spent_in_all(own.values()),
        sent=seen.tried - reused,
        reused=reused,
        violations=counts(seen.violations),
        why_failed=seen.words.most_common(1)[0][0] if seen.words else None,
        tokens_per_second=seen.written / seen.writing if seen.writing else None,
    )


def _latency(seconds: array[float]) -> Latency:
    ordered: Any = np.sort(seconds)
    return Latency(
        sum(seconds) / len(seconds) if seconds else None,
        quantile_of_sorted(ordered, 0.5),
        quantile_of_sorted(ordered, 0.95),
        answers=len(seconds),
    )


@dataclass(slots=True)
class _Seen:
    """Counts a candidate's answers one by one, so that their texts are not held together."""

    records: int = 0
    answered: int = 0
    tried: int = 0
    at_limit: int = 0
    estimated: bool = False
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    """None as soon as one is unknown."""
    written: int = 0
    writing: float = 0.0
    """Tokens and seconds of the answers of which both are known, and during which nobody was judged there."""
    seconds: array[float] = field(default_factory=lambda: array("d"))
    failed: Counter[str] = field(default_factory=Counter)
    not_whole: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    violations: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, record: AnswerRecord) -> None:
        self.records += 1
        self.violations += record.violations
        self.tried += bool(record.tries)
        self.at_limit += record.ended_at_limit
        if record.took is not None:
            self.seconds.append(record.took)
        if not record.answered:
            self.failed[record.reason or record.state] += 1
            self.words.update(filter(None, [record.error]))
            return
        self.answered += 1
        if record.completion_tokens is not None and record.latency and not record.shared:
            self.written += record.completion_tokens
            self.writing += record.latency
        self.estimated = self.estimated or record.tokens_estimated
        self.not_whole.update(filter(None, [record.why_not_whole]))
        self.prompt_tokens = _plus(self.prompt_tokens, record.prompt_tokens)
        self.completion_tokens = _plus(self.completion_tokens, record.completion_tokens)


def _plus(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more


def score_summary(table: ScoreTable, candidate: int, scorer: str) -> ScoreSummary:
    """Return one scorer's figures over one candidate's answers."""
    return ScoreSummary(
        scorer=scorer,
        mean=table.mean(candidate, scorer),
        scored=table.scored(candidate, scorer),
        coverage=table.coverage(candidate, scorer),
        interval=table.interval(candidate, scorer),
        not_scored=table.not_scored(candidate, scorer),
        repeats=table.repeats(candidate, scorer),
    )


def build_result(
    plan: EvaluationPlan,
    answers: Mapping[Cell, AnswerRecord],
    scores: Scores,
    *,
    reused: Sequence[int],
    interrupted: bool = False,
    exams: Sequence[Exam] = (),
    in_vain: Sequence[Score] = (),
    given_up: Mapping[str, Sequence[AnswerRecord]] | None = None,
    system: Mapping[int, SystemUse] | None = None,
) -> EvaluationResult:
    """Count everything up.

    Args:
        plan: The evaluation.
        answers: By cell; cells without one were not reached.
        scores: Of those answers.
        reused: How many answers of each candidate came from earlier runs.
        interrupted: Whether it was stopped before its end.
        exams: What the examinations of its judges said.
        in_vain: Judgements paid for that brought no verdict, of every start of the evaluation.
        given_up: Calls paid for that brought no answer, by the answer's key; those whose answer came
            later are part of its cost.
        system: What candidates took of this machine, where that was measured.
    """
    main = main_scorer(plan.scorers)
    believed = main not in doubts_of(exams)
    sequential = sequential_of(plan, main, answers, scores, believed=believed)
    early = sequential is not None and sequential.verdict is not None
    only = answers if early else None
    table = table_of(plan, scores, only=only, exams=exams)
    unfinished = None if early else _unfinished(answers, scores, interrupted=interrupted)
    candidates = [
        replace(
            summarise(plan, index, answers, table, run_id=None, reused=reused[index], only=only),
            system=(system or {}).get(index),
        )
        for index in range(len(plan.candidates))
    ]
    if given_up:
        lost = _given_up(plan, answers, given_up)
        candidates = [
            replace(candidate, given_up=lost.get(index))
            for index, candidate in enumerate(candidates)
        ]
    labels = [candidate.label for candidate in plan.candidates]
    comparisons = compare(
        table,
        labels,
        margin=Margin(plan.margin, asked=plan.margin_asked),
        sequential=sequential,
        unfinished=unfinished,
    )
    boards = leaderboards(candidates, comparisons, table, whole=not early and unfinished is None)
    measures = compare_measures(plan, answers, unfinished=unfinished)
    return EvaluationResult(
        plan=plan,
        parent_run_id=None,
        candidates=candidates,
        comparisons=comparisons,
        judge_usage=judge_usage(scores, exams, in_vain),
        exams=exams,
        answers=answers,
        scores=scores,
        interrupted=interrupted,
        judging=_judging(table, scores, exams),
        leaderboard=boards,
        measures=measures,
        groups=groups_of(plan, table),
        recommendation=None
        if unfinished is not None or table.traits[main].figure is not None
        else recommend(
            candidates,
            table,
            main,
            margin=plan.margin,
            order=[entry.candidate for entry in boards[main]],
            answers=answers,
            comparisons=[*comparisons, *measures],
            sequential=sequential,
        ),
        sequential=sequential,
        unfinished=unfinished,
        _kept={"source": (plan, answers, scores, exams), "table": table},
    )


def _given_up(
    plan: EvaluationPlan,
    answers: Mapping[Cell, AnswerRecord],
    given_up: Mapping[str, Sequence[AnswerRecord]],
) -> dict[int, GivenUp]:
    found: dict[int, GivenUp] = {}
    # A question that stands in several rows is paid for once.
    left = dict(given_up)
    for cell in plan.cells():
        calls = left.pop(plan.answer_key(cell), ()) if cell not in answers else ()
        if calls:
            before = found.get(cell.candidate, GivenUp(0, Decimal(0)))
            costs = [before.cost_usd, *(call.spent for call in calls)]
            known = [cost for cost in costs if cost is not None]
            found[cell.candidate] = GivenUp(
                before.questions + 1,
                sum(known, Decimal(0)) if len(known) == len(costs) else None,
            )
    return found


def _unfinished(
    answers: Mapping[Cell, AnswerRecord], scores: Scores, *, interrupted: bool
) -> str | None:
    unjudged = any(
        score.not_scored == _SPENT for by_name in scores.values() for score in by_name.values()
    )
    if unjudged or any(answer.state == _SPENT for answer in answers.values()):
        return _OUT_OF_BUDGET
    return INTERRUPTED if interrupted else None


def _judging(table: ScoreTable, scores: Scores, exams: Sequence[Exam]) -> dict[str, JudgingQuality]:
    found = {}
    several: dict[str, list[Score]] = {}
    for by_name in scores.values():
        for name, score in by_name.items():
            if len(score.members) > 1:
                several.setdefault(name, []).append(score)
    for scorer, traits in table.traits.items():
        own = [exam for exam in exams if exam.scorer == scorer]
        quality = judging_quality(scorer, several.get(scorer, ()), comparing=traits.comparing)
        contradicts = _contradicts(table, scorer)
        caveat = caveat_of(scorer, exams) if traits.judged else None
        if quality is not None or own or contradicts is not None or caveat is not None:
            quality = quality or JudgingQuality(scorer=scorer)
            found[scorer] = replace(quality, exams=own, contradicts=contradicts, caveat=caveat)
    return found


def _contradicts(table: ScoreTable, scorer: str) -> Contradiction | None:
    """Return how often a judge calls wrong what is the expected answer to the letter."""
    traits = table.traits[scorer]
    if not (traits.judged and traits.says_right and _LETTER in table.traits):
        return None
    same, judged = table.both(_LETTER, scorer)
    right = judged[same == 1.0]
    return Contradiction(scorer=_LETTER, rows=int((right < 0.5).sum()), of=int(right.size))


def judge_usage(
    scores: Scores, exams: Iterable[Exam] = (), in_vain: Iterable[Score] = ()
) -> dict[str, Any]:
    """Return what judging took: calls sent and reused, tokens, USD (None where unknown).

    Args:
        scores: With the verdicts they were made from.
        exams: Of the judges; their verdicts are paid for like others.
        in_vain: Every judgement that was paid for and brought no verdict, those that a later one took
            the place of included; one that stands among the scores counts once.
    """
    replaced = Counter(in_vain)
    standing = (
        verdict
        for by_name in scores.values()
        for score in by_name.values()
        for verdict in score.members or (score,)
    )
    examined = (verdict.score for exam in exams for verdict in exam.verdicts)
    sent = reused = prompt = completion = 0
    cost: Decimal | None = Decimal(0)
    for verdict in itertools.chain(standing, examined, _left(replaced)):
        if verdict.judge is None:
            continue
        if replaced and verdict in replaced:
            replaced[verdict] -= 1
        if verdict.reused or verdict.shared:
            reused += 1
            continue
        sent += 1
        if verdict.prompt_tokens is not None:
            prompt += verdict.prompt_tokens
            completion += verdict.completion_tokens or 0
        if cost is not None:
            cost = None if verdict.cost_usd is None else cost + Decimal(verdict.cost_usd)
    return {
        "calls": {"sent": sent, "reused": reused},
        "tokens": {"prompt": prompt, "completion": completion},
        "cost_usd": None if cost is None else float(cost),
    }


def _left(counts: Counter[Score]) -> Iterator[Score]:
    """Yield what is left of counts when it is come to."""
    yield from list(counts.elements())
