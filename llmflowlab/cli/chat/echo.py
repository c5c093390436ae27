"""Nothing that is typed while an answer comes in is written into it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["unechoed"]


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
