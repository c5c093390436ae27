"""`python -m benchmarks.outside_people FOLDER`: figures of public sets, which are not ours to ship.

The folder holds, there or in folders of it, as their repositories have them:
`diverse_safety_adversarial_dialog_{350,990}.csv` (google-research-datasets/dices-dataset), of which
Krippendorff's alpha of `Q_overall` must be one of .1609 and .1433, within two seconds each;
`forest_badmodel.npz` (ppi_py's data: `Y` and `Yhat`), of whose first 200 rows people's words
are taken: the useless model must not widen their interval; and `alpaca_eval/` with a checkout of tatsu-lab/alpaca_eval, whose published win rates are
made anew from its annotations. What is not there is left out. Exit code 1: a figure differs, or takes too long.
Without a folder, alpha is made of drawn ratings of the same size, for its seconds alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from llmflowlab.statistics.battles import win_rate
from llmflowlab.statistics.krippendorff import krippendorff_alpha, krippendorff_interval
from llmflowlab.statistics.prediction_powered import combined_mean

_DICES = ("diverse_safety_adversarial_dialog_350.csv", "diverse_safety_adversarial_dialog_990.csv")
_SIZES = ((350, 123), (990, 72))
"""Units and raters of the two, for drawn ratings."""
_ALPHAS = (0.1609, 0.1433)
"""Published, of one set each."""
_SECONDS = 2.0
"""That alpha with its interval may take."""
_FOREST = "forest_badmodel.npz"
_NEAR = 0.01
"""Points of a hundred by which a win rate may differ from the published one."""


def alphas(file: Path) -> bool:
    """Say how far the raters of a set agree; returns whether that is what was published, and soon."""
    codes: dict[str, float] = {}
    units: dict[str, list[float]] = defaultdict(list)
    with file.open(encoding="utf-8", newline="") as source:
        for line in csv.DictReader(source):
            said = line["Q_overall"]
            units[line["item_id"]].append(codes.setdefault(said, float(len(codes))))
    alpha, soon = timed_alpha(file.name, list(units.values()))
    return soon and alpha is not None and any(abs(alpha - known) <= 5e-5 for known in _ALPHAS)


def timed_alpha(name: str, ratings: list[list[float]]) -> tuple[float | None, bool]:
    """Print alpha with its interval and its seconds; returns it, and whether it came in time."""
    began = time.perf_counter()
    alpha, interval = (
        krippendorff_alpha(ratings, "nominal"),
        krippendorff_interval(ratings, "nominal"),
    )
    seconds = time.perf_counter() - began
    most = max(map(len, ratings))
    print(
        f"{name}: {len(ratings)} units, up to {most} raters: {alpha} {interval} in {seconds:.2f} s"
    )
    return alpha, seconds <= _SECONDS


def drawn_ratings(units: int, raters: int) -> list[list[float]]:
    """Return ratings of three kinds that agree a little, as many as the public sets have."""
    source = np.random.default_rng(7)
    leaning = source.dirichlet((1.2, 0.3, 2.4), units)
    return [source.choice(3, raters, p=shares).astype(float).tolist() for shares in leaning]


def win_rates(folder: Path) -> tuple[int, int]:
    """Return how many published win rates there are, and how many of them come out."""
    found = right = 0
    for board in sorted(folder.glob("src/alpaca_eval/leaderboards/data_AlpacaEval*/*.csv")):
        annotator = board.name.removesuffix("_leaderboard.csv")
        with board.open(encoding="utf-8", newline="") as source:
            published = {line[""]: float(line["win_rate"]) for line in csv.DictReader(source)}
        for model, expected in published.items():
            file = folder / "results" / model / annotator / "annotations.json"
            if not file.is_file() or file.stat().st_size < 1_000:
                continue
            annotations = json.loads(file.read_text("utf-8"))
            if {one.get("annotator", annotator) for one in annotations} != {annotator}:
                # Of another annotator than the leaderboard's.
                continue
            scores = [
                (1.5 if preference == 0 else preference) - 1
                for one in annotations
                if (preference := one.get("preference")) is not None and 0 <= preference <= 2
            ]
            value = win_rate(scores).value
            found += 1
            near = value is not None and abs(100 * value - expected) <= _NEAR
            right += near
            if not near:
                print(f"{annotator}, {model}: {100 * (value or 0):.2f}, published {expected:.2f}")
    return found, right


def forest(file: Path) -> str:
    """Say what 200 words and a useless model tell together."""
    data = np.load(file)
    said = [*map(float, data["Y"][:200]), *[None] * (len(data["Y"]) - 200)]
    found = combined_mean(said, [float(v) for v in data["Yhat"]], binary=True)
    return f"{file.name}: {found}"


def main(argv: list[str]) -> int:
    """Print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outside_people")
    parser.add_argument("folder", type=Path, nargs="?")
    folder = parser.parse_args(argv).folder
    if folder is None:
        timed = [timed_alpha("drawn", drawn_ratings(*size)) for size in _SIZES]
        return int(not all(soon for _, soon in timed))
    checked = [alphas(file) for name in _DICES for file in sorted(folder.rglob(name))]
    for file in sorted(folder.rglob(_FOREST)):
        print(forest(file))
    found, right = win_rates(folder / "alpaca_eval")
    print(f"AlpacaEval: {right} of {found} published win rates come out, to {_NEAR} points")
    return int(right < found or not all(checked))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
