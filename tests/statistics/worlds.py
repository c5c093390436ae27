"""Worlds whose truth is known: battles between candidates of planted strength."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmflowlab.statistics.battles import Battle
from llmflowlab.statistics.bradley_terry import fit_strengths
from llmflowlab.statistics.pairing import next_pair

__all__ = ["battles_between", "fought", "voted"]


def fought(
    left: int,
    right: int,
    truth: Sequence[float],
    generator: np.random.Generator,
    *,
    ties: float = 0.0,
) -> Battle:
    """Let two fight: a tie with that chance, else who is stronger wins the likelier."""
    chance = 1 / (1 + np.exp(truth[right] - truth[left]))
    tied = generator.random() < ties
    return Battle(left=left, right=right, score=0.5 if tied else float(generator.random() < chance))


def battles_between(
    truth: Sequence[float], count: int, generator: np.random.Generator, *, ties: float = 0.0
) -> list[Battle]:
    """Draw pairs at random and let them fight."""
    pairs = [generator.choice(len(truth), 2, replace=False) for _ in range(count)]
    return [fought(int(i), int(j), truth, generator, ties=ties) for i, j in pairs]


def voted(truth: Sequence[float], count: int, seed: int, *, chosen: bool) -> np.ndarray:
    """Return the strengths that so many votes give, of pairs that are chosen or drawn."""
    generator = np.random.default_rng(seed)
    if not chosen:
        return fit_strengths(battles_between(truth, count, generator), len(truth)).values
    battles: list[Battle] = []
    for _ in range(count):
        left, right = next_pair(fit_strengths(battles, len(truth)), generator)
        battles.append(fought(left, right, truth, generator))
    return fit_strengths(battles, len(truth)).values
