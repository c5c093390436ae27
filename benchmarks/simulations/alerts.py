"""`make simulate`, of alerts: how often rules fire where nothing is wrong, and how long they take where something is.

Quiet times are as hard as what a rule assumes allows: rates that touch their limit by day and fall by night,
shares that swing with the hour and wander on top of that, a new baseline in each. The tables are kept in
docs/monitoring.md.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.simulations.tables import written
from llmflowlab.monitoring.rule_watch import EvaluatedBaseline
from llmflowlab.statistics.mean_bounds import chernoff_interval
from tests.monitoring.made_observations import Stream, rule_of

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
QUIET, LOUD = 120, 8
ALPHA = 0.05
"""Of the quiet times, so that what is promised can be seen to be kept."""

Make = Callable[[random.Random], Mapping[str, Any]]
Sky = Callable[[], float]
World = Callable[[Sky, float], Make]
"""What answers are like under a weather, in a time whose effect has a size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A rule in its worlds."""

    says: str
    kind: str
    options: Mapping[str, Any]
    world: World
    quiet: float
    """The size at which nothing is wrong, and everything nearly."""
    usual: float
    sizes: Mapping[str, float]
    days: float
    """Length of a quiet time."""
    per_minute: float = 0.5
    scored: tuple[float, int] | None = None
    """Mean and n of an evaluation, drawn anew in each quiet time."""


class Weather:
    """Where a rate stands within its room, from 0 to 1: a day's swing, and a wandering of some hours."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._began = stream.now_ms
        self._wander = 0.0

    def __call__(self) -> float:
        hours = (self._stream.now_ms - self._began) / 3_600_000
        self._wander = 0.98 * self._wander + 0.2 * self._stream.random.gauss(0, 1)
        swing = 0.5 + 0.4 * math.cos(2 * math.pi * hours / 24)
        return min(max(swing + 0.1 * math.tanh(self._wander), 0.0), 1.0)


def _steady() -> float:
    return 0.5


def errors(weather: Sky, rate: float) -> Make:
    # Half of the time at the rate itself, less at night.
    return lambda r: (
        {"state": "failed", "error_reason": "x"}
        if r.random() < rate * min(0.5 + weather(), 1.0)
        else {}
    )


def cost(weather: Sky, dollars: float) -> Make:
    # Long tails: a few answers cost most.
    return lambda r: {
        "cost_usd": str(dollars * min(0.5 + weather(), 1.0) * r.lognormvariate(-0.5, 1.0))
    }


def score(weather: Sky, mean: float) -> Make:
    return lambda r: {"scorer": "thumbs_up", "score": float(r.random() < mean)}


def language(weather: Sky, share: float) -> Make:
    return lambda r: {"language": "de" if r.random() < share + 0.08 * (weather() - 0.5) else "en"}


def length(weather: Sky, factor: float) -> Make:
    return lambda r: {
        "length": int(r.lognormvariate(5, 0.6) * factor * (1 + 0.1 * (weather() - 0.5)))
    }


TRIALS = (
    Trial(
        says="errors, limit 5 %",
        kind="error_rate",
        options={"above": 0.05},
        world=errors,
        quiet=0.05,
        usual=0.02,
        sizes={"7.5 %": 0.075, "10 %": 0.1, "20 %": 0.2, "100 %": 1.0},
        days=1,
        per_minute=2,
    ),
    Trial(
        says="USD an hour, limit 1",
        kind="cost_per_hour",
        options={"above": 1.0},
        world=cost,
        # 120 answers an hour.
        quiet=1 / 120,
        usual=0.5 / 120,
        sizes={"1.5": 1.5 / 120, "2": 2 / 120, "5": 5 / 120},
        days=3,
        per_minute=2,
    ),
    Trial(
        says="mean of yes/no, 90 % in an evaluation of 400, margin 5 points",
        kind="score_drop",
        options={"scorer": "thumbs_up"},
        world=score,
        quiet=0.85,
        usual=0.9,
        sizes={"80 %": 0.8, "70 %": 0.7, "50 %": 0.5},
        days=3,
        scored=(0.9, 400),
    ),
    Trial(
        says="a language's share, 20 % before",
        kind="language_drift",
        options={},
        world=language,
        quiet=0.2,
        usual=0.2,
        sizes={"35 %": 0.35, "50 %": 0.5, "80 %": 0.8},
        days=4,
    ),
    Trial(
        says="length, times that before",
        kind="length_drift",
        options={},
        world=length,
        quiet=1.0,
        usual=1.0,
        sizes={"1.5": 1.5, "2": 2.0, "3": 3.0},
        days=4,
    ),
)


def _stream(trial: Trial, seed: int, **more: Any) -> Stream:
    baseline = None
    if trial.scored is not None:
        mean, n = trial.scored
        draw = random.Random(seed)
        drawn = sum(draw.random() < mean for _ in range(n))
        baseline = EvaluatedBaseline(mean=drawn / n, n=n)
    rule = rule_of(trial.kind, **trial.options, **more)
    return Stream(rule, per_minute=trial.per_minute, baseline=baseline, seed=seed)


def quiet(place: int, seed: int) -> bool:
    """Tell whether a rule fires in a quiet time."""
    trial = TRIALS[place]
    stream = _stream(trial, seed, alpha=ALPHA, days=trial.days)
    return (
        stream.until_fired(24 * (trial.days + 1), trial.world(Weather(stream), trial.quiet))
        is not None
    )


def loud(place: int, seed: int, size: float) -> float:
    """Return the hours that a rule takes as it is delivered: 1 % in 30 days; infinite beyond two days."""
    trial = TRIALS[place]
    stream = _stream(trial, seed)
    stream.run(26, trial.world(_steady, trial.usual))
    waited = stream.until_fired(48, trial.world(_steady, size))
    return math.inf if waited is None else waited


def main(argv: list[str]) -> int:
    """Print the tables, and keep them where they are whole; returns 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulations.alerts")
    parser.add_argument("--quick", action="store_true", help="few times; nothing is kept")
    arguments = parser.parse_args(argv)
    runs, loud_runs = (8, 3) if arguments.quick else (QUIET, LOUD)
    broken = 0
    alarms = [
        "| quiet at the limit | days each | times | with a false alarm | upper 95 % bound | promised |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    delays = [
        "| what | effect | median hours to the alert | within two days |",
        "| --- | --- | --- | --- |",
    ]
    with ProcessPoolExecutor(2) as pool:
        for place, trial in enumerate(TRIALS):
            print(trial.says, file=sys.stderr)
            fired = sum(pool.map(quiet, [place] * runs, range(runs), chunksize=4))
            upper = chernoff_interval(fired / runs, runs, alpha=0.05).high
            broken += fired / runs > ALPHA
            alarms.append(
                f"| {trial.says} | {trial.days:g} | {runs} | {fired} | {upper:.1%} | {ALPHA:.0%} |"
            )
            for name, size in trial.sizes.items():
                hours = list(
                    pool.map(loud, [place] * loud_runs, range(loud_runs), [size] * loud_runs)
                )
                middle = median(hours)
                shown = "more than 48" if middle == math.inf else f"{middle:.1f}"
                seen = sum(each < math.inf for each in hours)
                delays.append(f"| {trial.says} | {name} | {shown} | {seen} of {loud_runs} |")
    text = "\n".join([*alarms, "", *delays])
    print(text)
    if not arguments.quick:
        PAGE.write_text(written(PAGE.read_text("utf-8"), text), "utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
