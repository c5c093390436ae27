"""Ranks candidates by what could be shown, with the probability that each is the best beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmflowlab.evaluation.conclude.pairs import Column
from llmflowlab.evaluation.conclude.results import CandidateResult
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.conclude.verdicts import Comparison, Rank
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.best import probability_best
from llmflowlab.statistics.tiers import letters, ranks

__all__ = ["BEST_ASSUMES", "chance", "leaderboards", "probabilities_best"]

BEST_ASSUMES = (
    "best: the probability of having the best mean, if the questions to come are like these and "
    "nothing else is known; what is missing counts against each. It decides nothing."
)
"""What must stand wherever the figure is shown."""


def chance(probability: float | None) -> str | None:
    """Write a probability of being the best; never as certain as 0 or 100 %."""
    if probability is None:
        return None
    if probability > 0.99:
        return ">99%"
    return "<1%" if probability < 0.01 else f"{probability:.0%}"


def leaderboards(
    candidates: Sequence[CandidateResult],
    comparisons: Sequence[Comparison],
    table: ScoreTable,
    *,
    whole: bool,
) -> dict[str, list[Rank]]:
    """Return for each scorer the candidates in tiers, best first.

    Those without a single score have no rank and stand nowhere.

    Args:
        candidates: Their figures.
        comparisons: What could be shown.
        table: Of the scores.
        whole: Whether all that was planned was asked; else nobody is given a probability.
    """
    boards: dict[str, list[Rank]] = {}
    for scorer in candidates[0].scores if candidates else ():
        means = {index: candidate.scores[scorer].mean for index, candidate in enumerate(candidates)}
        sign = -1.0 if table.traits[scorer].higher_is_better else 1.0
        order = sorted(
            (index for index, mean in means.items() if mean is not None),
            key=lambda index: (sign * (means[index] or 0.0), index),
        )
        better = [
            comparison.pair if comparison.verdict == "a_better" else comparison.pair[::-1]
            for comparison in comparisons
            if comparison.scorer == scorer and comparison.verdict in {"a_better", "b_better"}
        ]
        standing = ranks(len(candidates), better)
        alike = letters(order, better)
        names = [candidate.spec.digest for candidate in candidates]
        likely = probabilities_best(table, scorer, names) if whole else {}
        board = [
            Rank(
                candidate=index,
                rank=standing[index],
                group=alike[index],
                mean=means[index],
                interval=candidates[index].scores[scorer].interval,
                probability_best=likely.get(index),
            )
            for index in order
        ]
        boards[scorer] = sorted(board, key=lambda entry: entry.rank)
    return boards


def probabilities_best(table: ScoreTable, scorer: str, names: Sequence[str]) -> dict[int, float]:
    """Return the probability of having the best mean, by the candidates' places.

    Of those whose coverage allows a verdict; nothing for fewer than two, for a judge that is not
    believed and for corpus figures. Where answers are missing, a candidate's own count at the bad end
    of the scale and the others' at the good one, so that the probabilities are lower bounds and add
    up to less than 1.

    Args:
        table: Of the scores.
        scorer: By whose values.
        names: What tells the candidates apart, wherever they stand.
    """
    traits = table.traits[scorer]
    who = [
        index
        for index in range(table.candidates)
        if (table.covered(index, scorer) or 0.0) >= COVERAGE_FLOOR
    ]
    if len(who) < 2 or scorer in table.doubts or traits.figure is not None or traits.scale is None:
        return {}
    columns = {index: table.column(index, scorer) for index in who}
    meant = np.all([(c.gaps == 0) | (c.scored > 0) for c in columns.values()], axis=0)
    if not any(column.missing[meant].any() for column in columns.values()):
        found = _contest(columns, names, meant, against=None)
        return {index: found[names[index]] for index in who}
    return {index: _contest(columns, names, meant, against=index)[names[index]] for index in who}


def _contest(
    columns: dict[int, Column], names: Sequence[str], meant: np.ndarray, *, against: int | None
) -> dict[str, float]:
    """Return everybody's probability, what is missing counted against one of them."""
    traits = next(iter(columns.values())).traits
    low, high = traits.scale or (0.0, 1.0)
    bad, good = (low, high) if traits.higher_is_better else (high, low)
    values = np.array(
        [
            column.by_question(bad if index == against else good, meant)
            for index, column in columns.items()
        ]
    )
    known = ~np.isnan(values).any(axis=0)
    clusters = next(iter(columns.values())).clusters_of(known)
    values = values[:, known]
    if not traits.higher_is_better:
        values = low + high - values
    return probability_best(
        {names[index]: row for index, row in zip(columns, values, strict=True)}, clusters=clusters
    )
