"""Bounds of the mean of values in [0, 1] that hold at every number of values, however they lie."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["betting_bounds"]

_SEED = 20_240_607
_CUT = 0.9
"""Share of the capital that a bet may lose."""
_WORK = 20_000
"""Values that are looked at in all orders together, so that many do not take long."""
_MOST_ORDERS, _FEWEST_ORDERS = 200, 20
_STEPS = 26
"""Halvings; what is left is 1e-8 of the scale."""


def betting_bounds(
    sums: np.ndarray, sizes: np.ndarray | None = None, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the hedged capital interval of a mean (Waudby-Smith & Ramdas 2024, JRSS B 86:1-27).

    For every mean m that might be the true one, one gambler bets that the values lie above it and one
    that they lie below; under the true mean neither's capital exceeds 2/α with a chance of more than
    α/2, whatever the distribution (theorem 3). The bets are the paper's predictable plug-ins for a
    fixed number of values, √(2·log(2/α) / (n·σ̂²)) with σ̂² from the values before, cut at c/m and
    c/(1 − m). So that the order of values changes nothing, they are sorted and the capital is averaged over
    a fixed draw of orders: an average of fair gamblers' capitals is that of a fair gambler. Each capital
    falls as m moves towards the values it is betted on, so that both ends are found by bisection.

    Args:
        sums: The values; or the total of each cluster of values, the mean then being Σ sums / Σ sizes.
        sizes: How many values each cluster holds; None: one. The bets are on (sum − m·size) / largest
            size, whose mean is 0 under the true m.
        confidence: Of both ends together.
    """
    whole = np.ones(len(sums)) if sizes is None else np.asarray(sizes, dtype=float)
    largest = float(whole.max())
    order = np.lexsort((whole, sums))
    x, size = np.asarray(sums, dtype=float)[order] / largest, whole[order] / largest
    error = 1 - confidence
    n = x.size
    orders = min(_MOST_ORDERS, max(_FEWEST_ORDERS, _WORK // n))
    places = np.random.default_rng(_SEED).permuted(np.tile(np.arange(n), (orders, 1)), axis=1)
    x, size = x[places], size[places]
    bets = _bets(x, size, error)
    low = _lower(x, size, bets, error)
    return low, 1 - _lower(size - x, size, bets, error)


def _bets(x: np.ndarray, size: np.ndarray, error: float) -> np.ndarray:
    """Return what is betted before each value is seen."""
    n = x.shape[1]
    mean = (0.5 + np.cumsum(x, axis=1)) / (1 + np.cumsum(size, axis=1))
    squares = 0.25 + np.cumsum((x - mean * size) ** 2, axis=1)
    before = np.concatenate((np.full((len(x), 1), 0.25), squares[:, :-1]), axis=1)
    variance = before / np.arange(1, n + 1)
    return np.asarray(np.sqrt(2 * math.log(2 / error) / (n * variance)))


def _lower(x: np.ndarray, size: np.ndarray, bets: np.ndarray, error: float) -> float:
    """Return the largest mean found below which capital betted on more exceeds 2 / error."""
    needed = math.log(2 / error) + math.log(len(x))

    def rejected(mean: float) -> bool:
        bet = np.minimum(bets, _CUT / mean)
        capital = np.log1p(bet * (x - mean * size)).sum(axis=1)
        most = float(capital.max())
        return most + math.log(float(np.exp(capital - most).sum())) >= needed

    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if rejected(middle):
            low = middle
        else:
            high = middle
    return low
