"""500 rows, a model that answers in 200 ms, concurrency 50, all recorded in SQLite, against the ideal.

Whole processes, imports included. Prints ratios: `python -m benchmarks.evaluation [rows]`.
"""

from __future__ import annotations

import sys
import tempfile
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


def main(rows: int = 500, concurrency: int = 50) -> None:
    with tempfile.TemporaryDirectory() as folder, server() as url:
        home = Path(folder)
        env = environment(home, url)
        migrated(home)
        data = questions(home, rows)
        ideal = bare_loop(url, rows, concurrency, env)
        before = counts(url)["requests"]
        options = ("--model", "openai:bench", "--scorer", "exact_match")
        lab = evaluate(data, home, env, *options, "--concurrency", str(concurrency))
        assert lab.code == 0, lab.output
        sent = counts(url)["requests"] - before
    print(
        f"evaluation, {rows} rows: {lab.wall / ideal.wall:.1f} × the bare loop "
        f"({lab.wall:.2f} s against {ideal.wall:.2f} s), {lab.cpu / rows * 1000:.1f} ms of "
        f"processor a row, {lab.memory_mb:.0f} MB, {sent} requests"
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
