"""`make simulate`: every promise in every world, as tables; they are kept in docs/statistics.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.simulations.properties import EXPERIMENTS, PROMISES
from benchmarks.simulations.running import Share, run_all
from benchmarks.simulations.tables import tables, written

RUNS = 300
QUICK = 8
PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def main(argv: list[str]) -> int:
    """Print the tables, and keep those that are whole; returns 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulations", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few evaluations; nothing is kept")
    parser.add_argument("--only", choices=PROMISES, help="one promise; nothing is kept")
    arguments = parser.parse_args(argv)
    runs = QUICK if arguments.quick else RUNS
    shares: list[Share] = []
    for done, found in enumerate(run_all(runs, promise=arguments.only), start=1):
        shares += found
        print(f"{done} of {len(EXPERIMENTS)} worlds", end="\r", file=sys.stderr)
    text = tables(shares, runs)
    print(text)
    if not arguments.quick and arguments.only is None:
        PAGE.write_text(written(PAGE.read_text("utf-8"), text), "utf-8")
    missed = [share for share in shares if share.broken]
    for share in missed:
        print(f"broken: {share}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
