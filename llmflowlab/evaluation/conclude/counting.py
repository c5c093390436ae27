"""Counts an evaluation up: from answers and scores to the figures of each candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.comparing import compare, compare_measures
from llmflowlab.evaluation.conclude.costs import spent_in_all
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
from llmflowlab.statistics.quantiles import quantile
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
    cells = [
        cell
        for cell in plan.cells()
        if cell.candidate == candidate and (only is None or cell in only)
    ]
    records = [answers[cell] for cell in cells if cell in answers]
    complete = [record for record in records if record.answered]
    failed = Counter(record.reason or record.state for record in records if not record.answered)
    if missing := len(cells) - len(records):
        failed["not_reached"] = missing
    words = Counter(record.error for record in records if record.error and not record.answered)
    seconds = [record.took for record in records if record.took is not None]
    prompts = [r.prompt_tokens for r in complete if r.prompt_tokens is not None]
    completions = [r.completion_tokens for r in complete if r.completion_tokens is not None]
    return CandidateResult(
        spec=plan.candidates[candidate],
        run_id=run_id,
        rows=len(cells),
        answered=len(complete),
        failed=dict(sorted(failed.items())),
        not_whole=dict(sorted(Counter(filter(None, (r.why_not_whole for r in records))).items())),
        at_limit=sum(record.ended_at_limit for record in records),
        scores={scorer: score_summary(table, candidate, scorer) for scorer in plan.scorers},
        latency=Latency(
            sum(seconds) / len(seconds) if seconds else None,
            quantile(seconds, 0.5),
            quantile(seconds, 0.95),
            answers=len(seconds),
        ),
        prompt_tokens=sum(prompts) if complete and len(prompts) == len(complete) else None,
        completion_tokens=(
            sum(completions) if complete and len(completions) == len(complete) else None
        ),
        tokens_estimated=any(record.tokens_estimated for record in complete),
        cost_usd=spent_in_all(records),
        sent=sum(1 for record in records if record.tries) - reused,
        reused=reused,
        violations=counts(found for record in records for found in record.violations),
        why_failed=words.most_common(1)[0][0] if words else None,
    )


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
    """
    main = main_scorer(plan.scorers)
    believed = main not in doubts_of(exams)
    sequential = sequential_of(plan, main, answers, scores, believed=believed)
    early = sequential is not None and sequential.verdict is not None
    only = answers if early else None
    table = table_of(plan, scores, only=only, exams=exams)
    unfinished = None if early else _unfinished(answers, scores, interrupted=interrupted)
    candidates = [
        summarise(plan, index, answers, table, run_id=None, reused=reused[index], only=only)
        for index in range(len(plan.candidates))
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
    for scorer, traits in table.traits.items():
        given = [by_name[scorer] for by_name in scores.values() if scorer in by_name]
        own = [exam for exam in exams if exam.scorer == scorer]
        quality = judging_quality(scorer, given, comparing=traits.comparing)
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
    asked = [
        verdict
        for by_name in scores.values()
        for score in by_name.values()
        for verdict in score.members or (score,)
        if verdict.judge is not None
    ]
    examined = [verdict.score for exam in exams for verdict in exam.verdicts]
    asked += [score for score in examined if score.judge is not None]
    replaced = Counter(in_vain) - Counter(asked)
    asked += replaced.elements()
    sent = [score for score in asked if not score.reused and not score.shared]
    counted = [score for score in sent if score.prompt_tokens is not None]
    costs = [Decimal(score.cost_usd) for score in sent if score.cost_usd is not None]
    return {
        "calls": {"sent": len(sent), "reused": len(asked) - len(sent)},
        "tokens": {
            "prompt": sum(score.prompt_tokens or 0 for score in counted),
            "completion": sum(score.completion_tokens or 0 for score in counted),
        },
        "cost_usd": float(sum(costs, Decimal(0))) if len(costs) == len(sent) else None,
    }
