"""`make bench`: what must be fast, measured and held against what it must reach, beside other programs, as one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version

import llmflowlab
from benchmarks.peers import PEERS
from benchmarks.table import Line, line_to_json, table

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
)
"""Modules of this package; each has `measure`. What they measure must reach something."""

OTHERS = ("mlflow_evaluate", "resume", "pace", "data_check", "faults")
"""Run only when named."""

LONG = ("growth", "long_chat")
"""Minutes each, and of no worth with less."""

BUSY = 0.25
"""Load a core above which others take part in what is measured."""


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
    load = os.getloadavg()[0]
    names = chosen.only or [name for name in TARGETED if not (chosen.quick and name in LONG)]
    lines = []
    for name in names:
        for line in measured(name, quick=chosen.quick):
            print(f"{name}: {line.what}", file=sys.stderr)
            lines.append(line)
    found = {peer.name: peer.version() for peer in PEERS}
    if chosen.json:
        document = {
            "machine": {"cores": os.cpu_count(), "load_before": load, "busy": is_busy(load)},
            "versions": {**versions(), **found},
            "lines": [line_to_json(line) for line in lines],
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(report(lines, load, found))
    return int(any(line.verdict == "miss" or line.reached is None for line in lines))


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


def report(lines: Sequence[Line], load: float, peers: Mapping[str, str | None]) -> str:
    """Return the table with what was measured, where, and what is not installed."""
    known = ", ".join(f"{name} {number}" for name, number in versions().items())
    others = ", ".join(f"{name} {number}" for name, number in peers.items() if number)
    state = "busy: others took part, so these are upper bounds" if is_busy(load) else "quiet"
    parts = [
        f"{known}{'; ' if others else ''}{others}. {os.cpu_count()} cores, load {load:.1f} before "
        f"({state}).",
        "",
        table(lines, [peer.name for peer in PEERS]),
    ]
    for peer in PEERS:
        if peers[peer.name] is None:
            parts.append(
                f"- {peer.name} is not installed: {peer.install}; found on PATH or by {peer.variable}."
            )
    return "\n".join(parts)


def versions() -> dict[str, str]:
    """Return what is measured, and what it stands on."""
    own = {"LLMFlowLab": llmflowlab.__version__, "Python": platform.python_version()}
    return own | {name: version(name) for name in ("mlflow", "openai", "aiohttp")}


def is_busy(load: float) -> bool:
    """Whether others use the machine so much that figures are worth less."""
    return load > BUSY * (os.cpu_count() or 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
