"""How long until the menu is on screen, against `python -c "import questionary"`.

The program runs under a pseudo-terminal and is timed until it has drawn its last menu line. Medians
of several pairs, one after the other.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect

from benchmarks.harness import environment
from benchmarks.processes import ROOT, timed
from benchmarks.table import Line


def measure(*, quick: bool) -> Iterator[Line]:
    pairs = 3 if quick else 7
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder), "http://127.0.0.1:9/v1") | {"TERM": "xterm-256color"}
        ratios = []
        for _ in range(pairs):
            bare = timed([sys.executable, "-c", "import questionary"], env).wall
            ratios.append(_menu(env) / bare)
    yield Line(
        what="menu on screen, over `import questionary`",
        reached=statistics.median(ratios),
        unit="×",
        must=1.5,
        beyond=1.2,
        note=f"{min(ratios):.2f} to {max(ratios):.2f} in {pairs} pairs",
    )


def _menu(env: dict[str, str]) -> float:
    began = time.perf_counter()
    # Typed as the environment of a process; pexpect's stubs want its own alias for it.
    child = pexpect.spawn(sys.executable, ["main.py"], cwd=str(ROOT), env=dict(env), timeout=30)
    child.expect(r"\d Exit")
    seconds = time.perf_counter() - began
    child.sendcontrol("c")
    child.expect(pexpect.EOF)
    child.close()
    return seconds
