"""What the measuring programs share: a server process, a data file, timed child processes."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Timing:
    """One finished child process."""

    wall: float
    cpu: float
    """User and system seconds."""
    memory_mb: float
    """The most of any of its processes."""
    output: str
    code: int
    peaks: Mapping[str, float]
    """The most of the program itself and of the recorder that it starts, in MB; Linux only."""


@contextmanager
def server(*options: str) -> Iterator[str]:
    """Run the model server; yields its base URL."""
    command = [sys.executable, "-m", "benchmarks.server", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    _OWN.add(process.pid)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        _OWN.discard(process.pid)
        process.terminate()
        process.wait()


def counts(base_url: str) -> dict[str, int]:
    """Ask the server how many requests it saw."""
    url = base_url.removesuffix("/v1") + "/counts"
    with urllib.request.urlopen(url, timeout=10) as response:
        found: dict[str, int] = json.load(response)
    return found


def questions(folder: Path, rows: int) -> Path:
    """Write a data file of `rows` questions."""
    file = folder / f"q{rows}.csv"
    lines = ["question,answer", *(f"q{i},a{i}" for i in range(rows))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def environment(home: Path, base_url: str) -> dict[str, str]:
    """Return the environment of a measured program: a home of its own, the server, no network."""
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return {
        **kept,
        "LLMFLOWLAB_HOME": str(home),
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "benchmark",
        "LLMFLOWLAB_PRICES": str(prices(home)),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
    }


def prices(home: Path) -> Path:
    """Write a price list that knows the server's model."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "prices.json"
    rate = {"input_per_million": "1", "output_per_million": "4"}
    names = ("openai:bench", "openai:judge")
    file.write_text(json.dumps(dict.fromkeys(names, rate)), encoding="utf-8")
    return file


def timed(command: Sequence[str], env: dict[str, str], cwd: Path = ROOT) -> Timing:
    """Run a child process to its end and account for it.

    The wall time ends with the child; the processor time is that of everything it started, such as a
    recorder, however long it goes on.
    """
    _adopt_orphans()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peaks: dict[str, float] = {}
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, peaks, ended), daemon=True)
    watch.start()
    out, err = process.communicate()
    wall = time.perf_counter() - began
    _await_orphans()
    ended.set()
    watch.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return Timing(wall, cpu, after.ru_maxrss / 1024, out + err, process.returncode, peaks)


def _watch(pid: int, peaks: dict[str, float], ended: threading.Event) -> None:
    recorders: set[int] = set()
    while not ended.wait(0.2):
        for child in _children() | _children(pid):
            with suppress(OSError):
                if b"run.recorder" in Path(f"/proc/{child}/cmdline").read_bytes():
                    recorders.add(child)
        for name, processes in (("program", {pid}), ("recorder", recorders)):
            for one in processes:
                with suppress(OSError, StopIteration):
                    lines = Path(f"/proc/{one}/status").read_text().splitlines()
                    most = next(line for line in lines if line.startswith("VmHWM"))
                    peaks[name] = max(peaks.get(name, 0.0), int(most.split()[1]) / 1024)


def _adopt_orphans() -> None:
    """Become the parent of processes whose own parent ends (Linux; elsewhere they are not counted)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


_PR_SET_CHILD_SUBREAPER = 36


def _await_orphans() -> None:
    for child in _children() - _OWN:
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _children(pid: int | None = None) -> set[int]:
    found: set[int] = set()
    for file in Path(f"/proc/{pid or os.getpid()}/task").glob("*/children"):
        # A thread may end meanwhile.
        with suppress(OSError):
            found |= {int(child) for child in file.read_text().split()}
    return found


_OWN: set[int] = set()
"""Servers that a program runs itself."""


def migrated(home: Path) -> None:
    """Make MLflow's database before anything is timed: a first start's migration is not the point."""
    code = (
        "from llmflowlab.settings import load_settings;"
        "from llmflowlab.tracking.store import open_store;"
        "open_store(load_settings()).experiment_id('warm')"
    )
    env = environment(home, "http://127.0.0.1:9/v1")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True)


BARE_LOOP = """
import asyncio, sys, aiohttp
async def main(url, rows, concurrency):
    gate = asyncio.Semaphore(concurrency)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:
        async def one(i):
            body = {"model": "bench", "messages": [{"role": "user", "content": f"q{i}"}]}
            async with gate, session.post(url + "/chat/completions", json=body) as response:
                answer = (await response.json())["choices"][0]["message"]["content"]
                assert answer == f"a{i}"
        await asyncio.gather(*[one(i) for i in range(rows)])
asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""
"""The ideal: the same requests from a bare aiohttp loop that keeps nothing."""


def bare_loop(base_url: str, rows: int, concurrency: int, env: dict[str, str]) -> Timing:
    """Time the bare loop, start of the interpreter included."""
    return timed([sys.executable, "-c", BARE_LOOP, base_url, str(rows), str(concurrency)], env)


def evaluate(data: Path, home: Path, env: dict[str, str], *options: str) -> Timing:
    """Run the lab's own evaluation as a whole process."""
    command = [
        *(sys.executable, "main.py", "evaluate", "--data", str(data), "--harness", "fast"),
        *("--output", str(home / "out"), "--json", *options),
    ]
    return timed(command, env)
