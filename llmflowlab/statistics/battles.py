"""Answers set against each other two by two: battles, who won how often, and in what style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmflowlab.statistics.intervals import Interval, mean_interval

__all__ = ["Battle", "WinRate", "style_difference", "win_matrix", "win_rate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Battle:
    """Two candidates' answers to one question, and which was preferred."""

    left: int
    right: int
    score: float
    """Of the left one: 1 it won, 0 it lost, ½ a tie ("both bad" is one); a judge's share between."""
    weight: float = 1.0
    style: tuple[float, ...] = ()
    """Of left against right, as `style_difference` gives it; of equal length in all battles."""
    cluster: int | None = None
    """Battles of one number, such as those over one question, are drawn as one; None: it stands alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """How one fares against another."""

    value: float | None
    """Mean of the scores, a tie being ½; None where there is none."""
    discrete: float | None
    """The same where every score but ½ counts as a whole win or loss."""
    wins: int
    ties: int
    losses: int
    interval: Interval | None


def win_rate(scores: Sequence[float]) -> WinRate:
    """Return a win rate as AlpacaEval computes it (Dubois et al. 2024, arXiv:2404.04475, section 2).

    What has no preference is left out by the caller, and is no tie.

    Args:
        scores: 1 won, 0 lost, ½ a tie, between them a judge's probability; one for each question.
    """
    n = len(scores)
    wins, losses = sum(s > 0.5 for s in scores), sum(s < 0.5 for s in scores)
    ties = n - wins - losses
    whole = all(s in (0.0, 1.0) for s in scores)
    return WinRate(
        value=math.fsum(scores) / n if n else None,
        discrete=(wins + ties / 2) / n if n else None,
        wins=wins,
        ties=ties,
        losses=losses,
        interval=mean_interval(scores, binary=whole),
    )


def win_matrix(battles: Sequence[Battle], count: int) -> np.ndarray:
    """Return how often the row's candidate beat the column's; a tie is half a win for each."""
    wins = np.zeros((count, count))
    for battle in battles:
        wins[battle.left, battle.right] += battle.weight * battle.score
        wins[battle.right, battle.left] += battle.weight * (1 - battle.score)
    return wins


def style_difference(left: Sequence[float], right: Sequence[float]) -> tuple[float, ...]:
    """Return (a − b) / (a + b) of each property of style, such as length; 0 where neither has any.

    As the public arena does (Li, Angelopoulos & Chiang 2024, "Does style matter?"). Its scaling follows
    in the fit, by the root mean square rather than the deviation, so that sides can be exchanged.
    """
    return tuple((a - b) / (a + b) if a + b else 0.0 for a, b in zip(left, right, strict=True))
