"""Whether plans, margins and early ends keep their promises: shares of simulations, and what ends save."""

from __future__ import annotations

import statistics
import sys

import numpy as np

from llmflowlab.evaluation.conclude.results import Comparison
from llmflowlab.statistics import paired_test
from llmflowlab.statistics.noninferiority import non_inferior
from llmflowlab.statistics.planning import rows_for_yes_no
from llmflowlab.statistics.sequential import ConfidenceSequence, decide

PLANS = ((0.3, 0.1), (0.2, 0.05), (0.5, 0.15), (0.12, 0.1), (0.1, 0.03))
SIZES = (20, 50, 200)
MARGIN = 0.1
DATASET = 1000
CASES = (
    ("equal", 0.0, 0.2),
    ("2 points apart", 0.02, 0.2),
    ("a margin apart", MARGIN, 0.2),
    ("20 points apart", 0.2, 0.4),
)


def main(runs: int = 1000) -> None:
    generator = np.random.default_rng(20240607)
    for discordance, difference in PLANS:
        rows = rows_for_yes_no(discordance, difference)
        shown = sum(_shown(*_pairs(generator, rows, discordance, difference)) for _ in range(runs))
        print(
            f"power of {rows} rows planned for {100 * difference:.0f} points, {discordance:.0%} "
            f"discordant: {shown / runs:.3f} ({runs} runs)"
        )
    for n in SIZES:
        for discordance in (0.15, 0.3):
            accepted = 0
            for _ in range(runs):
                challenger, baseline = _pairs(generator, n, discordance, MARGIN)
                found = non_inferior(baseline, challenger, MARGIN, binary=True)
                accepted += found is not None and found.verdict == "non_inferior"
            print(
                f"worse by the margin, accepted: {accepted / runs:.3f} at n = {n}, "
                f"{discordance:.0%} discordant ({runs} runs)"
            )
    for name, difference, discordance in CASES:
        _sequential(generator, name, difference, discordance, runs)


def _sequential(
    generator: np.random.Generator, name: str, difference: float, discordance: float, runs: int
) -> None:
    """Look after every row of a dataset, and say how often the verdict was wrong, and when it came."""
    wrong, ends = 0, []
    chances = [(discordance - difference) / 2, 1 - discordance, (discordance + difference) / 2]
    for _ in range(runs):
        sequence, verdict = ConfidenceSequence(), None
        for value in generator.choice([-1.0, 0.0, 1.0], DATASET, p=chances):
            sequence.add(float(value))
            verdict = decide(sequence.interval, MARGIN)
            if verdict is not None:
                break
        ends.append(sequence.n)
        wrong += (
            verdict == "a_better"
            or (verdict == "b_better" and difference == 0)
            or (verdict == "equivalent" and difference >= MARGIN)
        )
    print(
        f"stopped when decided, {name}: wrong {wrong / runs:.3f}, after {statistics.median(ends):.0f} "
        f"of {DATASET} rows (median; {runs} runs)"
    )


def _pairs(
    generator: np.random.Generator, n: int, discordance: float, difference: float
) -> tuple[list[float], list[float]]:
    """Return paired yes/no scores; the second is better by `difference` on average."""
    only_a, only_b, same = map(
        int,
        generator.multinomial(
            n,
            [(discordance - difference) / 2, (discordance + difference) / 2, 1 - discordance],
        ),
    )
    first = [1.0] * only_a + [0.0] * only_b + [1.0] * same
    return first, [0.0] * only_a + [1.0] * only_b + [1.0] * same


def _shown(a: list[float], b: list[float]) -> bool:
    test = paired_test(a, b, binary=True)
    found = Comparison(
        a="a", b="b", scorer="s", test=test, p_adjusted=None if test is None else test.p_value
    )
    return found.verdict == "b_better"


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
