"""A chat of 2,000 turns with a model whose window nobody knows: time and memory from its beginning to its end.

One program reads the prompts line by line, and waits until another has delivered them (`--wait`).
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import bench
from benchmarks.processes import ROOT
from benchmarks.table import Line


def measure(*, quick: bool) -> Iterator[Line]:
    turns = 2_000
    with bench("--latency-ms", "0") as own:
        command = [sys.executable, "main.py", "chat", "--model", "openai:bench", "--wait"]
        program = subprocess.Popen(
            command,
            cwd=ROOT,
            env=own.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert program.stdin is not None
        assert program.stdout is not None
        marks = [time.perf_counter()]
        memory = []
        for turn in range(turns):
            program.stdin.write(f"q{turn} {'and so on ' * 20}\n")
            program.stdin.flush()
            program.stdout.readline()
            if (turn + 1) % (turns // 10) == 0:
                marks.append(time.perf_counter())
                memory.append(_resident_mb(program.pid))
        program.stdin.close()
        program.stdout.read()
        assert program.wait() == 0
        ended = time.perf_counter()
        kept = sum(file.stat().st_size for file in own.home.rglob("*") if file.is_file())
    tenths = [later - earlier for earlier, later in itertools.pairwise(marks)]
    yield Line(
        what=f"memory, chat of {turns:,} turns",
        reached=max(memory),
        unit="MB",
        must=200,
        note=f"the last tenth {tenths[-1] / tenths[1]:.1f} × the time of the second "
        f"({tenths[-1] / (turns // 10) * 1000:.1f} ms a turn) and {memory[-1] / memory[1]:.2f} × "
        f"its memory; {ended - marks[-1]:.1f} s until MLflow had it, "
        f"{kept / turns / 1000:.1f} kB a turn on disk",
    )


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
