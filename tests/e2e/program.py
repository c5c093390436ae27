"""The real program in a process of its own, and a look at what it left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.lab.deliverer import on_the_way
from llmflowlab.settings import Settings, load_settings
from tests.cli.pseudo_terminal import MAIN
from tests.loopback.server import closed_port
from tests.patience import PATIENCE
from tests.warm import SITE, SOURCE

__all__ = ["Ended", "Lab", "Running", "outside"]

_SECRET = re.compile(r"KEY|TOKEN|PASSWORD")


@dataclass(frozen=True, slots=True)
class Ended:
    """How the program ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def document(self) -> Any:
        """Return the JSON document that is all of the standard output."""
        return json.loads(self.out)


def outside(address: str) -> dict[str, str]:
    """Return the variables that lead every call to another machine to this address."""
    leading = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), address)
    return {**leading, "NO_PROXY": "127.0.0.1,localhost"}


class Running:
    """A program under way; lines are typed into it and waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._out: list[str] = []
        self._err: list[str] = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout, self._out), daemon=True),
            threading.Thread(target=self._read, args=(process.stderr, self._err), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, into: list[str]) -> None:
        # Character by character would be slow, line by line would wait for the end of a prompt.
        while piece := os.read(stream.fileno(), 65536):
            with self._changed:
                into.append(piece.decode("utf-8", "replace"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def out(self) -> str:
        return "".join(self._out)

    @property
    def err(self) -> str:
        return "".join(self._err)

    def type(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(line + "\n" for line in lines))
        self.process.stdin.flush()

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Wait until a text has been said so many times, on either stream."""

        self._until(lambda: (self.out + self.err).count(text) >= times, text)

    def wait_for_match(self, pattern: str) -> None:
        """Wait until something was said that has this form, on either stream."""
        self._until(lambda: re.search(pattern, self.out + self.err) is not None, pattern)

    def _until(self, said: Callable[[], bool], what: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: said() or not self._alive(), PATIENCE)
        assert said(), f"{what!r} was not said:\n{self.out}\n{self.err}"

    def _alive(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)

    def kill(self) -> None:
        """End it as a power failure would."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def end(self) -> Ended:
        """End its input and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return Ended(code, self.out, self.err)


class Lab:
    """A home with a migrated store, and the program in it.

    Args:
        home: The folder; the program's current folder too.
        environment: Variables over the bare minimum.
    """

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.waits = True
        """Whether what the program hands over is waited for at its end."""
        self.environment = {
            # What has no address in the test must find none on this machine, nor on any other.
            **outside(f"http://127.0.0.1:{closed_port()}"),
            "OLLAMA_HOST": f"http://127.0.0.1:{closed_port()}",
            "LLMFLOWLAB_HOME": str(home),
            # Judges are examined in the tests that are about it.
            "LLMFLOWLAB_JUDGE_EXAM": "0",
            **(environment or {}),
        }

    @property
    def settings(self) -> Settings:
        return load_settings(self.environment, cwd=self.home, stdin_is_terminal=False)

    def run(self, *arguments: str, typed: str = "", **variables: str) -> Ended:
        """Run the program to its end with these lines as its input; see `waits`."""
        done = subprocess.run(
            self._command(arguments),
            input=typed,
            capture_output=True,
            encoding="utf-8",
            cwd=self.home,
            env=self._environment(variables),
            timeout=PATIENCE,
            check=False,
        )
        ended = Ended(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in ended.said, ended.said
        if self.waits:
            self.wait_for_delivery()
        return ended

    def wait_for_delivery(self) -> None:
        """Wait for the process that takes sessions and evaluations to MLflow to have nothing left."""
        self.wait_until(lambda: on_the_way(self.settings) is None)

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait for something that process does, which tells nobody."""
        until = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < until, self.report()
            time.sleep(0.05)

    def report(self) -> str:
        """Return what that process says of its last attempt, and its log."""
        files = (self.settings.state_dir / f"delivery.{kind}" for kind in ("json", "log"))
        return "\n".join(file.read_text("utf-8") for file in files if file.exists())

    @contextmanager
    def start(self, *arguments: str, **variables: str) -> Iterator[Running]:
        """Start the program; it does not outlive the test."""
        with subprocess.Popen(
            self._command(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=self.home,
            env=self._environment(variables),
        ) as process:
            running = Running(process)
            try:
                yield running
            finally:
                process.kill()

    def records(self, provider: str) -> list[dict[str, Any]]:
        """Return what `artifacts/` holds of a provider."""
        file = self.settings.artifacts_dir / f"{provider}_artifacts.json"
        found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def unfinished(self) -> str:
        """Return the id of the evaluation as the menu offers it."""
        ended = self.run(typed="2\n")
        (line,) = [line for line in ended.out.splitlines() if "Go on with" in line]
        return line.split("Go on with ")[1].split(" ")[0]

    def journals(self) -> list[Path]:
        return sorted(self.settings.journals_dir.glob("*.jsonl"))

    def assert_no_secret(self, *said: str) -> None:
        """Look for every key of the environment in what was said and in every file of the home."""
        keys = [
            value.encode()
            for name, value in self.environment.items()
            if value and _SECRET.search(name)
        ]
        for text in said:
            assert not [key for key in keys if key in text.encode()]
        found = [
            str(file.relative_to(self.home))
            for file in self.home.rglob("*")
            if file.is_file() and any(key in file.read_bytes() for key in keys)
        ]
        assert found == []

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, str(MAIN), *arguments]

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "SYSTEMROOT", "TMPDIR", "TEMP", SOURCE)
            if name in os.environ
        }
        return {
            **kept,
            "PYTHONPATH": str(SITE),
            "PYTHONUTF8": "1",
            "LLMFLOWLAB_CONNECT_TIMEOUT": str(PATIENCE),
            "LLMFLOWLAB_DELIVERY_TIMEOUT": str(PATIENCE),
            "TIKTOKEN_CACHE_DIR": str(self.home / "no-tiktoken"),
            **self.environment,
            **variables,
        }
