"""A model that answers in 200 ms, concurrency 50, all recorded in SQLite, against the ideal and against others.

Whole processes, imports included, one after the other against one server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import (
    Timing,
    bare_loop,
    counts,
    environment,
    evaluate,
    migrated,
    questions,
    server,
)
from benchmarks.peers import PEERS, Contest
from benchmarks.table import Line

CONCURRENCY = 50
MODEL = ("--model", "openai:bench", "--concurrency", str(CONCURRENCY))


def measure(*, quick: bool) -> Iterator[Line]:
    for rows, must, beyond in ((100, None, None), (500, 2.0, 1.5)):
        yield from compete(rows, must=must, beyond=beyond)
    if not quick:
        yield from compete(2000, must_cpu=10, beyond_cpu=7)


def compete(
    rows: int,
    *,
    judged: bool = False,
    must: float | None = None,
    beyond: float | None = None,
    must_cpu: float | None = None,
    beyond_cpu: float | None = None,
) -> tuple[Line, Line]:
    """Run everybody; returns time over the bare loop's, and processor time a row."""
    found: dict[str, Timing | None] = {}
    faults = []
    with tempfile.TemporaryDirectory() as folder, server() as url:
        home = Path(folder)
        env = environment(home, url)
        migrated(home)
        data = questions(home, rows)
        ideal = bare_loop(url, rows, CONCURRENCY, env, judged=judged)
        assert ideal.code == 0, ideal.output[-2000:]
        before = counts(url)["requests"]
        scorer = ("correctness", "--judge", "openai:judge") if judged else ("exact_match",)
        lab = evaluate(data, home, env, *MODEL, "--scorer", *scorer)
        assert lab.code == 0, lab.output[-2000:]
        sent = counts(url)["requests"] - before
        for peer in PEERS:
            contest = Contest(home / peer.name, data, url, rows, CONCURRENCY, judged)
            # Its store is made before anything is timed, as MLflow's is.
            first = replace(contest, data=questions(home, 1), rows=1)
            try:
                peer.run(first, env)
                found[peer.name] = peer.run(contest, env)
            except AssertionError as exc:
                found[peer.name] = None
                faults.append(str(exc))
    ran = {name: timing for name, timing in found.items() if timing is not None}
    what = f"{rows:,} rows{', each judged in 300 ms' if judged else ''}"
    times = {"bare loop": ideal, "this program": lab, **ran}
    seconds = ", ".join(f"{name} {timing.wall:.2f} s" for name, timing in times.items())
    memory = ", ".join(f"{name} {timing.memory_mb:.0f} MB" for name, timing in times.items())
    return (
        Line(
            what=f"evaluation, {what}, over a bare aiohttp loop",
            reached=lab.wall / ideal.wall,
            unit="×",
            must=must,
            beyond=beyond,
            peers={name: timing.wall / ideal.wall for name, timing in ran.items()},
            note="; ".join([seconds, f"{sent:,} requests of this program", *faults]),
        ),
        Line(
            what=f"processor time a row, {what}",
            reached=lab.cpu / rows * 1000,
            unit="ms",
            must=must_cpu,
            beyond=beyond_cpu,
            peers={name: timing.cpu / rows * 1000 for name, timing in ran.items()},
            note=f"bare loop {ideal.cpu / rows * 1000:.1f} ms; {memory} at most",
        ),
    )
