"""Cohen's kappa: how far two who label the same things agree beyond chance."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np

from llmflowlab.statistics.intervals import Interval, wilson_interval

__all__ = [
    "Weights",
    "clustered_kappa",
    "confusion",
    "kappa",
    "kappa_interval",
    "weighted_kappa",
]

Weights: TypeAlias = Literal["none", "linear", "quadratic"]
"""What a difference of labels costs: all alike, its number of steps, or that squared."""

_SEED = 20_240_607
_RESAMPLES = 2_000
_FEWEST = 10
"""Clusters below which resampling says nothing of the spread."""
_NOTHING = 1e-12


def confusion(
    first: Sequence[Hashable], second: Sequence[Hashable], labels: Sequence[Hashable]
) -> np.ndarray:
    """Return how often the first gave the row's label and the second the column's.

    Args:
        first: Labels of one.
        second: Those of the other, of the same things.
        labels: All there are, in their order, which weights go by.
    """
    place = {label: at for at, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)))
    for one, other in zip(first, second, strict=True):
        table[place[one], place[other]] += 1
    return table


def kappa(table: np.ndarray, weights: Weights = "none") -> float | None:
    """Return Cohen's kappa (1960; with weights 1968) of a square table of counts.

    None where there is nothing, and where either always gives one label: by arithmetic it would be
    0 then, whatever the other says.
    """
    counts = np.asarray(table, dtype=float)
    if min(np.count_nonzero(counts.sum(axis=side)) for side in (0, 1)) < 2:
        return None
    # Rounded: where chance explains all, what is left must not be less than nothing by its last digit.
    return round(float(_kappas(counts[None], weights)[0]), 12) + 0.0


def kappa_interval(
    table: np.ndarray, weights: Weights = "none", *, confidence: float = 0.95
) -> Interval | None:
    """Return kappa's interval where all things are independent; None where kappa is.

    By the asymptotic variance of Fleiss, Cohen & Everitt (1969, Psychological Bulletin 72:323-327).
    Where all labels are equal that is 0: the lower end is then that of the share which agrees, by
    Wilson's interval, over the same chance.
    """
    counts = np.asarray(table, dtype=float)
    value = kappa(counts, weights)
    if value is None:
        return None
    n = counts.sum()
    share, agreed = counts / n, _agreed(len(counts), weights)
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    chance = float(rows @ agreed @ columns)
    if np.trace(share) > 1 - _NOTHING:
        low = wilson_interval(int(n), int(n), confidence=confidence).low
        return Interval(max(-1.0, (low - chance) / (1 - chance)), 1.0)
    means = (agreed @ columns)[:, None] + (rows @ agreed)[None, :]
    first = float((share * (agreed - means * (1 - value)) ** 2).sum())
    second = (value - chance * (1 - value)) ** 2
    error = math.sqrt(max(0.0, first - second) / n) / (1 - chance)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    return Interval(max(-1.0, value - reach), min(1.0, value + reach))


def clustered_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    clusters: Sequence[int],
    labels: Sequence[Hashable],
) -> tuple[float | None, Interval | None]:
    """Return unweighted kappa and its interval where labels of one cluster are not independent.

    The interval is that of `kappa_interval` where each stands alone, else the percentile bootstrap over
    clusters; None below ten clusters.

    Args:
        first: Labels of one.
        second: Those of the other, of the same things.
        clusters: Of each thing, such as the question that an answer answers.
        labels: All there are.
    """
    total = confusion(first, second, labels)
    value = kappa(total)
    numbers, places = np.unique(clusters, return_inverse=True)
    count = len(numbers)
    if value is None or count < _FEWEST:
        return value, None
    if count == len(first) or np.trace(total) == total.sum():
        # Where all agree, a cluster says no more than a single thing.
        return value, kappa_interval(total * count / len(first))
    tables = np.zeros((count, len(labels), len(labels)))
    place = {label: at for at, label in enumerate(labels)}
    one, other = (np.array([place[label] for label in said]) for said in (first, second))
    np.add.at(tables, (places, one, other), 1)
    drawn = _draws(count) @ tables.reshape(count, -1)
    low, high = np.nanquantile(_kappas(drawn.reshape(-1, *total.shape), "none"), [0.025, 0.975])
    return value, Interval(float(low), float(high))


def weighted_kappa(
    pairs: Sequence[tuple[int, float, float]],
) -> tuple[float | None, Interval | None]:
    """Return kappa of values in [0, 1], a difference costing its square, and its interval.

    κ = 1 − mean (a − b)² / mean over all a, b of (a − b)² (Cohen 1968); for yes and no the unweighted
    kappa. The denominator is var a + var b + (mean a − mean b)². None where either always says the
    same. The interval is the percentile bootstrap over questions, whose answers are not independent; None
    for fewer than ten of them. Where all values are equal, its lower end is what remains if as much differs
    as Wilson's interval of the share that agrees leaves open.

    Args:
        pairs: Question, and what either said of an answer to it.
    """
    if not pairs:
        return None, None
    if {value for _, a, b in pairs for value in (a, b)} <= {0.0, 1.0}:
        # One interval for yes and no, whoever asks for it.
        questions, first, second = zip(*pairs, strict=True)
        return clustered_kappa(first, second, questions, (0.0, 1.0))
    rows = {row: place for place, row in enumerate(dict.fromkeys(row for row, _, _ in pairs))}
    sums = np.zeros((len(rows), 6))
    for row, a, b in pairs:
        sums[rows[row]] += (1.0, a, b, a * a, b * b, (a - b) ** 2)

    def parts(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, a, b, aa, bb, dd = totals.T
        return dd / n, aa / n + bb / n - 2 * (a / n) * (b / n)

    if min(len(set(said)) for said in zip(*(pair[1:] for pair in pairs), strict=True)) < 2:
        return None, None
    seen, chance = (float(part[0]) for part in parts(sums.sum(axis=0, keepdims=True)))
    value = 1 - seen / chance
    if len(rows) < _FEWEST:
        return value, None
    if seen == 0:
        open_ = 1 - wilson_interval(len(rows), len(rows)).low
        return value, Interval(max(-1.0, 1 - open_ / chance), 1.0)
    observed, expected = parts(_draws(len(rows)) @ sums)
    whole = expected > _NOTHING
    low, high = np.quantile(1 - observed[whole] / expected[whole], [0.025, 0.975])
    return value, Interval(float(low), float(high))


def _draws(count: int) -> np.ndarray:
    """Return how often each of so many clusters comes up in each resample."""
    shares = np.full(count, 1 / count)
    return np.random.default_rng(_SEED).multinomial(count, shares, _RESAMPLES)


def _agreed(size: int, weights: Weights) -> np.ndarray:
    """Return how far each two labels agree, from 0 to 1."""
    steps = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    if weights == "none":
        return np.eye(size)
    power = 1 if weights == "linear" else 2
    return np.asarray(1 - (steps / max(1, size - 1)) ** power)


def _kappas(tables: np.ndarray, weights: Weights) -> np.ndarray:
    """Return the kappa of each table; NaN where there is none."""
    agreed = _agreed(tables.shape[1], weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = tables / tables.sum(axis=(1, 2), keepdims=True)
        seen = (shares * agreed).sum(axis=(1, 2))
        chance = np.einsum("bi,ij,bj->b", shares.sum(axis=2), agreed, shares.sum(axis=1))
        return np.where(chance < 1 - _NOTHING, (seen - chance) / (1 - chance), np.nan)
