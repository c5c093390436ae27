"""Which comparisons show that two candidates are the same, as far as a margin goes.

Not showing a difference does not show that there is none: two one-sided tests do, where both say that
the difference is smaller than the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmflowlab.evaluation.conclude.decide import ALPHA, weigh
from llmflowlab.evaluation.conclude.pairs import Pairs
from llmflowlab.evaluation.conclude.verdicts import Equivalence, Sequential
from llmflowlab.statistics.equivalence import equivalence_p_value
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.multiplicity import holm, holm_levels

__all__ = ["Margin", "equivalences", "whenever_same"]


@dataclass(frozen=True, slots=True)
class Margin:
    """How far apart two candidates may be and still count as the same."""

    value: float
    """In points of 1."""
    asked: bool = False
    """Whether somebody named it: only then "the same" is a verdict."""


def equivalences(
    compared: Sequence[tuple[Pairs, tuple[str, str]]], margin: Margin, *, unfinished: str | None
) -> list[Equivalence | None]:
    """Return what each comparison says of the margin; None where it has no scale or is no mean.

    A family of its own for Holm's correction. As with differences, the p-value and the bounds at the
    level of its step must both say so, and what is missing may not undo it.

    Args:
        compared: Every two candidates on every scorer, with their names.
        margin: The margin.
        unfinished: Why no verdict may be given; None where the evaluation is whole.
    """
    p_values = [
        equivalence_p_value(
            pairs.a, pairs.b, margin.value, binary=pairs.exact, clusters=pairs.clusters
        )
        if pairs.traits.figure is None
        else None
        for pairs, _ in compared
    ]
    tested = [p_value for p_value in p_values if p_value is not None]
    adjusted, levels = iter(holm(tested)), iter(holm_levels(tested, alpha=ALPHA))
    found: list[Equivalence | None] = []
    for (pairs, names), p_value in zip(compared, p_values, strict=True):
        if pairs.traits.figure is not None:
            found.append(None)
            continue
        p_adjusted = None if p_value is None else next(adjusted)
        level = ALPHA if p_value is None else next(levels)
        evidence = None
        if p_adjusted is not None and p_adjusted < ALPHA:
            evidence = weigh(pairs, margin=margin.value, error=level, names=names)
        found.append(
            Equivalence(
                margin=margin.value,
                p_value=p_value,
                p_adjusted=p_adjusted,
                shown=unfinished is None and evidence is not None and evidence.same,
                asked=margin.asked,
                bounds=None if evidence is None else evidence.bounds,
                caveat=evidence.missing
                if evidence is not None and evidence.paired.within and not evidence.same
                else None,
            )
        )
    return found


def whenever_same(sequential: Sequential, *, withheld: str | None) -> Equivalence:
    """Return what a comparison that may end early says of its margin, from its own interval."""
    interval = sequential.interval
    within = -sequential.margin < interval.low and interval.high < sequential.margin
    return Equivalence(
        margin=sequential.margin,
        p_value=None,
        p_adjusted=None,
        shown=within and withheld is None,
        asked=True,
        bounds=Interval(interval.low, interval.high),
    )
