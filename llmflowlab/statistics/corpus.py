"""Figures of a whole corpus, such as BLEU: a function of sums over rows, not a mean of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.paired import PairedTest

__all__ = [
    "CorpusDraws",
    "CorpusFigure",
    "corpus_draws",
    "corpus_interval",
    "corpus_test",
    "corpus_value",
]

CorpusFigure: TypeAlias = Callable[[Sequence[float]], float]
"""The figure, 0 to 1, of the sums of rows' statistics."""

_SEED = 20_240_607
_RESAMPLES = 1_999
"""Fewer than for means: each resample calls the figure."""


def corpus_value(parts: Sequence[Sequence[float]], figure: CorpusFigure) -> float | None:
    """Return the figure over rows; None without rows.

    Args:
        parts: For each row its statistics, all of the same length.
        figure: What to make of their sums.
    """
    if not len(parts):
        return None
    return figure([float(total) for total in np.asarray(parts, dtype=float).sum(axis=0)])


def corpus_interval(
    parts: Sequence[Sequence[float]], figure: CorpusFigure, *, confidence: float = 0.95
) -> Interval | None:
    """Return the percentile bootstrap interval of the figure, over rows (Koehn 2004, W04-3250)."""
    if not len(parts):
        return None
    # In an order of their own, so that whoever reads the rows in another order finds the same.
    rows = np.asarray(sorted(map(tuple, parts)), dtype=float)
    generator = np.random.default_rng(_SEED)
    values = [
        figure([float(total) for total in sums])
        for sums in _resampled_sums(rows, generator, _RESAMPLES)
    ]
    tail = (1 - confidence) / 2
    return Interval(float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusDraws:
    """What was drawn to compare two candidates by a corpus figure."""

    n: int
    """Rows."""
    clusters: int | None
    """What was drawn, where that is not rows."""
    difference: float
    p_value: float
    resampled: np.ndarray
    """Differences of the paired bootstrap."""

    def test(self, *, confidence: float = 0.95) -> PairedTest:
        """Return the comparison with its interval at a confidence."""
        tail = (1 - confidence) / 2
        low, high = (float(np.quantile(self.resampled, q)) for q in (tail, 1 - tail))
        return PairedTest(
            n=self.n,
            difference=self.difference,
            interval=Interval(low, high),
            p_value=self.p_value,
            # As if it were a mean: the standard error is what the bootstrap found.
            deviation=float(np.std(self.resampled, ddof=1)) * float(np.sqrt(self.n)),
            clusters=self.clusters,
        )


def corpus_test(
    a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], figure: CorpusFigure
) -> PairedTest | None:
    """Compare two candidates by a corpus figure, at 95 %; see `corpus_draws`."""
    drawn = corpus_draws(a, b, figure)
    return None if drawn is None else drawn.test()


def corpus_draws(
    a: Sequence[Sequence[float]],
    b: Sequence[Sequence[float]],
    figure: CorpusFigure,
    *,
    rows: int | None = None,
) -> CorpusDraws | None:
    """Compare two candidates by a corpus figure on the rows that both have; None without any.

    p by approximate randomisation: each row's two statistics change sides or not, by a coin, and
    p = (1 + differences at least as large) / (1 + shuffles) (Riezler & Maxwell 2005, W05-0908).
    The interval is the paired percentile bootstrap's.

    Args:
        a: For each row the statistics of one candidate; or the sums over each cluster of rows.
        b: The other's.
        figure: What to make of their sums.
        rows: How many the clusters hold; None: each is a row.
    """
    if not len(a):
        return None
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    n = len(first)
    generator = np.random.default_rng(_SEED)

    def difference(one: np.ndarray, two: np.ndarray) -> float:
        return figure([float(v) for v in two]) - figure([float(v) for v in one])

    observed = difference(first.sum(axis=0), second.sum(axis=0))
    beyond = 0
    for _ in range(_RESAMPLES):
        swap = generator.integers(0, 2, size=n).astype(bool)[:, None]
        shuffled = difference(
            np.where(swap, second, first).sum(axis=0), np.where(swap, first, second).sum(axis=0)
        )
        beyond += abs(shuffled) >= abs(observed) - 1e-12
    both = np.concatenate([first, second], axis=1)
    width = first.shape[1]
    values = [
        difference(sums[:width], sums[width:])
        for sums in _resampled_sums(both, generator, _RESAMPLES)
    ]
    return CorpusDraws(
        n=n if rows is None else rows,
        clusters=None if rows is None else n,
        difference=observed,
        p_value=(1 + beyond) / (1 + _RESAMPLES),
        resampled=np.asarray(values),
    )


def _resampled_sums(rows: np.ndarray, generator: np.random.Generator, resamples: int) -> np.ndarray:
    n = len(rows)
    sums = np.empty((resamples, rows.shape[1]))
    step = max(1, 2_000_000 // n)
    chances = np.full(n, 1 / n)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        sums[start:stop] = generator.multinomial(n, chances, size=stop - start) @ rows
    return sums
