"""`make bench`: what must be fast, measured and held against what it must reach, beside other programs, as one table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module

from benchmarks.machine import Conditions, Watch, versions
from benchmarks.peers import PEERS
from benchmarks.table import Line, figure, line_to_json, table
from llmflowlab.errors import ExitCode

TARGETED = (
    "startup",
    "first_token",
    "one_shot",
    "local_answer",
    "info",
    "evaluation",
    "judged",
    "growth",
    "long_chat",
    "guardrails_speed",
    "service",
)
"""Modules of this package; each has `measure`. What they measure must reach something."""

OTHERS = (
    "mlflow_evaluate",
    "resume",
    "pace",
    "data_check",
    "faults",
    "scale",
    "shared_store",
)
"""Run only when named."""

LONG = ("growth", "long_chat", "service")
"""Minutes each, and of no worth with less."""


def options(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    choices = (*TARGETED, *OTHERS)
    parser.add_argument(
        "--only",
        action="append",
        choices=choices,
        metavar="NAME",
        help=f"one of {', '.join(choices)}; may be repeated",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, nothing that takes minutes"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Print the table; returns 1 where something could not be measured or misses what it must reach."""
    chosen = options(argv)
    watch = Watch()
    lines: list[Line] = []
    interrupted = False
    try:
        for name in chosen.only or [n for n in TARGETED if not (chosen.quick and n in LONG)]:
            for line in measured(name, quick=chosen.quick):
                said = f"{line.what}: {figure(line.reached, line.unit)}; {line.note}"
                print(said, file=sys.stderr)
                lines.append(line)
    except KeyboardInterrupt:
        interrupted = True
    conditions = watch.conditions()
    found = {peer.name: peer.version() for peer in PEERS}
    if chosen.json:
        document = {
            "machine": conditions.to_json(),
            "versions": {**versions(), **found},
            "lines": [line_to_json(line) for line in lines],
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(report(lines, conditions, found))
    missed = any(line.verdict == "miss" or line.reached is None for line in lines)
    return ExitCode.INTERRUPTED if interrupted else int(missed)


def program(name: str) -> Callable[..., Iterator[Line]]:
    """Return what measures; imported when it is run, so that what is measured is started by a small process."""
    measure: Callable[..., Iterator[Line]] = import_module(f"benchmarks.{name}").measure
    return measure


def measured(name: str, *, quick: bool) -> Iterator[Line]:
    """Yield the lines of a program; what it fails with is a line too, so that the others are not lost."""
    try:
        yield from program(name)(quick=quick)
    except Exception as exc:  # noqa: BLE001 - the shell around programs that measure programs
        lines = str(exc).strip().splitlines() or [type(exc).__name__]
        yield Line(what=name, reached=None, unit="", note=f"failed: {lines[-1]}")


def report(lines: Sequence[Line], conditions: Conditions, peers: Mapping[str, str | None]) -> str:
    """Return the table with what was measured, where, and what is not installed."""
    known = {**versions(), **{name: number for name, number in peers.items() if number}}
    absent = [
        f"- {peer.name} is not installed: {peer.install}; found on PATH or by {peer.variable}."
        for peer in PEERS
        if peers[peer.name] is None
    ]
    measured_on = ", ".join(f"{name} {number}" for name, number in known.items())
    drawn = table(lines, [peer.name for peer in PEERS])
    return "\n".join([f"{measured_on}. {conditions}.", "", drawn, *absent])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
