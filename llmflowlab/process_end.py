"""The end of a process in which threads are still at work."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

__all__ = ["run_to_the_end"]


def run_to_the_end(main: Callable[[], int | None]) -> NoReturn:
    """Run a program and end its process with the code that it returns, 0 for None.

    Python takes its modules apart while daemon threads go on, and one that imports something just then
    crashes the process (CPython 3.11 frees the lock it waits for). Where any is left the process ends
    without that, once everybody who asked for it was told and what was written is out.
    """
    leave = _Leave()
    # Whoever registers first is called last.
    atexit.register(leave)
    leave.code = main() or 0
    sys.exit(leave.code)


class _Leave:
    def __init__(self) -> None:
        self.code: int | None = None

    def __call__(self) -> None:
        if self.code is None or threading.active_count() == 1:
            return
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except (OSError, ValueError):
            # Python itself says so, and ends with a code of its own.
            return
        os._exit(self.code)
