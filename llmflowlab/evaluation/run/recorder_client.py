"""The evaluation's side of the recorder process."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmflowlab.errors import TrackingError
from llmflowlab.program import interpreted
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import child_environment

__all__ = ["RecorderProcess"]


class RecorderProcess:
    """Starts a recorder and hears what it has done.

    It loads MLflow at once, which takes seconds, so start it before the evaluation is prepared.
    """

    def __init__(self, settings: Settings, ledger: Path) -> None:
        self._process = subprocess.Popen(
            interpreted("llmflowlab.evaluation.run.recorder", str(ledger)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(settings, with_lab=True),
            text=True,
            encoding="utf-8",
            # Ctrl-C in the terminal is the evaluation's to handle, also while this one starts.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.runs: dict[str, Any] = {}
        self.recorded = 0
        self.notes: list[str] = []
        """What the store could do without, in words; known when it is closed."""
        self._left = False
        self._problems: list[str] | None = None
        self._error: str | None = None
        self._complaints: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The recorder's process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                # Torn by the recorder's death, or not its own words.
                continue
            self.runs = said.get("runs", self.runs)
            self.recorded = said.get("recorded", self.recorded)
            self._problems = said.get("problems", self._problems)
            self.notes = said.get("notes", self.notes)
            self._error = said.get("error", self._error)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._complaints.extend(line.strip() for line in self._process.stderr)

    def begin(self, evaluation: str) -> None:
        """Tell which evaluation to record; it must be in the ledger."""
        # A recorder that has ended already says why when it is closed.
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"begin": evaluation}) + "\n")
            self._process.stdin.flush()

    def wait_for_runs(self, seconds: float, tick: Callable[[], None]) -> dict[str, Any]:
        """Return the runs once they are made; what is known of them after so many seconds."""
        until = time.monotonic() + seconds
        while not self.runs and self._process.poll() is None and time.monotonic() < until:
            tick()
            time.sleep(0.02)
        return self.runs

    def close(
        self,
        closing: dict[str, Any],
        tick: Callable[[], None],
        *,
        rewrite: Path | None = None,
    ) -> list[str]:
        """Have the runs closed and wait for it.

        Args:
            closing: The figures.
            tick: Called while it is waited for.
            rewrite: The folder of the evaluation's files where they do not name the runs yet.

        Returns:
            What is missing in the store.

        Raises:
            TrackingError: The recorder failed.
        """
        self._order_close(closing, rewrite, left=False)
        return self.wait(tick)

    def leave(self, closing: dict[str, Any], *, rewrite: Path | None) -> None:
        """Have the runs closed without waiting for it: the recorder goes on by itself.

        Args:
            closing: The figures.
            rewrite: As in `close`.
        """
        self._order_close(closing, rewrite, left=True)
        self._left = True
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        # A program that goes on must not keep it as a zombie.
        threading.Thread(target=self._reap, name="recorder-left", daemon=True).start()

    def _reap(self) -> None:
        for reader in self._readers:
            reader.join()
        self._process.wait()
        self._close_pipes()

    def _order_close(self, closing: dict[str, Any], rewrite: Path | None, *, left: bool) -> None:
        assert self._process.stdin is not None
        again = None if rewrite is None else str(rewrite)
        order = {"close": closing, "left": left, "rewrite": again}
        # Where it has ended already, `wait` says why.
        with suppress(OSError):
            self._process.stdin.write(json.dumps(order, allow_nan=False) + "\n")
            self._process.stdin.flush()

    def wait(self, tick: Callable[[], None]) -> list[str]:
        """Wait for the recorder to end; returns and raises as `close`, after which it is called.

        Raises:
            TrackingError: The recorder failed.
        """
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        while any(reader.is_alive() for reader in self._readers):
            tick()
            for reader in self._readers:
                reader.join(timeout=0.05)
        self._process.wait()
        self._close_pipes()
        if self._error is not None:
            raise TrackingError(self._error)
        if self._process.returncode != 0 or self._problems is None:
            last = next((line for line in reversed(self._complaints) if line), "no reason given")
            raise TrackingError(f"The recorder ended unexpectedly ({last[:200]}).")
        return self._problems

    def abandon(self) -> None:
        """End the recorder at once; what it wrote is written, the rest is in the ledger.

        One that was left alone goes on.
        """
        if self._left:
            return
        self._process.kill()
        self._process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
