"""Single keys while something runs, from a terminal that is left as it was found."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["KeyReader", "in_foreground", "keys_of_terminal", "plain_keys"]

KeyReader = Callable[[], str]
"""Returns the keys pressed since the last call, an empty text where there are none."""

_SEQUENCE = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]")
"""What arrow and function keys send."""


def plain_keys(text: str) -> str:
    """Return what was typed without the sequences of arrow and function keys."""
    return _SEQUENCE.sub("", text)


@contextmanager
def keys_of_terminal() -> Iterator[KeyReader]:
    """Read keys as they are pressed while the block runs; Ctrl-C stays an interrupt.

    The terminal is put back however the block ends; to that end SIGTERM and SIGHUP leave it by
    `SystemExit`. A program in the background leaves the terminal alone.
    """
    with _ending_on_signals(), _reader() as read:
        yield read


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Turn signals that would end the program on the spot into an exception."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Only the main thread may, and a signal that was ignored on purpose (nohup) stays so.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            with suppress(ValueError):
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if sys.platform == "win32":
    import msvcrt

    def in_foreground() -> bool:
        """Tell whether the terminal is this program's to use."""
        return True

    @contextmanager
    def _reader() -> Iterator[KeyReader]:
        def read() -> str:
            pressed = ""
            while msvcrt.kbhit():
                key = msvcrt.getwch()
                if key in "\x00\xe0":
                    # An arrow or function key; which one follows.
                    msvcrt.getwch()
                elif key == "\x03":
                    raise KeyboardInterrupt
                else:
                    pressed += key
            return pressed

        yield read

else:
    import os
    import select
    import termios

    def in_foreground() -> bool:
        """Tell whether the terminal is this program's to use.

        Whoever changes it from the background is stopped by the system.
        """
        try:
            return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return False

    @contextmanager
    def _reader() -> Iterator[KeyReader]:
        try:
            terminal = sys.stdin.fileno()
            original = termios.tcgetattr(terminal)
        except (OSError, ValueError, termios.error):
            yield lambda: ""
            return
        ours = termios.tcgetattr(terminal)
        # Signals stay with the terminal, so Ctrl-C and Ctrl-Z work as ever.
        ours[3] &= ~(termios.ICANON | termios.ECHO)

        def read() -> str:
            if not in_foreground():
                return ""
            with suppress(OSError, termios.error):
                if termios.tcgetattr(terminal)[3] != ours[3]:
                    # First time, or a shell has changed it between Ctrl-Z and `fg`.
                    termios.tcsetattr(terminal, termios.TCSANOW, ours)
                if select.select([terminal], [], [], 0)[0]:
                    return plain_keys(os.read(terminal, 1024).decode("utf-8", "ignore"))
            return ""

        try:
            yield read
        finally:
            if in_foreground():
                with suppress(OSError, termios.error):
                    # What was typed and not read is not meant for the next question.
                    termios.tcsetattr(terminal, termios.TCSAFLUSH, original)
