"""How candidates stand while an evaluation runs: a mean that is cheap to keep up to date.

The interval is an approximation for the screen; what is reported at the end comes from all scores
(`results.py`).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics import Interval, wilson_interval

__all__ = ["Standing", "Standings"]

_ENOUGH = 10
"""Questions from which the normal approximation is used for scores that are not yes or no."""
_Z = 1.959964
"""Half-width of a 95 % interval, in standard errors."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One candidate's mean of the main scorer so far."""

    scored: int
    """Answers with a value."""
    mean: float | None
    """None where nothing is scored yet."""
    interval: Interval | None
    """95 %, over questions."""


class Standings:
    """Adds scores up as they come, from any thread; an addition or a look takes constant time.

    Args:
        scorer: Whose scores count.
        binary: Whether they are 0 or 1 only.
        candidates: How many there are.
    """

    def __init__(self, scorer: str, *, binary: bool, candidates: int) -> None:
        self.scorer = scorer
        self._binary = binary
        self._sums = [_Sums() for _ in range(candidates)]
        self._lock = threading.Lock()

    def add(self, cell: Cell, score: Score | None) -> None:
        """Count a score; one without a value counts for nothing."""
        if score is not None and score.value is not None:
            with self._lock:
                self._sums[cell.candidate].add(cell.row, score.value)

    def of(self, candidate: int) -> Standing:
        """Return how a candidate stands now."""
        with self._lock:
            return self._sums[candidate].standing(binary=self._binary)


@dataclass(slots=True)
class _Sums:
    total: float = 0.0
    scored: int = 0
    rows: dict[int, tuple[float, int]] = field(default_factory=dict)
    """Sum and number of a question's scores: its repetitions are no new questions."""
    means: float = 0.0
    squares: float = 0.0
    """Sums over questions of their mean, and of its square."""

    def add(self, row: int, value: float) -> None:
        self.total += value
        self.scored += 1
        before, count = self.rows.get(row, (0.0, 0))
        if count:
            self.means -= before / count
            self.squares -= (before / count) ** 2
        self.rows[row] = (before + value, count + 1)
        mean = (before + value) / (count + 1)
        self.means += mean
        self.squares += mean * mean

    def standing(self, *, binary: bool) -> Standing:
        questions = len(self.rows)
        if questions == 0:
            return Standing(0, None, None)
        mean = self.means / questions
        repeated = self.scored > questions
        spread = max(0.0, self.squares / questions - mean * mean)
        if (binary and not repeated) or questions < _ENOUGH or spread == 0:
            interval = wilson_interval(min(max(self.means, 0.0), float(questions)), questions)
        else:
            half = _Z * math.sqrt(spread / (questions - 1))
            interval = Interval(max(0.0, mean - half), min(1.0, mean + half))
        return Standing(self.scored, self.total / self.scored, interval)
