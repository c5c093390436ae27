"""A Ray cluster of several nodes, each with processes of its own, and an evaluation to be disturbed on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@contextmanager
def nodes(count: int, environment: Mapping[str, str]) -> Iterator[Any]:
    """Start a head and other nodes on this machine; yields `ray.cluster_utils.Cluster`."""
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ.update(environment)
    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        for _ in range(count - 1):
            cluster.add_node(num_cpus=2)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        os.environ.clear()
        os.environ.update(before)
        with suppress(UnboundLocalError):
            cluster.shutdown()


def begin(
    home: Path, *options: str, command: Sequence[str] = ("evaluate",), **variables: str
) -> subprocess.Popen[str]:
    """Start `main.py evaluate --runner ray … --json`, or another command that knows runners."""
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "main.py"), *command, "--runner", "ray", "--json"),
            *options,
        ],
        cwd=ROOT,
        env={**os.environ, "LLMFLOWLAB_HOME": str(home), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def document(process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    """Wait for the end of an evaluation and return its document."""
    said, words = process.communicate(timeout=seconds)
    assert process.returncode == 0, words
    found: dict[str, Any] = json.loads(said)
    return found


def actors(what: str, below: int | None = None) -> list[int]:
    """Return the processes below one, or this, that are actors of a class; those of other clusters are not."""
    parents: dict[int, int] = {}
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                pid = int(entry.name)
                # The name in parentheses may hold spaces.
                parents[pid] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if (entry / "cmdline").read_bytes().startswith(f"ray::{what}".encode()):
                    found.append(pid)
    return [pid for pid in found if _below(pid, below or os.getpid(), parents)]


def _below(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    while pid > 1 and pid != ancestor:
        pid = parents.get(pid, 0)
    return pid == ancestor


def kill(pid: int, what: int = signal.SIGKILL) -> None:
    """Send a signal to one process, which may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, what)
