"""The HTTP service before a model that takes 50 and 200 ms, over a bare ASGI proxy before the same model.

The proxy (`bare_proxy.py`: plain ASGI, aiohttp, the service's own server settings) passes on what comes. Both
run all the time, on one machine with the model and the clients, and take turns of two seconds; the service
checks with the usual rules and keeps every answer.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.callers import Calls
from benchmarks.gateway import gateway
from benchmarks.harness import migrated, server
from benchmarks.served import Service, bare_proxy, begun, calls, drained, service, waited_for
from benchmarks.table import Line
from llmflowlab.text.amounts import plural

MANY = 200
WARM = 200


def measure(*, quick: bool) -> Iterator[Line]:
    rounds = 3 if quick else 8
    for latency in (50, 200):
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            model = stack.enter_context(server("--latency-ms", str(latency)))
            bare = stack.enter_context(bare_proxy(model))
            ours, blind, free = _services(stack, home, model)
            everybody = [bare, ours.url, blind.url, free.url]
            warm = calls(everybody, clients=8, requests=WARM)
            yield from _alone(latency, bare, ours, rounds)
            yield _gateway(latency, home / "gateway", model, bare, ours, rounds)
            yield from _streams(latency, bare, ours, free, rounds)
            yield from _many(latency, bare, ours, blind, rounds)
            if latency == 50:
                yield from _long(bare, ours)
                yield from _memory(ours, 2_000 if quick else 10_000)
            yield from _recorded(latency, ours, warm[1], wait=latency == 50)


_answered: dict[str, int] = {}


def _services(stack: ExitStack, home: Path, model: str) -> tuple[Service, Service, Service]:
    """Start the service; one that keeps no turn; and one without rules."""
    found = []
    for name, options, program in (
        ("ours", ("--guardrails", "on"), ("main.py",)),
        ("blind", ("--guardrails", "on"), ("-m", "benchmarks.unrecorded")),
        ("free", ("--guardrails", "off"), ("main.py",)),
    ):
        migrated(home / name)
        found.append(stack.enter_context(service(home / name, model, *options, program=program)))
    return found[0], found[1], found[2]


def _alone(latency: int, bare: str, ours: Service, rounds: int) -> Iterator[Line]:
    """One client, and as many as hardly wait for each other: what a call takes longer where there is processor time."""
    for clients in (1, 4):
        yield from _few(latency, clients, bare, ours, rounds)


def _few(latency: int, clients: int, bare: str, ours: Service, rounds: int) -> Iterator[Line]:
    theirs, own = calls([bare, ours.url], clients=clients, rounds=rounds)
    _count(ours, own)
    rate = own.answered / own.seconds
    for of, share, must in (("median", 0.5, 5), ("99 of 100", 0.99, 15)):
        before, after = _at(theirs.times, share), _at(own.times, share)
        yield Line(
            what=f"{plural(clients, 'client')}, calls of {latency} ms, added, {of}",
            reached=after - before,
            unit="ms",
            must=must,
            note=f"{after:.1f} and {before:.1f} ms; {rate:.0f} calls a second"
            + _wrong(theirs, own),
        )


def _gateway(latency: int, home: Path, model: str, bare: str, ours: Service, rounds: int) -> Line:
    """MLflow's own gateway in the same minutes, with its traces, without rules."""
    what = f"a call of {latency} ms, added by MLflow's gateway, median"
    try:
        with gateway(home, model) as url:
            calls([url], clients=4, requests=50)
            theirs, own, mlflow = calls([bare, ours.url, url], clients=4, rounds=rounds)
    except (subprocess.CalledProcessError, AssertionError) as exc:
        return Line(what=what, reached=None, unit="ms", note=f"does not run here: {exc}")
    _count(ours, own)
    bases = [_at(theirs.times, share) for share in (0.5, 0.99)]
    ended = mlflow.times or [float("nan")]
    return Line(
        what=what,
        reached=_median(ended) - bases[0],
        unit="ms",
        note=f"99 of 100 {_at(ended, 0.99) - bases[1]:.1f} ms; the service beside it "
        f"{_median(own.times) - bases[0]:.1f} and {_at(own.times, 0.99) - bases[1]:.1f} ms"
        + _wrong(theirs, own, mlflow),
    )


def _streams(latency: int, bare: str, ours: Service, free: Service, rounds: int) -> Iterator[Line]:
    """Long answers, a frame each 20 ms."""
    urls = [bare, free.url, ours.url]
    theirs, own, ruled = calls(urls, clients=4, kind="stream", rounds=rounds)
    _count(ours, ruled)
    _count(free, own)
    first = [_median([at[place] for at in theirs.pieces]) for place in range(2)]
    without, checked = (_median([at[0] for at in each.pieces]) for each in (own, ruled))
    yield Line(
        what=f"first frame of an answer after {latency} ms, added, no rules",
        reached=without - first[0],
        unit="ms",
        must=5,
        note=f"{without:.1f} and {first[0]:.1f} ms" + _wrong(theirs, own, ruled),
    )
    yield Line(
        what=f"first frame of an answer after {latency} ms, added, rules on",
        reached=checked - first[1],
        unit="ms",
        must=5,
        note="from when the second sentence has come: the first leaves when it was read; "
        f"{checked:.1f} and {first[1]:.1f} ms",
    )
    before, after = _at(theirs.gaps, 0.99), _at(ruled.gaps, 0.99)
    yield Line(
        what=f"gap between frames after {latency} ms, added, 99 of 100",
        reached=after - before,
        unit="ms",
        must=1,
        note=f"{after:.1f} and {before:.1f} ms, rules on; no rules {_at(own.gaps, 0.99):.1f} ms",
    )


def _many(latency: int, bare: str, ours: Service, blind: Service, rounds: int) -> Iterator[Line]:
    """As many clients as the machine has no processor for."""
    theirs, own, unkept = calls(
        [bare, ours.url, blind.url], clients=MANY, rounds=rounds, seconds=4.0
    )
    _count(ours, own)
    rates = [each.answered / each.seconds for each in (theirs, own, unkept)]
    said = f"{rates[0]:.0f}, {rates[1]:.0f} and without keeping them {rates[2]:.0f} a second"
    yield Line(
        what=f"{MANY} clients, calls of {latency} ms, the bare proxy's rate over this one's",
        reached=rates[0] / rates[1],
        unit="×",
        must=1 / 0.7,
        note=said + _wrong(theirs, own, unkept),
    )
    yield Line(
        what=f"{MANY} clients, calls of {latency} ms, the rate without keeping answers over the rate with",
        reached=rates[2] / rates[1],
        unit="×",
        must=1 / 0.9,
        note=said,
    )
    theirs, own = calls([bare, ours.url], clients=MANY, requests=MANY, kind="stream")
    _count(ours, own)
    yield Line(
        what=f"{MANY} streams at once after {latency} ms: answers that lack a frame or an end",
        reached=len(own.wrong),
        unit="",
        must=0,
        note=f"{own.answered} whole ones in {own.seconds:.1f} s, through the proxy in "
        f"{theirs.seconds:.1f} s" + _wrong(theirs, own),
    )


def _long(bare: str, ours: Service) -> Iterator[Line]:
    """A prompt of 100,000 tokens, and those who ask something short meanwhile."""
    (quiet,) = calls([ours.url], clients=4, seconds=4.0)
    _count(ours, quiet)
    short = begun([ours.url], clients=4, seconds=8.0)
    theirs, own = calls([bare, ours.url], clients=1, requests=8, kind="long")
    (others,) = waited_for(short)
    _count(ours, own, others)
    yield Line(
        what="a prompt of 100,000 tokens, added, median",
        reached=_median(own.times) - _median(theirs.times),
        unit="ms",
        note=f"{_median(own.times):.0f} and {_median(theirs.times):.0f} ms; others meanwhile "
        f"{_median(others.times):.1f} ms, 99 of 100 {_at(others.times, 0.99):.1f} ms, the longest "
        f"{max(others.times):.1f} ms; without it {_median(quiet.times):.1f}, "
        f"{_at(quiet.times, 0.99):.1f} and {max(quiet.times):.1f} ms" + _wrong(theirs, own, others),
    )


def _memory(ours: Service, requests: int) -> Iterator[Line]:
    """Growth once everything is warm."""
    before, worked = ours.memory_mb, ours.cpu
    (found,) = calls([ours.url], clients=50, requests=requests)
    _count(ours, found)
    after = ours.memory_mb
    yield Line(
        what="memory that 10,000 calls add once it is warm",
        reached=(after - before) * 10_000 / requests,
        unit="MB",
        must=5,
        note=f"{before:.0f} MB, after {requests:,} calls {after:.0f} MB" + _wrong(found),
    )
    yield Line(
        what="processor time of a call in the service",
        reached=(ours.cpu - worked) * 1000 / requests,
        unit="ms",
        note=f"{requests:,} calls, 50 at once; what delivers to MLflow is not in it",
    )


def _recorded(latency: int, ours: Service, warm: Calls, *, wait: bool) -> Iterator[Line]:
    """Every answer once in the database, and then in MLflow."""
    _count(ours, warm)
    answered = _answered.pop(ours.url)
    turns, questions, lacking = ours.kept()
    yield Line(
        what=f"calls of {latency} ms that were answered and are not kept once",
        reached=abs(answered - turns) + (turns - questions),
        unit="",
        must=0,
        note=f"{answered:,} answered, {turns:,} kept",
    )
    if wait:
        seconds = drained(ours.home)
        each = "" if seconds is None else f", {1000 * seconds / max(lacking, 1):.1f} ms each"
        yield Line(
            what="MLflow has what it lacked after all that",
            reached=seconds,
            unit="s",
            note=f"{lacking:,} answers{each}",
        )


def _count(ours: Service, *found: Calls) -> None:
    for each in found:
        _answered[ours.url] = _answered.get(ours.url, 0) + each.answered


def _wrong(*found: Calls) -> str:
    every = [said for each in found for said in each.wrong]
    return f"; {len(every)} wrong: {every[0]!r}" if every else ""


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _at(values: Sequence[float], share: float) -> float:
    """Return what so large a share of the values is within."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
