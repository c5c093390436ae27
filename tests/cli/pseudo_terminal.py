"""The real program in a pseudo-terminal, read through a terminal emulator."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

import llmflowlab
from tests.patience import PATIENCE
from tests.warm import SITE

MAIN = Path(llmflowlab.__file__).parent.parent / "main.py"


class PseudoTerminal:
    """Types keys and waits for what a person would see."""

    def __init__(
        self,
        home: Path,
        *arguments: str,
        width: int = 80,
        height: int = 40,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._screen = pyte.HistoryScreen(width, height, history=5000)
        self._stream = pyte.Stream(self._screen)
        kept = {name: value for name, value in os.environ.items() if name != "LLMFLOWLAB_PLAIN"}
        self.child = pexpect.spawn(
            sys.executable,
            [str(MAIN), *arguments],
            cwd=str(home),
            env={
                **kept,
                "PYTHONPATH": str(SITE),
                "TERM": "xterm-256color",
                "LLMFLOWLAB_HOME": str(home),
                "OLLAMA_HOST": "http://127.0.0.1:1",
                **(environment or {}),
            },
            dimensions=(height, width),
            encoding="utf-8",
            timeout=PATIENCE,
        )
        self.width = width
        self.sent = ""
        """All that was written to the terminal, as it was written."""

    @property
    def shown(self) -> str:
        """Return what stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def everything(self) -> str:
        """Return what stands on the screen and what has scrolled off it."""
        past = [
            "".join(line[x].data for x in range(self.width)) for line in self._screen.history.top
        ]
        return "\n".join(line.rstrip() for line in [*past, *self._screen.display]).rstrip()

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Read until the text has been shown so many times, wherever a line was wrapped."""
        self.wait_until(lambda: self._count(text) >= times, text)

    def wait_until(self, reached: Callable[[], bool], what: str) -> None:
        """Read until the screen is as wanted; `what` names that where it does not come."""
        deadline = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"{what!r} did not appear; the screen was:\n{self.everything}")

    @property
    def question(self) -> str:
        """Return the words of the question that is asked now; empty where none is."""
        if "Esc goes back" not in self.shown:
            return ""
        asked = [line for line in self.shown.splitlines() if line.startswith("› ")]
        return re.split(r"[?(]", asked[-1].removeprefix("› "))[0].strip() if asked else ""

    def _count(self, text: str) -> int:
        return " ".join(self.everything.split()).count(" ".join(text.split()))

    def _read(self) -> bool:
        try:
            piece = self.child.read_nonblocking(65536, timeout=0.5)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.sent += piece
        self._stream.feed(piece)
        if "\x1b[6n" in piece:
            row, column = self._screen.cursor.y + 1, self._screen.cursor.x + 1
            self.child.send(f"\x1b[{row};{column}R")
        return True

    def exit_code(self) -> int:
        """Read to the end and return the program's exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, f"it did not end; the screen was:\n{self.shown}"
        self.child.close()
        assert self.child.exitstatus is not None, f"ended by signal {self.child.signalstatus}"
        return int(self.child.exitstatus)
