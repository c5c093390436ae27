"""The sign that an answer is awaited, in a terminal: it turns, and says for how many seconds."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

from llmflowlab.text.sanitize import neutralise

__all__ = ["WaitingSign", "sign_for"]

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_EVERY = 0.1
_PATIENCE = 0.4
"""Seconds before it appears: a quick answer should not make the line flicker."""
_ERASE = "\r\x1b[K"


class WaitingSign:
    """Turns on standard error from `start` to `stop`; nothing of it stays.

    Args:
        name: Who is waited for.
        stream: Where it is drawn.
        patience: Seconds before it appears.
    """

    def __init__(self, name: str, stream: TextIO, *, patience: float = _PATIENCE) -> None:
        self._name = neutralise(name, keep="")
        self._doing = ""
        self._stream = stream
        self._patience = patience
        self._began = time.monotonic()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *, doing: str = "") -> None:
        """Begin, or go on, with the seconds since the beginning; `doing` is said behind the name."""
        self._doing = f" {doing}" if doing else ""
        if self._thread is not None:
            return
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._turn, args=(self._stopped,), name="waiting-sign", daemon=True
        )
        self._thread.start()

    def stop(self) -> bool:
        """Take it away before anything else is written; return whether it was turning."""
        if self._thread is None:
            return False
        self._stopped.set()
        self._thread.join()
        self._thread = None
        return True

    def _turn(self, stopped: threading.Event) -> None:
        if stopped.wait(self._patience):
            return
        frame = 0
        while True:
            waited = int(time.monotonic() - self._began)
            sign = _FRAMES[frame % len(_FRAMES)]
            self._write(f"{_ERASE}{sign} {self._name}{self._doing} · {waited} s (Ctrl-C stops)")
            frame += 1
            if stopped.wait(_EVERY):
                break
        self._write(_ERASE)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def sign_for(name: str) -> WaitingSign | None:
    """Return a sign where standard error is a terminal that can erase a line."""
    return WaitingSign(name, sys.stderr) if sys.stderr.isatty() else None
