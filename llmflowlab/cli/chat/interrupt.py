"""Ctrl-C during an answer: an event instead of an exception in the middle of drawing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets while the block runs; the block decides what to do about it."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        # Signals reach the main thread only.
        yield pressed
        return

    def remember(signum: int, frame: FrameType | None) -> None:
        pressed.set()

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
