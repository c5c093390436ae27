"""How candidates stand while an evaluation runs: a mean that is cheap to keep up to date.

The interval is an approximation for the screen; what is reported at the end comes from all scores
(`results.py`).
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import COVERAGE_FLOOR, DATA_GAPS, Score
from llmflowlab.statistics.intervals import Interval, wilson_interval

__all__ = ["InterimScore", "InterimScores"]

_ENOUGH = 10
"""Questions or clusters from which the normal approximation is used for scores that are not yes or no."""
_NOISE = 1e-9
_Z = 1.959964
"""Half-width of a 95 % interval, in standard errors."""


@dataclass(frozen=True, slots=True)
class InterimScore:
    """One candidate's mean of the main scorer so far."""

    scored: int
    """Answers with a value."""
    mean: float | None
    """Over questions; None where nothing is scored yet."""
    interval: Interval | None
    """95 %, over questions or their clusters."""
    coverage: float | None = None
    """Answers with a value, of those that could have one; None before the first."""

    @property
    def partial(self) -> bool:
        """Whether it speaks of too few answers to be set beside another's."""
        return self.coverage is not None and self.coverage < COVERAGE_FLOOR


class InterimScores:
    """Adds scores up as they come, from any thread; an addition or a look takes constant time.

    Args:
        scorer: Whose scores count.
        exact: Whether the tests of yes and no apply, as in the table of the end.
        candidates: How many there are.
        questions: For each row the number of the question it asks; None: each asks one of its own.
        clusters: For each row the number of its cluster of questions; None: likewise.
    """

    def __init__(
        self,
        scorer: str,
        *,
        exact: bool,
        candidates: int,
        questions: Sequence[int] | None = None,
        clusters: Sequence[int] | None = None,
    ) -> None:
        self.scorer = scorer
        self._exact = exact
        self._questions = questions
        self._clusters = clusters or questions
        self._sums = [_Sums() for _ in range(candidates)]
        self._lock = threading.Lock()

    def add(self, cell: Cell, score: Score | None) -> None:
        """Count a score; one without a value counts for coverage alone."""
        if score is None or score.value is None:
            if score is None or score.not_scored not in DATA_GAPS:
                with self._lock:
                    self._sums[cell.candidate].lost += 1
        else:
            with self._lock:
                question = cell.row if self._questions is None else self._questions[cell.row]
                cluster = cell.row if self._clusters is None else self._clusters[cell.row]
                self._sums[cell.candidate].add(question, cluster, score.value)

    def of(self, candidate: int) -> InterimScore:
        """Return how a candidate stands now."""
        with self._lock:
            return self._sums[candidate].standing(exact=self._exact)


class _Totals:
    """A sum and the number of its summands under each number from 0 on, in 12 bytes."""

    def __init__(self) -> None:
        self._sums, self._counts = array("d"), array("I")
        self.filled = 0
        """Under how many numbers there is anything."""

    def __getitem__(self, number: int) -> tuple[float, int]:
        there = number < len(self._sums)
        return (self._sums[number], self._counts[number]) if there else (0.0, 0)

    def __setitem__(self, number: int, total: tuple[float, int]) -> None:
        if (missing := number + 1 - len(self._sums)) > 0:
            for column in (self._sums, self._counts):
                column.frombytes(bytes(missing * column.itemsize))
        self.filled += not self._counts[number]
        self._sums[number], self._counts[number] = total


@dataclass(slots=True)
class _Sums:
    scored: int = 0
    lost: int = 0
    questions: _Totals = field(default_factory=lambda: _Totals())
    """Sum and number of a question's scores: its repetitions are no new questions."""
    clusters: _Totals = field(default_factory=lambda: _Totals())
    """Sum of the means of a cluster's questions, and their number."""
    means: float = 0.0
    """Sum over questions of their mean."""
    squares: float = 0.0
    products: float = 0.0
    sizes: float = 0.0
    """Sums over clusters of total², total × size and size²."""

    def add(self, question: int, cluster: int, value: float) -> None:
        self.scored += 1
        before, count = self.questions[question]
        self.questions[question] = (before + value, count + 1)
        change = (before + value) / (count + 1) - (before / count if count else 0.0)
        total, size = self.clusters[cluster]
        self._weigh(-1, total, size)
        self.clusters[cluster] = (total + change, size + (count == 0))
        self._weigh(1, *self.clusters[cluster])
        self.means += change

    def _weigh(self, sign: int, total: float, size: int) -> None:
        self.squares += sign * total * total
        self.products += sign * total * size
        self.sizes += sign * size * size

    def standing(self, *, exact: bool) -> InterimScore:
        questions, clusters = self.questions.filled, self.clusters.filled
        asked = self.scored + self.lost
        coverage = self.scored / asked if asked else None
        if questions == 0:
            return InterimScore(0, None, None, coverage)
        mean = self.means / questions
        # Of the clusters' totals about what their sizes let expect.
        spread = self.squares - 2 * mean * self.products + mean * mean * self.sizes
        if exact or clusters < _ENOUGH or spread <= _NOISE:
            share = min(max(mean, 0.0), 1.0)
            interval = wilson_interval(share * clusters, clusters)
        else:
            half = _Z * math.sqrt(spread * clusters / (clusters - 1)) / questions
            interval = Interval(max(0.0, mean - half), min(1.0, mean + half))
        return InterimScore(self.scored, mean, interval, coverage)
