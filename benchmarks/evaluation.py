"""A model that answers in 200 ms, concurrency 50, all recorded in SQLite, against the ideal and against others.

Whole processes, imports included, one after the other against one server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.harness import CONCURRENCY, bench, counts, questions
from benchmarks.peers import PEERS, Contest
from benchmarks.processes import Timing
from benchmarks.table import Line


def measure(*, quick: bool) -> Iterator[Line]:
    for rows, must, beyond in ((100, None, None), (500, 2.0, 1.5)):
        yield from compete(rows, must=must, beyond=beyond)
    if not quick:
        yield from compete(2000, must_cpu=10, beyond_cpu=7)
        for provider in ("gemini", "ollama"):
            yield from compete(500, provider=provider)


def compete(
    rows: int,
    *,
    provider: str = "openai",
    judged: bool = False,
    must: float | None = None,
    beyond: float | None = None,
    must_cpu: float | None = None,
    beyond_cpu: float | None = None,
) -> tuple[Line, Line]:
    """Run everybody; returns time over the bare loop's, and processor time a row.

    The others, like the bare loop, are asked to speak OpenAI's protocol, so that they are left out for another.
    """
    found: dict[str, Timing | None] = {}
    faults = []
    with bench() as own:
        ideal = own.bare_loop(rows, judged=judged)
        before = counts(own.url)["requests"]
        lab = own.evaluate(rows, provider=provider, judged=judged)
        sent = counts(own.url)["requests"] - before
        for peer in PEERS if provider == "openai" else ():
            contest = Contest(
                own.home / peer.name, questions(own.home, rows), own.url, rows, CONCURRENCY, judged
            )
            # Its store is made before anything is timed, as MLflow's is.
            first = replace(contest, data=questions(own.home, 1), rows=1)
            try:
                peer.run(first, own.env)
                found[peer.name] = peer.run(contest, own.env)
            except AssertionError as exc:
                found[peer.name] = None
                faults.append(str(exc))
    ran = {name: timing for name, timing in found.items() if timing is not None}
    of = "" if provider == "openai" else f" of {provider}"
    what = f"{rows:,} rows{of}{', each judged in 300 ms' if judged else ''}"
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
