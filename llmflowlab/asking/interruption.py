"""Ctrl-C as an event instead of an exception, while models are asked.

An exception out of a signal may be raised anywhere, also where Python can only print it and go on: the
person's wish to stop would be lost.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible", "raising"]


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


@contextmanager
def raising() -> Iterator[None]:
    """Have Ctrl-C raise again in a block that never looks at the event."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
