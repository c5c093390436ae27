"""Counts an evaluation up: from answers and scores to the figures of each candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from decimal import Decimal
from typing import Any

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.comparing import compare, compare_measures, leaderboards
from llmflowlab.evaluation.conclude.deciding import sequential_of
from llmflowlab.evaluation.conclude.groups import groups_of
from llmflowlab.evaluation.conclude.recommendation import recommend
from llmflowlab.evaluation.conclude.results import (
    CandidateResult,
    EvaluationResult,
    Latency,
    ScoreSummary,
)
from llmflowlab.evaluation.judging import PREFERENCE
from llmflowlab.evaluation.judging.agreement import JudgingQuality, judging_quality
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, main_scorer
from llmflowlab.statistics import corpus_interval, corpus_value, repeats
from llmflowlab.statistics.corpus import CorpusFigure, added
from llmflowlab.statistics.intervals import Interval, mean_interval, quantile

__all__ = ["build_result", "interval_over_questions", "judge_usage", "summarise"]


def summarise(
    plan: EvaluationPlan,
    candidate: int,
    answers: Mapping[Cell, AnswerRecord],
    scores: Scores,
    *,
    run_id: str | None,
    reused: int,
    binary: Mapping[str, bool],
    corpus: Mapping[str, CorpusFigure],
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
    seconds = [record.latency for record in complete if record.latency is not None]
    costs = [record.cost for record in complete]
    priced = [cost for cost in costs if cost is not None]
    prompts = [r.prompt_tokens for r in complete if r.prompt_tokens is not None]
    completions = [r.completion_tokens for r in complete if r.completion_tokens is not None]
    return CandidateResult(
        spec=plan.candidates[candidate],
        run_id=run_id,
        rows=len(cells),
        answered=len(complete),
        failed=dict(sorted(failed.items())),
        scores={
            scorer: _summary(
                scorer, cells, scores, binary=binary[scorer], figure=corpus.get(scorer)
            )
            for scorer in plan.scorers
        },
        latency=Latency(
            sum(seconds) / len(seconds) if seconds else None,
            quantile(seconds, 0.5),
            quantile(seconds, 0.95),
        ),
        prompt_tokens=sum(prompts) if complete and len(prompts) == len(complete) else None,
        completion_tokens=(
            sum(completions) if complete and len(completions) == len(complete) else None
        ),
        tokens_estimated=any(record.tokens_estimated for record in complete),
        cost_usd=sum(priced, Decimal(0)) if complete and len(priced) == len(costs) else None,
        sent=sum(1 for record in records if record.tries) - reused,
        reused=reused,
    )


def _summary(
    scorer: str,
    cells: Sequence[Cell],
    scores: Scores,
    *,
    binary: bool,
    figure: CorpusFigure | None,
) -> ScoreSummary:
    values: list[float] = []
    parts: dict[int, list[tuple[float, ...]]] = {}
    by_row: dict[int, list[float]] = {}
    reasons: Counter[str] = Counter()
    for cell in cells:
        score = scores.get(cell, {}).get(scorer)
        if score is None:
            reasons["not_reached"] += 1
        elif score.value is None:
            reasons[score.not_scored or "scorer_failed"] += 1
        else:
            values.append(score.value)
            parts.setdefault(cell.row, []).append(score.parts or ())
            by_row.setdefault(cell.row, []).append(score.value)
    if figure is None:
        mean = sum(values) / len(values) if values else None
        interval = interval_over_questions(by_row, binary=binary)
    else:
        sums = [added(trials) for trials in parts.values()]
        mean, interval = corpus_value(sums, figure), corpus_interval(sums, figure)
    return ScoreSummary(
        scorer=scorer,
        mean=mean,
        scored=len(values),
        coverage=len(values) / len(cells) if cells else 0.0,
        interval=interval,
        not_scored=dict(sorted(reasons.items())),
        repeats=repeats(list(by_row.values()), binary=binary),
    )


def build_result(
    plan: EvaluationPlan,
    answers: Mapping[Cell, AnswerRecord],
    scores: Scores,
    *,
    reused: Sequence[int],
    binary: Mapping[str, bool],
    corpus: Mapping[str, CorpusFigure] | None = None,
    interrupted: bool = False,
) -> EvaluationResult:
    """Count everything up.

    Args:
        plan: The evaluation.
        answers: By cell; cells without one were not reached.
        scores: Of those answers.
        reused: How many answers of each candidate came from earlier runs.
        binary: Which scorers say yes or no.
        corpus: The figures of scorers whose value over rows is not the mean of theirs.
        interrupted: Whether it was stopped before its end.
    """
    figures = corpus or {}
    main = main_scorer(plan.scorers)
    sequential = sequential_of(plan, main, answers, scores)
    early = sequential is not None and sequential.verdict is not None
    candidates = [
        summarise(
            plan,
            index,
            answers,
            scores,
            run_id=None,
            reused=reused[index],
            binary=binary,
            corpus=figures,
            only=answers if early else None,
        )
        for index in range(len(plan.candidates))
    ]
    comparisons = compare(plan, scores, binary=binary, corpus=figures, sequential=sequential)
    measures = compare_measures(plan, answers)
    return EvaluationResult(
        plan=plan,
        parent_run_id=None,
        candidates=candidates,
        comparisons=comparisons,
        judge_usage=judge_usage(scores),
        answers=answers,
        scores=scores,
        interrupted=interrupted,
        judging=_judging(plan, scores),
        leaderboard=leaderboards(candidates, comparisons),
        measures=measures,
        groups=groups_of(plan, scores, binary=binary, corpus=figures),
        recommendation=None
        if main in figures
        else recommend(
            plan,
            candidates,
            scores,
            main,
            binary=binary,
            margin=plan.margin,
            answers=answers,
            comparisons=[*comparisons, *measures],
            sequential=sequential,
        ),
        sequential=sequential,
    )


def _judging(plan: EvaluationPlan, scores: Scores) -> dict[str, JudgingQuality]:
    found = {}
    for scorer in plan.scorers:
        given = [by_name[scorer] for by_name in scores.values() if scorer in by_name]
        comparing = plan.spec(scorer).kind == PREFERENCE
        quality = judging_quality(scorer, given, comparing=comparing)
        if quality is not None:
            found[scorer] = quality
    return found


def judge_usage(scores: Scores) -> dict[str, Any]:
    """Return what judging took: calls sent and reused, tokens, USD (None where unknown)."""
    asked = [
        verdict
        for by_name in scores.values()
        for score in by_name.values()
        for verdict in score.members or (score,)
        if verdict.judge is not None
    ]
    sent = [score for score in asked if not score.reused and not score.shared]
    counted = [score for score in sent if score.prompt_tokens is not None]
    costs = [Decimal(score.cost_usd) for score in counted if score.cost_usd is not None]
    return {
        "calls": {"sent": len(sent), "reused": len(asked) - len(sent)},
        "tokens": {
            "prompt": sum(score.prompt_tokens or 0 for score in counted),
            "completion": sum(score.completion_tokens or 0 for score in counted),
        },
        "cost_usd": float(sum(costs, Decimal(0))) if len(costs) == len(counted) else None,
    }


def interval_over_questions(
    by_row: Mapping[Any, Sequence[float]], *, binary: bool
) -> Interval | None:
    """Return the interval over questions.

    Repetitions of one question are not new questions, so each counts once, with its mean.
    """
    repeated = any(len(values) > 1 for values in by_row.values())
    means = [sum(values) / len(values) for values in by_row.values()]
    return mean_interval(means, binary=binary and not repeated)
