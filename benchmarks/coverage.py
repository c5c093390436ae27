"""Whether intervals cover as they say: shares of simulations whose interval holds the truth."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from llmflowlab.statistics import bootstrap_interval, tango_interval

Draw = Callable[[np.random.Generator, int], np.ndarray]

SHAPES: dict[str, tuple[Draw, float]] = {
    "beta(2, 2)": (lambda g, n: g.beta(2, 2, n), 0.5),
    "beta(5, 1)": (lambda g, n: g.beta(5, 1, n), 5 / 6),
    "beta(1/2, 1/2)": (lambda g, n: g.beta(0.5, 0.5, n), 0.5),
    "0, 1/2, 1": (lambda g, n: g.choice([0.0, 0.5, 1.0], n, p=[0.2, 0.3, 0.5]), 0.65),
}
SIZES = (20, 50, 200)


def main(runs: int = 2000) -> None:
    generator = np.random.default_rng(20240607)
    for shape, (draw, truth) in SHAPES.items():
        found = []
        for n in SIZES:
            inside = 0
            for _ in range(runs):
                interval = bootstrap_interval([float(value) for value in draw(generator, n)])
                inside += interval.low <= truth <= interval.high
            found.append(f"{inside / runs:.3f} at n = {n}")
        print(f"coverage, mean of {shape}: {', '.join(found)} ({runs} runs)")
    found = []
    for n in SIZES:
        inside = 0
        for _ in range(runs):
            _, only_a, only_b, _ = map(int, generator.multinomial(n, [0.5, 0.12, 0.2, 0.18]))
            interval = tango_interval(only_a, only_b, n)
            inside += interval.low <= 0.08 <= interval.high
        found.append(f"{inside / runs:.3f} at n = {n}")
    print(f"coverage, paired difference of yes/no: {', '.join(found)} ({runs} runs)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
