"""How soon a canary notices, and how many samples its baseline needs for that: by simulation.

The simulated watch is the real one's arithmetic on tables, for many worlds at once.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np

from llmflowlab.monitoring.canary_layers import WINDOWS
from llmflowlab.statistics.change_evidence import EstimatedBand, evidence_table
from llmflowlab.statistics.watch import ages, at_share, shares

__all__ = ["first_alarms", "samples_needed", "swapped", "tables_of"]

SAMPLES = 10
"""Of each prompt, within which a swapped model is to be noticed."""
POWER = 0.9
_OFFERED = (48, 72, 96, 144, 216, 324)
_WORLDS = 60
_SEED = 20_261_126


def swapped(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return another model's chances of the words that are usual of this one: mostly near 0 or 1."""
    return rng.beta(0.2, 0.2, shape)


@cache
def samples_needed(choices: int, tolerance: float, log_needed: float, horizon: int) -> int | None:
    """Return the samples of each border prompt, learning included, that a baseline needs.

    So many that a swapped model is noticed within 10 samples of each prompt with a power of 90 %.

    Args:
        choices: Border prompts, whose word comes with a chance from 0.3 to 0.7.
        tolerance: As in `Canary`.
        log_needed: Log evidence that makes an alarm.
        horizon: Looks for which false alarms are bounded.

    Returns:
        None where no number that is looked at is enough.
    """
    for samples in _OFFERED:
        rng = np.random.default_rng(_SEED)
        learnt, n = samples // 3, samples - samples // 3
        chances = rng.uniform(0.3, 0.7, (_WORLDS, choices))
        tables = tables_of(
            rng.binomial(learnt, chances),
            np.full(chances.shape, learnt),
            rng.binomial(n, chances),
            np.full(chances.shape, n),
            tolerance=tolerance,
            most=SAMPLES,
        )
        later = swapped(rng, chances.shape)[:, None, :]
        ones = (rng.random((_WORLDS, SAMPLES, choices)) < later).astype(int)
        found = first_alarms(
            tables, ones, np.ones_like(ones), horizon=horizon, log_needed=log_needed
        )
        if np.mean(found > 0) >= POWER + 0.02:
            return samples
    return None


def tables_of(
    learnt_ones: np.ndarray,
    learnt: np.ndarray,
    ones: np.ndarray,
    counts: np.ndarray,
    *,
    tolerance: float,
    most: int,
) -> np.ndarray:
    """Return the evidence tables of baselines: worlds, streams, values since, sum of them."""
    flat = zip(
        *(each.ravel().tolist() for each in (learnt_ones, learnt, ones, counts)), strict=True
    )
    found = [_table(*each, tolerance=tolerance, most=most) for each in flat]
    return np.array(found, dtype=np.float32).reshape(*ones.shape, most + 1, most + 1)


@lru_cache(maxsize=20_000)
def _table(
    learnt_ones: int, learnt: int, ones: int, n: int, *, tolerance: float, most: int
) -> np.ndarray:
    baseline = EstimatedBand(
        total=ones, n=n, tolerance=tolerance, learnt_total=learnt_ones, learnt_n=learnt
    )
    return evidence_table(baseline, most).astype(np.float32)


def first_alarms(
    tables: np.ndarray,
    ones: np.ndarray,
    counts: np.ndarray,
    *,
    horizon: int,
    log_needed: float,
    window: int = WINDOWS["words"],
) -> np.ndarray:
    """Return the look, from 1, at which each world's watch first alarms; 0 where none does.

    Args:
        tables: Of `tables_of`; they hold what a stream can bring within the window.
        ones: Sums of 0 and 1 at each look: worlds, looks, streams.
        counts: How many they are.
        horizon: As in `Watch`.
        log_needed: Log evidence that makes an alarm.
        window: As in `Watch`.
    """
    worlds, looks, streams = ones.shape
    side = tables.shape[-1]
    flat = [at_share(tables, share).ravel() for share in shares(streams)]
    places = (np.arange(worlds)[:, None] * streams + np.arange(streams)) * side * side
    zero = np.zeros((worlds, 1, streams), dtype=int)
    sums = np.concatenate([zero, ones.cumsum(axis=1)], axis=1)
    sizes = np.concatenate([zero, counts.cumsum(axis=1)], axis=1)
    found = np.zeros(worlds, dtype=int)
    for look in range(1, looks + 1):
        said = []
        for age in ages(min(look, window)):
            n = sizes[:, look] - sizes[:, look - age]
            outcome = places + n * side + sums[:, look] - sums[:, look - age]
            said += [np.take(table, outcome).sum(axis=-1, dtype=float) for table in flat]
        log_e = np.logaddexp.reduce(said, axis=0) - math.log(len(flat) * (horizon + window))
        found[(found == 0) & (log_e >= log_needed)] = look
    return found
