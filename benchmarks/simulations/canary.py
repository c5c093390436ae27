"""Quiet months of a canary, and how soon it notices: the tables of docs/canary.md.

    python -m benchmarks.simulations.canary [--worlds N]

A world has 32 border prompts and 10 questions, a round an hour, chances that go up and down with the hour of the
day and wander with a memory of hours (an AR(1) process), and a baseline of its own of 24 rounds. The canary's
arithmetic is the package's: tables of `monitoring/canary_power.py`, bands and shares of the plan.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.simulations.tables import written
from llmflowlab.monitoring.canary_layers import WINDOWS
from llmflowlab.monitoring.canary_plan import SHARES, SLOW_DAY
from llmflowlab.monitoring.canary_power import first_alarms, samples_needed, swapped, tables_of
from llmflowlab.statistics.change_evidence import Band
from llmflowlab.statistics.watch import Watch

PAGE = Path(__file__).parents[2] / "docs" / "canary.md"
ALPHA, TOLERANCE = 0.01, 0.05
PROMPTS, QUESTIONS = 32, 10
LEARNING, BASELINE = 8, 16
DAY, MONTH = 24, 720
CHUNK = 20
"""Worlds at a time, for their tables take memory."""
MEMORY = 0.9
"""Of the wandering, from an hour to the next."""
CHANGE = 48
"""Rounds after the baseline until a change, in the table of delays."""
AFTER = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What moves in a world, and how it changes."""

    name: str
    wander: float = 0.5
    """What daily cycle and memory move, at two standard deviations, as a share of the tolerance."""
    words: Callable[[np.random.Generator, np.ndarray], np.ndarray] | None = None
    """Chances of the usual words after the change, from those before."""
    right: float = 0.0
    """Added to the chance of a right answer by the change; likewise the next two."""
    length: float = 0.0
    refusals: float = 0.0
    slower: float = 1.0
    """Factor on seconds after the change."""

    @property
    def changed(self) -> tuple[str, ...]:
        """The layers that the change moves; all of them in a quiet world."""
        words = self.words is not None
        moves = (words, False, self.right, self.length, self.refusals, self.slower != 1)
        named = tuple(layer for layer, moves_ in zip(SHARES, moves, strict=True) if moves_)
        return named or tuple(SHARES)


def moved(by: float, share: float = 1.0) -> Callable[[np.random.Generator, np.ndarray], np.ndarray]:
    """Return what moves a share of chances, towards the farther end."""

    def move(rng: np.random.Generator, before: np.ndarray) -> np.ndarray:
        towards = np.where(before > 0.5, before - by, before + by)
        return np.where(rng.random(before.shape) < share, towards, before)

    return move


QUIET = World(name="wandering as far as it may", wander=1.0)
ROUGH = World(name="twice as far as the tolerance", wander=2.0)
CHANGES = (
    World(
        name="another model: words near always or never", words=lambda rng, p: swapped(rng, p.shape)
    ),
    World(name="half of the prompts by 40 points", words=moved(0.4, 0.5)),
    World(name="every prompt by 40 points", words=moved(0.4)),
    World(name="every prompt by 30 points", words=moved(0.3)),
    World(name="every prompt by 20 points", words=moved(0.2)),
    World(name="right answers: 60 points fewer", right=-0.6),
    World(name="right answers: 40 points fewer", right=-0.4),
    World(name="length: 75 points more beyond what is usual", length=0.75),
    World(name="refusals: 50 points more", refusals=0.5),
    World(name="refusals: 30 points more", refusals=0.3),
    World(name="answers take three times as long", slower=3.0),
)


def wandering(rng: np.random.Generator, shape: tuple[int, int, int], most: float) -> np.ndarray:
    """Return what the hour and what was before add to chances; two standard deviations are `most`."""
    worlds, hours, streams = shape
    hour = np.arange(hours)[None, :, None]
    phase = rng.uniform(0, 2 * np.pi, (worlds, 1, streams))
    noise = rng.normal(0, math.sqrt(1 - MEMORY**2), shape)
    memory = np.zeros(shape)
    memory[:, 0] = rng.normal(0, 1, (worlds, streams))
    for i in range(1, hours):
        memory[:, i] = MEMORY * memory[:, i - 1] + noise[:, i]
    # The cycle swings to 0.6 of it, the memory's two standard deviations are 0.4 of it.
    return np.asarray(most * (0.6 * np.sin(2 * np.pi * hour / DAY + phase) + 0.2 * memory))


def layer_alarms(
    world: World, seed: int, worlds: int, looks: int, change: int, layers: Sequence[str]
) -> np.ndarray:
    """Return for each world the look at which any of these layers first alarms; 0 where none does."""
    found = []
    for layer in layers:
        rng = np.random.default_rng([seed, list(SHARES).index(layer)])
        if layer in {"words", "new_words"}:
            found.append(_words(world, rng, worlds, looks, change, layer=layer))
        elif layer == "latency":
            found.append(_latency(world, rng, worlds, looks, change))
        else:
            found.append(_answers(world, rng, worlds, looks, change, layer=layer))
    alarms = np.stack(found)
    return np.asarray(np.where(alarms > 0, alarms, looks + 1).min(axis=0) % (looks + 1))


def _needed(layer: str) -> float:
    return -math.log(ALPHA * SHARES[layer] / sum(SHARES.values()))


def _samples() -> int:
    needed = samples_needed(PROMPTS, TOLERANCE, _needed("words"), MONTH)
    assert needed is not None
    return math.ceil(needed / (LEARNING + BASELINE))


def _words(
    world: World, rng: np.random.Generator, worlds: int, looks: int, change: int, *, layer: str
) -> np.ndarray:
    begin = LEARNING + BASELINE
    shape = (worlds, begin + looks, PROMPTS)
    usual, new = (
        rng.uniform(*ends, (worlds, 1, PROMPTS)).repeat(shape[1], axis=1)
        for ends in ((0.3, 0.7), (0.05, 0.6))
    )
    if world.words is not None:
        usual[:, begin + change :] = world.words(rng, usual[:, :1])
    drift = [wandering(rng, shape, world.wander * TOLERANCE) for _ in range(2)]
    asked = np.ones(shape, dtype=int)
    asked[:, :begin] = _samples()
    said = rng.binomial(asked, np.clip(usual + drift[0], 0, 1))
    if layer == "words":
        learnt = [each[:, :LEARNING].sum(axis=1) for each in (said, asked)]
        return _first(said, asked, learnt, layer=layer, tolerance=TOLERANCE)
    others = asked - said
    unheard = rng.binomial(others, np.clip(new + drift[1], 0, 1))
    # As the layer has it: which words are known was learnt, so that nothing else is.
    nothing = np.zeros((worlds, PROMPTS), dtype=int)
    return _first(unheard, others, [nothing, nothing], layer=layer, tolerance=TOLERANCE)


def _answers(
    world: World,
    rng: np.random.Generator,
    worlds: int,
    looks: int,
    change: int,
    *,
    layer: str,
) -> np.ndarray:
    begin = LEARNING + BASELINE
    hours = begin + looks
    shape = (worlds, 1, QUESTIONS)
    # Most questions are easy; one length in five is beyond the eight that were learnt; refusals are rare.
    a, b = {"right": (3.0, 0.7), "length": (2.0, 7.0), "refusals": (0.3, 10.0)}[layer]
    chances = rng.beta(a, b, shape).repeat(hours, axis=1)
    added = {"right": world.right, "length": world.length, "refusals": world.refusals}[layer]
    chances[:, begin + change :] = np.clip(chances[:, begin + change :] + added, 0, 1)
    tolerance = TOLERANCE * (1 if layer == "refusals" else 2)
    drift = wandering(rng, (worlds, hours, QUESTIONS), world.wander * tolerance)
    ones = rng.binomial(1, np.clip(chances + drift, 0, 1))
    counts = np.ones_like(ones)
    # As the layer has it: which lengths are usual was learnt, so that nothing else is.
    said = 0 if layer == "length" else 1
    learnt = [said * each[:, :LEARNING].sum(axis=1) for each in (ones, counts)]
    return _first(ones, counts, learnt, layer=layer, tolerance=tolerance)


def _first(
    ones: np.ndarray,
    counts: np.ndarray,
    learnt: list[np.ndarray],
    *,
    layer: str,
    tolerance: float,
) -> np.ndarray:
    begin = LEARNING + BASELINE
    tables = tables_of(
        learnt[0],
        learnt[1],
        ones[:, LEARNING:begin].sum(axis=1),
        counts[:, LEARNING:begin].sum(axis=1),
        tolerance=tolerance,
        most=WINDOWS[layer],
    )
    return first_alarms(
        tables,
        ones[:, begin:],
        counts[:, begin:],
        horizon=MONTH,
        log_needed=_needed(layer),
        window=WINDOWS[layer],
    )


def _latency(
    world: World, rng: np.random.Generator, worlds: int, looks: int, change: int
) -> np.ndarray:
    begin = LEARNING + BASELINE
    hours = begin + looks
    # Half as long again at noon as at night, slow and fast hours on end, and every answer for itself.
    load = wandering(rng, (worlds, hours, 1), 0.5 * world.wander)
    logs = load + rng.normal(0, 0.3, (worlds, hours, QUESTIONS))
    logs[:, begin + change :] += math.log(world.slower)
    limits = np.quantile(logs[:, :begin], 0.9, axis=1, keepdims=True)
    slow = (logs[:, begin:] > limits).mean(axis=2)
    found = np.zeros(worlds, dtype=int)
    for i, hourly in enumerate(slow):
        watch = Watch([Band(high=SLOW_DAY)], horizon=MONTH // DAY, window=WINDOWS["latency"])
        for day in range(looks // DAY):
            watch.observe([(float(hourly[day * DAY : (day + 1) * DAY].mean()), 1)])
            if watch.log_e >= _needed("latency"):
                found[i] = (day + 1) * DAY
                break
    return found


def months(world: World, worlds: int, *, looks: int = MONTH, change: int = MONTH) -> np.ndarray:
    """Return the first alarms of many worlds, in two processes; the same at every call."""
    sizes = [min(CHUNK, worlds - done) for done in range(0, worlds, CHUNK)]
    with ProcessPoolExecutor(2) as pool:
        parts = [
            pool.submit(layer_alarms, world, 10_000 + i, size, looks, change, world.changed)
            for i, size in enumerate(sizes)
        ]
        return np.concatenate([part.result() for part in parts])


def upper_bound(alarms: int, worlds: int) -> float:
    """Return the upper 95 % bound of a share (Clopper & Pearson 1934, Biometrika 26:404-413)."""
    from scipy.stats import beta

    return 1.0 if alarms == worlds else float(beta.ppf(0.95, alarms + 1, worlds - alarms))


def report(worlds: int) -> Iterator[str]:
    """Yield the lines of both tables."""
    yield (
        f"Quiet months of {MONTH} hourly rounds, {PROMPTS} border prompts, {QUESTIONS} questions, a baseline of "
        f"{LEARNING + BASELINE} rounds with {_samples()} samples of each prompt; promised: at most "
        f"{100 * ALPHA:g} % with a false alarm."
    )
    yield ""
    yield "| the chances of an unchanged model | months | with a false alarm | upper 95 % bound |"
    yield "| --- | --- | --- | --- |"
    for quiet, tried in ((QUIET, worlds), (ROUGH, worlds // 10)):
        alarms = int((months(quiet, tried) > 0).sum())
        bound = upper_bound(alarms, tried)
        mark = "**!** " if quiet is QUIET and bound > ALPHA else ""
        yield f"| {quiet.name} | {tried:,} | {mark}{alarms} | {100 * bound:.2f} % |"
    yield ""
    yield f'Rounds from a change to its alarm, {worlds // 20:,} changes each; "-": not within {AFTER}.'
    yield ""
    yield "| what changes | within 10 | median | nine of ten within |"
    yield "| --- | --- | --- | --- |"
    for world in CHANGES:
        found = months(world, worlds // 20, looks=CHANGE + AFTER, change=CHANGE)
        delays = np.where(found > CHANGE, found - CHANGE, math.inf)[(found == 0) | (found > CHANGE)]
        cells = [f"{100 * np.mean(delays <= 10):.0f} %", *(_rounds(delays, q) for q in (0.5, 0.9))]
        yield f"| {world.name} | {' | '.join(cells)} |"


def _rounds(delays: np.ndarray, share: float) -> str:
    value = np.quantile(delays, share, method="higher")
    return "-" if math.isinf(value) else f"{value:.0f}"


def main(argv: list[str]) -> int:
    """Print the tables, and keep those that are whole; returns 1 where the promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulations.canary")
    parser.add_argument(
        "--worlds", type=int, default=2_000, help="quiet months; fewer keep nothing"
    )
    arguments = parser.parse_args(argv)
    lines = []
    for line in report(arguments.worlds):
        print(line, flush=True)
        lines.append(line)
    if arguments.worlds >= 2_000:
        PAGE.write_text(written(PAGE.read_text("utf-8"), "\n".join(lines)), "utf-8")
    return int(any("**!**" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
