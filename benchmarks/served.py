"""A service, a bare proxy and clients for them, each in processes of their own, and what the service kept."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.callers import Calls, Kind
from benchmarks.harness import environment
from benchmarks.processes import ROOT


@dataclass(frozen=True, slots=True)
class Service:
    """One that runs."""

    url: str
    home: Path
    pid: int

    @property
    def memory_mb(self) -> float:
        """What it holds of the machine's memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    @property
    def cpu(self) -> float:
        """Seconds that it has worked, without the process that delivers."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kept(self) -> tuple[int, int, int]:
        """Return the answers it kept, how many of them are of different questions, and what MLflow lacks."""
        return kept(self.home)


def kept(home: Path) -> tuple[int, int, int]:
    """Return what the service of a home kept: answers, different questions, and what MLflow lacks."""
    wanted = (
        "SELECT count(*), count(DISTINCT prompt), coalesce(sum(delivered_ms IS NULL), 0) FROM turns"
    )
    with closing(sqlite3.connect(home / ".llmflowlab" / "service.db", timeout=60)) as database:
        answers, questions, lacking = database.execute(wanted).fetchone()
    return answers, questions, lacking


@contextmanager
def service(
    home: Path, model_url: str, *options: str, program: Sequence[str] = ("main.py",)
) -> Iterator[Service]:
    """Run a service of the model server's model; on its end it delivers for as long as it may."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, *program, "serve", "start", "--model", "openai:bench"),
        *("--port", str(port), "--json", *options),
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(home, model_url), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said = ""
        while line := process.stdout.readline():
            said += line
            if line.startswith("}") or line.rstrip().endswith("}"):
                break
        yield Service(json.loads(said)["address"] + "/v1", home, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


@contextmanager
def bare_proxy(model_url: str) -> Iterator[str]:
    """Run the bare proxy; yields its base URL."""
    command = [sys.executable, "-m", "benchmarks.bare_proxy", model_url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


_asked = 0


def calls(
    urls: Sequence[str],
    *,
    clients: int,
    kind: Kind = "plain",
    seconds: float = 2.0,
    rounds: int = 1,
    requests: int = 0,
) -> list[Calls]:
    """Have clients ask at these addresses in turn; no question is asked twice."""
    return waited_for(
        begun(
            urls,
            clients=clients,
            kind=kind,
            seconds=seconds,
            rounds=rounds,
            requests=requests,
        )
    )


def begun(urls: Sequence[str], **told: str | float) -> subprocess.Popen[str]:
    """Begin what `calls` does."""
    global _asked
    options = [part for name, value in told.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "benchmarks.callers", *urls, *options, "--first", str(_asked)]
    _asked += 1_000_000
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def waited_for(process: subprocess.Popen[str]) -> list[Calls]:
    """Return what became of calls.

    Raises:
        AssertionError: The clients failed.
    """
    said, _ = process.communicate()
    assert process.returncode == 0, "the clients failed"
    return [Calls(**found) for found in json.loads(said).values()]


def drained(home: Path, limit: float = 600.0) -> float | None:
    """Wait until MLflow lacks nothing; returns the seconds it took, None where that was too long."""
    began = time.monotonic()
    while kept(home)[2]:
        if time.monotonic() - began > limit:
            return None
        time.sleep(0.2)
    return time.monotonic() - began
