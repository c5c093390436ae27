"""What answers cost: the one figure behind every table, document, metric, gate and promotion.

What a candidate cost is everything that was spent on its answers: failed ones, those that broke off and
tries that failed before an answer included. It is unknown as soon as one part of it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.statistics.intervals import Interval, bootstrap_interval

__all__ = ["cost_interval", "latency_interval", "spent_in_all"]


_CAME = frozenset({"complete", "incomplete"})
"""States of answers of which something came, and so was paid for."""


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


def cost_interval(answers: Mapping[Cell, AnswerRecord]) -> Interval | None:
    """Return the interval of what a whole answer of a candidate costs; None where unknown.

    What was spent on failed answers is shared out among the whole ones, as in the mean.

    Args:
        answers: Of one candidate.
    """
    spent: dict[int, list[float]] = {}
    whole = 0
    for cell, answer in answers.items():
        cost = answer.price
        if cost is None:
            return None
        whole += answer.why_not_scored is None
        spent.setdefault(cell.row, []).append(float(cost))
    if not whole:
        return None
    found = _interval(spent)
    share = len(answers) / whole
    return None if found is None else Interval(share * found.low, share * found.high)


def latency_interval(answers: Mapping[Cell, AnswerRecord]) -> Interval | None:
    """Return the interval of the seconds that a candidate's answers take; None if unknown.

    Args:
        answers: Of one candidate.
    """
    seconds: dict[int, list[float]] = {}
    for cell, answer in answers.items():
        if answer.took is not None:
            seconds.setdefault(cell.row, []).append(answer.took)
    return _interval(seconds)


def _interval(by_row: Mapping[int, list[float]]) -> Interval | None:
    values = [math.fsum(row) / len(row) for row in by_row.values()]
    if len(values) < 2:
        return None
    most = max(values)
    if min(values) == most:
        return Interval(most, most)
    scaled = bootstrap_interval([value / most for value in values])
    return Interval(most * scaled.low, most * scaled.high)
