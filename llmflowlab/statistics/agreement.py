"""How far two scorers say the same of the same answers: correlations, and kappa for yes and no."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmflowlab.statistics.kappa import confusion, kappa

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two scorers over the answers that both scored."""

    kind: Literal["phi", "spearman"]
    """Which coefficient `value` is: phi where both say yes or no, else Spearman's rho."""
    value: float | None
    """From -1 to 1; None where one of the scorers says the same of every answer."""
    kappa: float | None
    """Cohen's kappa (1960); None for grades, or where one of the scorers says the same of every answer."""
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
            kappa=kappa(confusion(first, second, (0.0, 1.0))) if len(first) > 1 else None,
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
