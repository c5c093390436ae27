"""`python -m tests.loopback`: the server in a process of its own, for end-to-end tests and trials.

Prints its address and the variables for each provider as `NAME=value` lines, then an empty line, and
serves until its standard input ends or it is interrupted.
"""

from __future__ import annotations

import argparse
import csv
import sys
import threading
from pathlib import Path
from typing import get_args

from tests.loopback.scenario import Fault, FaultKind, Scenario, WireName
from tests.loopback.server import LoopbackServer


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; the scenario it asks for is `scenario`."""
    parser = argparse.ArgumentParser(prog="python -m tests.loopback", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="before the first token")
    parser.add_argument("--token-ms", type=float, default=0.0, help="between two tokens")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[:every=N][,wait=S][,after=N][,wire=NAME][,model=NAME][,status=N][,times=N]",
        help=f"once unless every= or times= says more; kinds: {', '.join(get_args(FaultKind))}",
    )
    parser.add_argument("--answers", type=Path, help="CSV with the columns question and answer")
    parser.add_argument("--answer", help="say this to everything else, in place of an echo")
    parser.add_argument("--reasoning", default="", help="thoughts before each answer")
    parser.add_argument("--verdict", choices=("yes", "no"), default="yes", help="of a judge")
    parser.add_argument("--no-models", action="store_true", help="an Ollama without models")
    parser.add_argument(
        "--keep", action="store_true", help="serve on when standard input ends (until a signal)"
    )
    given = parser.parse_args(argv)
    given.scenario = _scenario(given, parser)
    return given


def _scenario(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Scenario:
    scenario = Scenario(
        latency=options.latency_ms / 1000,
        token_latency=options.token_ms / 1000,
        reasoning=options.reasoning,
        verdict=lambda whole: str(options.verdict),
    )
    if options.answer is not None:
        scenario.answer = lambda question: str(options.answer)
    if options.answers is not None:
        with options.answers.open(encoding="utf-8", newline="") as file:
            scenario.answers = {row["question"]: row["answer"] for row in csv.DictReader(file)}
    if options.no_models:
        scenario.models["ollama"] = []
    for text in options.fault:
        _add_fault(scenario, text, parser)
    return scenario


def main(argv: list[str] | None = None) -> int:
    given = options(argv)
    with LoopbackServer(given.scenario, port=given.port) as server:
        lines = [f"LOOPBACK_URL={server.url}"]
        lines += [f"{name}={value}" for name, value in server.environment().items()]
        sys.stdout.write("\n".join(lines) + "\n\n")
        sys.stdout.flush()
        try:
            if given.keep:
                threading.Event().wait()
            sys.stdin.read()
        except KeyboardInterrupt:
            return 130
    return 0


def _add_fault(scenario: Scenario, text: str, parser: argparse.ArgumentParser) -> None:
    kind, _, rest = text.partition(":")
    if kind not in get_args(FaultKind):
        parser.error(f"{kind!r} is no fault; choose from {', '.join(get_args(FaultKind))}")
    given = dict(pair.partition("=")[::2] for pair in rest.split(",") if pair)
    try:
        every = int(given.pop("every", 0))
        times = int(given.pop("times", 1))
        wire = given.pop("wire", None)
        if wire is not None and wire not in get_args(WireName):
            raise ValueError(f"no wire {wire!r}")
        fault = Fault(
            kind,  # type: ignore[arg-type]  # checked above
            wait=float(given.pop("wait")) if "wait" in given else None,
            after=int(given.pop("after")) if "after" in given else None,
            status=int(given.pop("status")) if "status" in given else None,
            wire=wire,  # type: ignore[arg-type]  # checked above
            model=given.pop("model", None),
        )
    except ValueError as exc:
        parser.error(f"--fault {text}: {exc}")
    if given:
        parser.error(f"--fault {text}: unknown {', '.join(given)}")
    if every:
        scenario.fail_every(every, fault)
    else:
        scenario.fail(*[fault] * times)


if __name__ == "__main__":
    sys.exit(main())
