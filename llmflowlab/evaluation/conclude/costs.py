"""What answers cost: the one figure behind every table, document, metric, gate and promotion.

What a candidate cost is everything that was spent on its answers: failed ones, those that broke off and
tries that failed before an answer included. It is unknown as soon as one part of it is.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.statistics.intervals import Interval, bootstrap_interval

__all__ = ["Own", "cost_interval", "latency_interval", "spent_in_all"]


_CAME = frozenset({"complete", "incomplete"})
"""States of answers of which something came, and so was paid for."""


class Own(Mapping[Cell, AnswerRecord]):
    """The answers of one candidate among those of all, without a copy of them."""

    def __init__(self, answers: Mapping[Cell, AnswerRecord], candidate: int) -> None:
        self._all = answers
        self._candidate = candidate

    def __getitem__(self, cell: Cell) -> AnswerRecord:
        return self._all[cell]

    def __iter__(self) -> Iterator[Cell]:
        return (cell for cell in self._all if cell.candidate == self._candidate)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def spent_in_all(answers: Iterable[AnswerRecord]) -> Decimal | None:
    """Return in USD what was spent on answers; None where a part is unknown.

    So it is where nothing came and no failure said what it took: nothing known is not nothing spent.
    """
    total, came = Decimal(0), False
    for answer in answers:
        spent = answer.spent
        if spent is None:
            return None
        total += spent
        came = came or answer.state in _CAME
    return total if came or total else None


def cost_interval(
    answers: Mapping[Cell, AnswerRecord], units: Sequence[int] | np.ndarray
) -> Interval | None:
    """Return the interval of what a whole answer of a candidate costs; None where unknown.

    What was spent on failed answers is shared out among the whole ones, as in the mean.

    Args:
        answers: Of one candidate.
        units: For each row the number of its question, or of the cluster that this belongs to.
    """
    drawn, spent = array("q"), array("d")
    whole = 0
    for cell, answer in answers.items():
        cost = answer.price
        if cost is None:
            return None
        whole += answer.why_not_scored is None
        drawn.append(units[cell.row])
        spent.append(float(cost))
    if not whole:
        return None
    found = _interval(drawn, spent)
    share = len(spent) / whole
    return None if found is None else Interval(share * found.low, share * found.high)


def latency_interval(
    answers: Mapping[Cell, AnswerRecord], units: Sequence[int] | np.ndarray
) -> Interval | None:
    """Return the interval of the seconds that a candidate's answers take; None if unknown.

    Args:
        answers: Of one candidate.
        units: As in `cost_interval`.
    """
    drawn, seconds = array("q"), array("d")
    for cell, answer in answers.items():
        if answer.took is not None:
            drawn.append(units[cell.row])
            seconds.append(answer.took)
    return _interval(drawn, seconds)


def _interval(units: array[int], values: array[float]) -> Interval | None:
    """Return the interval of the mean of an answer, units being what is drawn."""
    order = np.argsort(units, kind="stable")
    ordered = np.asarray(values)[order]
    _, begins, counts = np.unique(np.asarray(units)[order], return_index=True, return_counts=True)
    if len(begins) < 2:
        return None
    sums, sizes = ordered[begins], counts.astype(float)
    for several in np.flatnonzero(counts > 1):
        begin = begins[several]
        sums[several] = math.fsum(ordered[begin : begin + counts[several]])
    means = sums / sizes
    most = float(means.max())
    if float(means.min()) == most:
        return Interval(most, most)
    # Units of one size are drawn like single values.
    even = float(np.ptp(sizes)) == 0
    found = bootstrap_interval(means / most if even else sums / most, None if even else sizes)
    return Interval(most * found.low, most * found.high)
