"""Evaluations of one world again and again, and the shares that come of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np

from benchmarks.simulations.properties import EXPERIMENTS, PROMISES, Experiment
from benchmarks.simulations.worlds import generator

__all__ = ["Share", "run", "run_all"]

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often a promise's event came about in one world at one size."""

    promise: str
    name: str
    """Of the world."""
    questions: int
    share: float
    error: float
    """Standard error of the share, of the simulation."""

    @property
    def broken(self) -> bool:
        return PROMISES[self.promise].broken(self.share, self.error)


def run(experiment: Experiment, runs: int) -> list[Share]:
    """Return a share for each of an experiment's promises; the same at every call.

    Args:
        experiment: What is looked at.
        runs: Evaluations of a world of weight 1.
    """
    runs = max(_FEWEST, runs // experiment.weight)
    seed = zlib.crc32(experiment.name.encode())
    found = [
        experiment.look(generator(seed, experiment.questions, number), experiment.questions)
        for number in range(runs)
    ]
    shares = []
    for promise in experiment.promises:
        values = np.array([each[promise] for each in found])
        # One more of each, or a share that was always the same would seem to be known exactly.
        smoothed = (float(values.sum()) + 1) / (runs + 2)
        deviation = float(values.std()) or (smoothed * (1 - smoothed)) ** 0.5
        shares.append(
            Share(
                promise=promise,
                name=experiment.name,
                questions=experiment.questions,
                share=float(values.mean()),
                error=deviation / runs**0.5,
            )
        )
    return shares


def run_all(runs: int, *, promise: str | None = None) -> Iterator[list[Share]]:
    """Yield the shares of every experiment, in two processes.

    Args:
        runs: Evaluations of a world of weight 1.
        promise: Only the experiments that try this one.
    """
    places = [i for i, e in enumerate(EXPERIMENTS) if promise is None or promise in e.promises]
    # The longest first, so that no process is left with one of them at the end.
    places.sort(key=lambda place: -EXPERIMENTS[place].questions)
    with ProcessPoolExecutor(2) as pool:
        for done in as_completed([pool.submit(_run_at, place, runs) for place in places]):
            yield done.result()


def _run_at(place: int, runs: int) -> list[Share]:
    return run(EXPERIMENTS[place], runs)
