"""Keys while models are asked: Ctrl-C is an event instead of an exception, and nothing is echoed.

An exception out of a signal may be raised anywhere, also where Python can only print it and go on: the
person's wish to stop would be lost.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible", "unechoed"]


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
def unechoed() -> Iterator[None]:
    """Keep the terminal from writing typed keys, `^C` among them, into a live display.

    What is typed ahead is kept for the next prompt. Does nothing where standard input is no terminal,
    and on Windows, whose console echoes nothing by itself while nobody reads.
    """
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    silent = [*before]
    silent[3] = before[3] & ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
