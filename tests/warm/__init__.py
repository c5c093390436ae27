"""Python programs that begin where MLflow is loaded: forked from one process that has loaded it.

Loading MLflow costs a recorder, a deliverer or a server some seconds of processor: ten times what a test makes
it do. A test gets the same process with the same pipes, environment, folder, signals and end, without
that beginning. The lab is none the wiser: it starts a command, and `site/sitecustomize.py` hands it over where
that folder is in `PYTHONPATH`. What a test is about the beginning of starts as users' programs do: it
unsets `SOURCE`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["SITE", "SOURCE", "source", "warm"]

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"
SOURCE = "WARM_SOURCE"
"""The variable that leads programs to the source; without it they start by themselves."""


def warm(command: Sequence[str]) -> list[str]:
    """Return a command that has the source run a Python program, whatever its options."""
    if sys.platform != "linux":
        return list(command)
    assert command[0] == sys.executable
    return [sys.executable, "-S", "-E", str(SITE / "sitecustomize.py"), *command[1:]]


@contextmanager
def source() -> Iterator[str]:
    """Offer a source, which is started when it is first asked; yields its address."""
    folder = tempfile.mkdtemp(prefix="warm-")
    address = str(Path(folder) / "source")
    lives, ends = socket.socketpair()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        started: list[subprocess.Popen[bytes]] = []
        waiting = threading.Thread(target=_start, args=(door, lives, started), daemon=True)
        waiting.start()
        yield address
        ends.close()
        waiting.join()
    for process in started:
        process.wait()
    lives.close()
    shutil.rmtree(folder)


def _start(
    door: socket.socket, lives: socket.socket, started: list[subprocess.Popen[bytes]]
) -> None:
    import select

    if lives not in select.select([door, lives], [], [])[0]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.warm.source", str(door.fileno())],
                cwd=ROOT,
                stdin=lives.fileno(),
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                pass_fds=[door.fileno()],
                # Ctrl-C in the terminal is pytest's; what runs here is ended by its tests.
                start_new_session=True,
            )
        )
