"""How time and memory grow from 500 to 10,000 rows, whole processes, all recorded in SQLite."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.harness import counts, environment, evaluate, migrated, questions, server

SMALL = 500


def main(large: int = 10_000, concurrency: int = 50) -> None:
    found = {}
    for rows in (SMALL, large):
        with tempfile.TemporaryDirectory() as folder, server("--latency-ms", "50") as url:
            home = Path(folder)
            env = environment(home, url)
            migrated(home)
            data = questions(home, rows)
            options = ("--model", "openai:bench", "--scorer", "exact_match")
            found[rows] = evaluate(data, home, env, *options, "--concurrency", str(concurrency))
            assert found[rows].code == 0, found[rows].output[-2000:]
            assert counts(url)["requests"] == rows
    few, many = found[SMALL], found[large]
    print(
        f"growth, {SMALL} to {large:,} rows ({large / SMALL:.0f} ×): "
        f"{many.wall / few.wall:.1f} × the time ({many.wall:.0f} s), "
        f"{many.cpu / large * 1000:.1f} ms of processor a row; memory "
        + ", ".join(
            f"{name} {few.peaks[name]:.0f} to {most:.0f} MB "
            f"({(most - few.peaks[name]) / (large - SMALL) * 1024:.1f} kB a row)"
            for name, most in many.peaks.items()
        )
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
