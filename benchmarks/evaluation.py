"""500 rows, a model that answers in 200 ms, concurrency 50, all recorded in SQLite, against the ideal.

Whole processes, imports included. Prints a line of ratios for each provider, or for one:
`python -m benchmarks.evaluation [rows] [--provider gemini]`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    bare_loop,
    counts,
    environment,
    evaluate,
    migrated,
    questions,
    server,
)

PROVIDERS = ("openai", "gemini", "ollama")


def main(rows: int = 500, concurrency: int = 50, providers: Sequence[str] = PROVIDERS) -> None:
    with tempfile.TemporaryDirectory() as folder, server() as url:
        data = questions(Path(folder), rows)
        for provider in providers:
            home = Path(folder) / provider
            env = environment(home, url)
            migrated(home)
            ideal = bare_loop(url, rows, concurrency, env)
            before = counts(url)["requests"]
            options = ("--model", f"{provider}:bench", "--scorer", "exact_match")
            lab = evaluate(data, home, env, *options, "--concurrency", str(concurrency))
            assert lab.code == 0, lab.output
            sent = counts(url)["requests"] - before
            print(
                f"evaluation, {rows} rows, {provider}: {lab.wall / ideal.wall:.1f} × the bare loop "
                f"({lab.wall:.2f} s against {ideal.wall:.2f} s), {lab.cpu / rows * 1000:.1f} ms of "
                f"processor a row, {lab.memory_mb:.0f} MB, {sent} requests",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=500)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--provider", action="append", choices=PROVIDERS)
    given = parser.parse_args()
    main(given.rows, given.concurrency, given.provider or PROVIDERS)
