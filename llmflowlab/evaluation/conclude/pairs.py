"""Two columns of scores side by side, question by question, with what is missing on either side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from llmflowlab.evaluation.scorers.traits import ScorerTraits

__all__ = ["Column", "Pairs", "pair"]

_DECIMALS = 12
"""Of a mean over several answers; what lies beyond is the noise of sums, which must not break a tie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One candidate's scores by one scorer, row by row, the trials of a row added up."""

    traits: ScorerTraits
    exact: bool
    """Whether the tests of yes and no apply."""
    questions: np.ndarray
    """For each row the number of the question it asks."""
    sums: np.ndarray
    scored: np.ndarray
    """Answers with a value."""
    missing: np.ndarray
    """Answers that could have been scored and were not."""
    gaps: np.ndarray
    """Answers that the benchmark gives nothing to score by."""
    clusters: np.ndarray | None = None
    """For each row the number of its cluster; None: each question is one of its own."""
    doubt: str | None = None
    """Why nothing may be concluded from the scores; None where something may."""

    def take(self, rows: Any, like: Column | None = None) -> Column:
        """Return some rows, in the order given.

        Args:
            rows: Their places.
            like: Whose questions and clusters they are from then on; None: their own.
        """
        places = np.asarray(rows, dtype=np.int64)
        clusters = None if self.clusters is None else self.clusters[places]
        return Column(
            traits=self.traits,
            exact=self.exact,
            questions=self.questions[places] if like is None else like.questions,
            clusters=clusters if like is None else like.clusters,
            sums=self.sums[places],
            scored=self.scored[places],
            missing=self.missing[places],
            gaps=self.gaps[places],
            doubt=self.doubt,
        )

    def means(self, fill: float | None = None) -> np.ndarray:
        """Return the mean of each question that has a value, or is filled with one."""
        return self.units(fill)[0]

    def units(self, fill: float | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the means of questions as `means` does, and the cluster of each."""
        sums, counts = self._totals(fill)
        return _means(sums, counts)[counts > 0], self.clusters_of(counts > 0)

    def clusters_of(self, questions: np.ndarray) -> np.ndarray | None:
        """Return the clusters of the questions that a mask over all of them names."""
        if self.clusters is None:
            return None
        first = np.unique(self.questions, return_index=True)[1]
        return np.asarray(self.clusters[first][questions])

    def row_means(self) -> np.ndarray:
        """Return each row's mean over its trials; NaN where none has a value."""
        return _means(self.sums, self.scored)

    def _totals(
        self, fill: float | None, where: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each question's sum and how many answers it is of, over some of the rows or all."""
        sums, counts = self.sums, self.scored
        if fill is not None:
            sums, counts = sums + fill * self.missing, counts + self.missing
        if where is not None:
            sums, counts = np.where(where, sums, 0.0), np.where(where, counts, 0)
        if np.array_equal(self.questions, np.arange(len(self.questions))):
            # Each row asks a question of its own: nothing is added up.
            return sums, counts
        place = np.unique(self.questions, return_inverse=True)[1]
        return np.bincount(place, weights=sums), np.bincount(place, weights=counts)

    def by_question(self, fill: float | None, where: np.ndarray | None = None) -> np.ndarray:
        """Return the mean of every question over some of the rows or all; NaN where there is nothing."""
        return _means(*self._totals(fill, where))


def _means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    means = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    # A single answer's value stands as it is.
    several = counts > 1
    means[several] = np.round(means[several], _DECIMALS)
    return means


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Candidate B beside candidate A over the questions that both have a score for."""

    traits: ScorerTraits
    exact: bool
    a: np.ndarray
    b: np.ndarray
    of: int
    """Questions that both could have a score for."""
    missing_a: int
    """A's answers to these that have none."""
    missing_b: int
    worst_a: tuple[np.ndarray, np.ndarray] | None
    """A and B over all of `of`, what A lacks at the bad end of the scale, what B lacks at the good one;
    None where nothing is missing or the scale has no ends."""
    worst_b: tuple[np.ndarray, np.ndarray] | None
    """The same with A and B exchanged."""
    clusters: np.ndarray | None = None
    """The cluster of each question in `a` and `b`; None: each is one of its own."""
    worst_clusters: np.ndarray | None = None
    """The same for `worst_a` and `worst_b`."""
    doubt: str | None = None
    """Why nothing may be concluded from the scores of either; None where something may."""

    @property
    def n(self) -> int:
        return int(self.a.size)

    @property
    def better_a(self) -> int:
        """Questions on which A is better."""
        return int((self.towards_good(self.a) > self.towards_good(self.b)).sum())

    @property
    def better_b(self) -> int:
        """Questions on which B is better."""
        return int((self.towards_good(self.b) > self.towards_good(self.a)).sum())

    @property
    def covered(self) -> float | None:
        """Share of the questions that both could have a score for and have."""
        return self.n / self.of if self.of else None

    def towards_good(self, values: np.ndarray) -> np.ndarray:
        """Return values so that more is better, whatever the scorer's direction."""
        if self.traits.higher_is_better:
            return values
        low, high = self.traits.scale or (0.0, 0.0)
        return np.asarray(low + high - values)


def pair(a: Column, b: Column) -> Pairs:
    """Set two columns of the same rows side by side.

    Each side's mean of a question is over all its own answers to it, so that neither the order of
    trials nor the other's failures choose among them.
    """
    # A row that the benchmark gives nothing to score by is no gap on either side.
    meant = ~(((a.gaps > 0) & (a.scored == 0)) | ((b.gaps > 0) & (b.scored == 0)))
    one, two = a.by_question(None), b.by_question(None)
    both = ~np.isnan(one) & ~np.isnan(two)
    missing_a, missing_b = (int(side.missing[meant].sum()) for side in (a, b))
    low, high = a.traits.scale or (0.0, 0.0)
    bad, good = (low, high) if a.traits.higher_is_better else (high, low)
    wide = a.by_question(bad, meant)
    asked = ~np.isnan(wide) & ~np.isnan(b.by_question(good, meant))
    worst_a = worst_b = None
    if (missing_a or missing_b) and a.traits.scale is not None:
        worst_a = wide[asked], b.by_question(good, meant)[asked]
        worst_b = a.by_question(good, meant)[asked], b.by_question(bad, meant)[asked]
    return Pairs(
        traits=a.traits,
        exact=a.exact and b.exact,
        a=one[both],
        b=two[both],
        of=int(asked.sum()),
        missing_a=missing_a,
        missing_b=missing_b,
        worst_a=worst_a,
        worst_b=worst_b,
        clusters=b.clusters_of(both),
        worst_clusters=b.clusters_of(asked),
        doubt=a.doubt or b.doubt,
    )
