"""Child processes that are run to their end and accounted for, with everything that they started."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
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
