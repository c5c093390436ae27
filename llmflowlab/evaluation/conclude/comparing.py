"""Compares every two candidates, and ranks them by what could be shown."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.deciding import Sequential
from llmflowlab.evaluation.conclude.results import ALPHA, CandidateResult, Comparison, Rank
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.statistics import (
    PairedTest,
    corpus_test,
    holm,
    letters,
    paired_test,
    ranks,
)
from llmflowlab.statistics.corpus import CorpusFigure, added
from llmflowlab.statistics.planning import visible_degrees, visible_yes_no

__all__ = ["MEASURES", "compare", "compare_measures", "leaderboards", "paired_scores"]

MEASURES: dict[str, Callable[[AnswerRecord], float | None]] = {
    "latency": lambda answer: answer.latency,
    "completion_tokens": lambda answer: answer.completion_tokens,
    "total_tokens": lambda answer: (
        None
        if answer.prompt_tokens is None or answer.completion_tokens is None
        else answer.prompt_tokens + answer.completion_tokens
    ),
    "cost_usd": lambda answer: None if answer.cost is None else float(answer.cost),
}
"""What an answer takes: seconds, tokens, USD; less is better."""


def compare(
    plan: EvaluationPlan,
    scores: Scores,
    *,
    binary: Mapping[str, bool],
    corpus: Mapping[str, CorpusFigure],
    sequential: Sequential | None = None,
) -> list[Comparison]:
    """Compare every two candidates on every scorer, with Holm's correction over all of it.

    Where the comparison may end early, its own verdict stands for the scorer that decides.
    """
    found: list[tuple[int, int, str, PairedTest | None]] = []
    for first, second in itertools.combinations(range(len(plan.candidates)), 2):
        for scorer in plan.scorers:
            if scorer in corpus:
                one, two = _paired_parts(plan, scores, scorer, first, second)
                found.append((first, second, scorer, corpus_test(one, two, corpus[scorer])))
                continue
            pairs = paired_scores(plan, scores, scorer, first, second)
            repeated = plan.trials > 1
            test = paired_test(
                [a for a, _ in pairs],
                [b for _, b in pairs],
                binary=binary[scorer] and not (repeated and _degrees(pairs)),
            )
            found.append((first, second, scorer, test))
    compared = [
        replace(c, smallest_visible=None if c.scorer in corpus else _visible(c, binary))
        for c in _corrected(plan, found, lower_is_better=False)
    ]
    if sequential is None:
        return compared
    return [
        replace(c, sequential=sequential) if c.scorer == sequential.scorer else c for c in compared
    ]


def _visible(comparison: Comparison, binary: Mapping[str, bool]) -> float | None:
    """Return the smallest true difference these rows show, at the level left by all comparisons."""
    test = comparison.test
    if test is None:
        return None
    if not binary[comparison.scorer] or test.discordance is None:
        return visible_degrees(test.n, test.deviation, alpha=comparison.level)
    return visible_yes_no(test.n, test.discordance, alpha=comparison.level)


def compare_measures(
    plan: EvaluationPlan, answers: Mapping[Cell, AnswerRecord]
) -> list[Comparison]:
    """Compare what the candidates' answers took, on the rows that both answered.

    A family of its own for Holm's correction: it answers another question than the scores do.
    """
    found: list[tuple[int, int, str, PairedTest | None]] = []
    for first, second in itertools.combinations(range(len(plan.candidates)), 2):
        for name, measure in MEASURES.items():
            values = {
                cell: value
                for cell, answer in answers.items()
                if cell.candidate in (first, second)
                and answer.answered
                and (value := measure(answer)) is not None
            }
            pairs = _pairs(plan, values, first, second)
            test = paired_test(
                [a for a, _ in pairs], [b for _, b in pairs], binary=False, bounded=False
            )
            found.append((first, second, name, test))
    return _corrected(plan, found, lower_is_better=True)


def _corrected(
    plan: EvaluationPlan,
    found: Sequence[tuple[int, int, str, PairedTest | None]],
    *,
    lower_is_better: bool,
) -> list[Comparison]:
    tested = [test.p_value for *_, test in found if test is not None]
    adjusted = iter(holm(tested))
    return [
        Comparison(
            a=plan.candidates[first].label,
            b=plan.candidates[second].label,
            scorer=name,
            test=test,
            p_adjusted=None if test is None else next(adjusted),
            lower_is_better=lower_is_better,
            pair=(first, second),
            level=ALPHA / len(found),
        )
        for first, second, name, test in found
    ]


def leaderboards(
    candidates: Sequence[CandidateResult], comparisons: Sequence[Comparison]
) -> dict[str, list[Rank]]:
    """Return for each scorer the candidates in tiers, best first.

    Those without a single score have no rank and stand nowhere.
    """
    boards: dict[str, list[Rank]] = {}
    for scorer in candidates[0].scores if candidates else ():
        means = {index: candidate.scores[scorer].mean for index, candidate in enumerate(candidates)}
        order = sorted(
            (index for index, mean in means.items() if mean is not None),
            key=lambda index: (-(means[index] or 0.0), index),
        )
        better = [
            comparison.pair if comparison.verdict == "a_better" else comparison.pair[::-1]
            for comparison in comparisons
            if comparison.scorer == scorer and comparison.verdict in {"a_better", "b_better"}
        ]
        standing = ranks(len(candidates), better)
        alike = letters(order, better)
        board = [
            Rank(
                candidate=index,
                rank=standing[index],
                group=alike[index],
                mean=means[index],
                interval=candidates[index].scores[scorer].interval,
            )
            for index in order
        ]
        boards[scorer] = sorted(board, key=lambda entry: entry.rank)
    return boards


def paired_scores(
    plan: EvaluationPlan, scores: Scores, scorer: str, first: int, second: int
) -> list[tuple[float, float]]:
    """Return both candidates' scores of the questions that both have one for, trials averaged."""
    values = {
        cell: score.value
        for cell, by_name in scores.items()
        if cell.candidate in (first, second)
        and (score := by_name.get(scorer)) is not None
        and score.value is not None
    }
    return _pairs(plan, values, first, second)


def _pairs(
    plan: EvaluationPlan, values: Mapping[Cell, float], first: int, second: int
) -> list[tuple[float, float]]:
    pairs = []
    for row in plan.dataset.rows:
        both = []
        for trial in range(plan.trials):
            a = values.get(Cell(first, row.index, trial))
            b = values.get(Cell(second, row.index, trial))
            if a is not None and b is not None:
                both.append((a, b))
        if both:
            # One pair a question: repetitions of it are not independent.
            pairs.append((sum(a for a, _ in both) / len(both), sum(b for _, b in both) / len(both)))
    return pairs


def _degrees(pairs: Sequence[tuple[float, float]]) -> bool:
    return any(value not in (0.0, 1.0) for pair in pairs for value in pair)


def _paired_parts(
    plan: EvaluationPlan, scores: Scores, scorer: str, first: int, second: int
) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Return both candidates' statistics, added up over the trials of each question."""
    one: list[tuple[float, ...]] = []
    two: list[tuple[float, ...]] = []
    for row in plan.dataset.rows:
        both = []
        for trial in range(plan.trials):
            a = scores.get(Cell(first, row.index, trial), {}).get(scorer)
            b = scores.get(Cell(second, row.index, trial), {}).get(scorer)
            if a is not None and b is not None and a.parts and b.parts:
                both.append((a.parts, b.parts))
        if both:
            one.append(added(a for a, _ in both))
            two.append(added(b for _, b in both))
    return one, two
