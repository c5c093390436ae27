"""The first words of the `local` model's answer, from the program's start, weights loaded and all."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import environment
from benchmarks.processes import ROOT, adopt_orphans, await_orphans
from benchmarks.table import Line

QUESTION = "What is the capital of France?"


def measure(*, quick: bool) -> Iterator[Line]:
    rounds = 3 if quick else 5
    seconds: list[float] = []
    if any((ROOT / "models").glob("*.gguf")):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            env = environment(home, "http://127.0.0.1:9/v1")
            (home / "models").symlink_to(ROOT / "models")
            seconds = [_first_words(env) for _ in range(rounds)]
    yield Line(
        what="first answer of the `local` model, from the program's start",
        reached=statistics.median(seconds) if seconds else None,
        unit="s",
        must=5,
        beyond=2,
        note=f"{min(seconds):.1f} to {max(seconds):.1f} s of {rounds}"
        if seconds
        else "its weights are not there; `make model` fetches them",
    )


def _first_words(env: dict[str, str]) -> float:
    command = [sys.executable, "main.py", "chat", "--model", "local", "--message", QUESTION]
    others = adopt_orphans()
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        assert program.stdout is not None
        first = program.stdout.read(1)
        seconds = time.perf_counter() - began
        program.stdout.read()
    assert first
    assert program.returncode == 0
    await_orphans(others)
    return seconds
