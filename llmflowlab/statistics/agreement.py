"""How far two who judge the same answers say the same: correlations, kappas, Krippendorff's alpha."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from llmflowlab.statistics.intervals import Interval

__all__ = ["Agreement", "agreement", "krippendorff_alpha", "weighted_kappa"]

_SEED = 20_240_607
_RESAMPLES = 2_000
_FEWEST = 10
"""Questions below which resampling says nothing of the spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two scorers over the answers that both scored."""

    kind: Literal["phi", "spearman"]
    """Which coefficient `value` is: phi where both say yes or no, else Spearman's rho."""
    value: float | None
    """From -1 to 1; None where one of the scorers says the same of every answer."""
    kappa: float | None
    """Cohen's kappa (1960); None for grades, or where chance alone agrees always."""
    n: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "value": self.value, "kappa": self.kappa, "n": self.n}


def agreement(first: Sequence[float], second: Sequence[float], *, binary: bool) -> Agreement:
    """Compare two scorers, value by value.

    Phi is Pearson's correlation of two yes/no scores and Spearman's rho that of the ranks, ties
    sharing their mean rank. Answers of one row by several candidates all count, so `n` may be more
    than there are questions and no interval is given.

    Args:
        first: Scores of one, 0 to 1.
        second: Those of the other, of the same answers.
        binary: Whether both say yes or no.
    """
    if binary:
        return Agreement(
            kind="phi",
            value=_correlation(first, second),
            kappa=_kappa(first, second),
            n=len(first),
        )
    return Agreement(
        kind="spearman",
        value=_correlation(_ranks(first), _ranks(second)),
        kappa=None,
        n=len(first),
    )


def _correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    if len(x) < 2:
        return None
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    dx, dy = [v - mean_x for v in x], [v - mean_y for v in y]
    spread = math.sqrt(math.fsum(v * v for v in dx) * math.fsum(v * v for v in dy))
    if spread < 1e-12:
        return None
    product = math.fsum(a * b for a, b in zip(dx, dy, strict=True)) / spread
    return max(-1.0, min(1.0, product))


def _kappa(x: Sequence[float], y: Sequence[float]) -> float | None:
    n = len(x)
    if n < 2:
        return None
    same = sum(a == b for a, b in zip(x, y, strict=True)) / n
    yes_x, yes_y = sum(x) / n, sum(y) / n
    chance = yes_x * yes_y + (1 - yes_x) * (1 - yes_y)
    return None if chance > 1 - 1e-12 else (same - chance) / (1 - chance)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2 + 1
        start = end + 1
    return ranks


def weighted_kappa(
    pairs: Sequence[tuple[int, float, float]],
) -> tuple[float | None, Interval | None]:
    """Return Cohen's kappa with squared weights (Cohen 1968) and its percentile bootstrap interval.

    κ = 1 − mean (a − b)² / mean over all a, b of (a − b)²; for yes and no the unweighted kappa (Cohen
    1960). The denominator is var a + var b + (mean a − mean b)². None where both always say one and the
    same; no interval for fewer than ten questions.

    Args:
        pairs: Question, and what either said of an answer to it.
    """
    if not pairs:
        return None, None
    rows = {row: place for place, row in enumerate(dict.fromkeys(row for row, _, _ in pairs))}
    sums = np.zeros((len(rows), 6))
    for row, a, b in pairs:
        # Answers to one question are not independent, so questions are what is drawn.
        sums[rows[row]] += (1.0, a, b, a * a, b * b, (a - b) ** 2)

    def kappas(totals: np.ndarray) -> np.ndarray:
        n, a, b, aa, bb, dd = totals.T
        expected = aa / n + bb / n - 2 * (a / n) * (b / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(expected > 1e-12, 1 - (dd / n) / expected, np.nan)

    kappa = float(kappas(sums.sum(axis=0, keepdims=True))[0])
    if np.isnan(kappa):
        return None, None
    if len(rows) < _FEWEST:
        return kappa, None
    generator = np.random.default_rng(_SEED)
    weights = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), _RESAMPLES)
    drawn = kappas(weights @ sums)
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return kappa, Interval(float(low), float(high))


def krippendorff_alpha(units: Sequence[Sequence[float]]) -> float | None:
    """Return Krippendorff's alpha with the interval metric, (a − b)² (Krippendorff 2011).

    α = 1 − D_o / D_e over units with at least two values; for two-valued verdicts it equals the nominal
    alpha. None where there is nothing to agree or disagree on: no such unit, or one value only.

    Args:
        units: For each answer the values its judges gave; their number may differ.
    """
    paired = [values for values in units if len(values) > 1]
    n = sum(len(values) for values in paired)
    counts = Counter(value for values in paired for value in values)
    if n < 2 or len(counts) < 2:
        return None
    observed = sum(_squares(Counter(values)) / (len(values) - 1) for values in paired) / n
    expected = _squares(counts) / (n * (n - 1))
    return 1.0 - observed / expected


def _squares(counts: Mapping[float, int]) -> float:
    """Return the sum of (a − b)² over all ordered pairs of values."""
    return sum(m * k * (a - b) ** 2 for a, m in counts.items() for b, k in counts.items() if a != b)
