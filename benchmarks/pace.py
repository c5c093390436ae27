"""100 rows at an endpoint that refuses above five requests a second, against the ideal 20 seconds."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.harness import counts, environment, evaluate, migrated, questions, server

PER_SECOND = 5


def main(rows: int = 100) -> None:
    with tempfile.TemporaryDirectory() as folder, server("--per-second", str(PER_SECOND)) as url:
        home = Path(folder)
        env = environment(home, url)
        migrated(home)
        data = questions(home, rows)
        options = ("--model", "openai:bench", "--scorer", "exact_match", "--concurrency", "50")
        lab = evaluate(data, home, env, *options)
        assert lab.code == 0, lab.output
        refused = counts(url)["refused"]
    ideal = rows / PER_SECOND
    print(
        f"pace, {rows} rows at {PER_SECOND} a second: {lab.wall / ideal:.2f} × the ideal "
        f"({lab.wall:.1f} s against {ideal:.0f} s, imports included), {refused} refusals"
    )


if __name__ == "__main__":
    main()
