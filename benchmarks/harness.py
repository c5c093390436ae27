"""What the measuring programs share: a server process, a data file, timed child processes."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
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
    output: str
    code: int


@contextmanager
def server(*options: str) -> Iterator[str]:
    """Run the model server; yields its base URL."""
    command = [sys.executable, "-m", "benchmarks.server", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def counts(base_url: str) -> dict[str, int]:
    """Ask the server how many requests it saw, and when by the monotonic clock it last answered."""
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

    The wall time ends with the child; processor time and memory (that of the largest process) are those
    of everything it started, such as a recorder, however long it goes on.
    """
    others = adopt_orphans()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, own = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        used = [own, *await_orphans(others)]
        output.seek(0)
        return Timing(
            wall,
            sum(usage.ru_utime + usage.ru_stime for usage in used),
            max(usage.ru_maxrss for usage in used) / 1024,
            output.read(),
            process.returncode,
        )


def adopt_orphans() -> set[int]:
    """Become the parent of processes whose own parent ends (Linux; elsewhere they are not counted).

    Returns the children of before, such as a server.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return _children()


_PR_SET_CHILD_SUBREAPER = 36


def await_orphans(others: set[int]) -> list[resource.struct_rusage]:
    """Wait for all children but these; returns what each used."""
    used = []
    while children := _children() - others:
        for child in children:
            with suppress(ChildProcessError):
                used.append(os.wait4(child, 0)[2])
    return used


def _children() -> set[int]:
    tasks = Path(f"/proc/{os.getpid()}/task")
    lists = tasks.glob("*/children") if tasks.is_dir() else ()
    return {int(pid) for file in lists for pid in file.read_text().split()}


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
async def main(url, rows, concurrency, judged):
    gates = [asyncio.Semaphore(concurrency) for _ in range(1 + judged)]
    connector = aiohttp.TCPConnector(limit=len(gates) * concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:
        async def ask(gate, body):
            async with gate, session.post(url + "/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]
        async def one(i):
            messages = [{"role": "user", "content": f"q{i}"}]
            assert await ask(gates[0], {"model": "bench", "messages": messages}) == f"a{i}"
            if judged:
                form = {"type": "json_object"}
                judge = {"model": "judge", "messages": messages, "response_format": form}
                await ask(gates[1], judge)
        await asyncio.gather(*[one(i) for i in range(rows)])
asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
"""
"""The ideal: the same requests from a bare aiohttp loop that keeps nothing."""


def bare_loop(
    base_url: str, rows: int, concurrency: int, env: dict[str, str], *, judged: bool = False
) -> Timing:
    """Time the bare loop, start of the interpreter included."""
    numbers = (str(rows), str(concurrency), str(int(judged)))
    return timed([sys.executable, "-c", BARE_LOOP, base_url, *numbers], env)


def evaluate(data: Path, home: Path, env: dict[str, str], *options: str) -> Timing:
    """Run the lab's own evaluation as a whole process."""
    command = [
        *(sys.executable, "main.py", "evaluate", "--data", str(data), "--harness", "fast"),
        *("--output", str(home / "out"), "--json", *options),
    ]
    return timed(command, env)
