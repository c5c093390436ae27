"""Applies JSON schemas within bounded time: by a process that is ended when it takes too long."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmflowlab.program import interpreted
from llmflowlab.text.searching import SECONDS, TooSlow

__all__ = ["first_error"]

_START = 60.0
"""Seconds for the process to load."""


def first_error(schema: str, value: Any) -> str | None:
    """Return the first thing in a JSON value that a schema does not allow; None where it fits.

    Raises:
        TooSlow: It takes too long.
        ValueError: The schema cannot be applied to the value.
    """
    try:
        order = json.dumps([schema, value])
    except RecursionError as exc:
        raise ValueError("the answer is nested too deeply") from exc
    return _process.ask(order)


class _SchemaProcess:
    """The process, started at its first use; one value at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, order: str) -> str | None:
        with self._lock:
            if self._process is None:
                self._process = _started()
                if self._said("", _START) != "ready\n":
                    self.end()
                    raise ValueError("the process that applies schemas does not start")
            said = self._said(order + "\n", SECONDS)
            if not said:
                self.end()
                raise TooSlow("schema")
        error, failed = json.loads(said)
        if failed is not None:
            raise ValueError(failed)
        return None if error is None else str(error)

    def _said(self, order: str, seconds: float) -> str:
        """Send an order; return the line it says, or "" where it ended or was too slow."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        # Reading from a pipe cannot be bounded on every system; ending its writer ends it.
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(order)
            process.stdin.flush()
            return process.stdout.readline()
        except OSError:
            return ""
        finally:
            timer.cancel()

    def end(self) -> None:
        """End it; the next value starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(OSError):
                process.communicate()


def _started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        interpreted(str(Path(__file__).with_name("schema_process.py"))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        # Ctrl-C in the terminal is the evaluation's to handle.
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


_process = _SchemaProcess()
atexit.register(_process.end)
