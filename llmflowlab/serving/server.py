"""Versions in processes of their own, and an alias that is followed.

When the alias moves, the new version is started and waited for, new requests go to it, and the old
server ends after its last request: none is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from llmflowlab.agents.agent_server import serving_experiment
from llmflowlab.errors import ConfigurationError, InputError, LabError, TrackingError
from llmflowlab.program import interpreted, program_name
from llmflowlab.serving.trust import require_trust
from llmflowlab.settings import Settings
from llmflowlab.tracking.logged_models import logged_model_of
from llmflowlab.tracking.registry import Version, VersionName, find_version
from llmflowlab.tracking.store import child_environment, open_store

__all__ = ["ModelServer", "VersionFollower", "bound_socket", "served_environment"]

_START = 180.0
"""Seconds for a version to load."""
_DRAIN = 600.0
"""Seconds for the requests of an old version to end."""
_GOODBYE = 120.0
"""Seconds that a server has to bring its traces to the store."""
_AGAIN = 30.0
"""Seconds before a version that did not start is tried again."""


def bound_socket(host: str, port: int) -> socket.socket:
    """Take a port.

    Raises:
        InputError: It is taken, or there is no such host here.
    """
    try:
        listening = socket.create_server((host, port))
    except OSError as exc:
        # Python says the address once more behind it.
        why = str(exc.strerror or exc).partition(" (while")[0]
        raise InputError(
            f"Port {port} of {host} cannot be used ({why}); name another with --port."
        ) from exc
    # Its connections inherit it. An event loop sets it for sockets that it makes itself: without it a second
    # small piece waits for the client's delayed word that it has the first, 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class ModelServer:
    """A version in a process of its own.

    Args:
        settings: The configuration that the process gets as its environment.
        version: What it serves.

    Raises:
        NotConfigured: It comes from a store whose models nobody allowed to run here.
    """

    def __init__(self, settings: Settings, version: Version) -> None:
        require_trust(settings, version.reference)
        self.version = version
        self.address = ""
        self.active = 0
        """Requests under way; changed in the event loop alone."""
        self.draining = False
        """Whether it ends after its last request."""
        self.lost: str | None = None
        """What it said at its end of traces that did not reach the store; None where all did."""
        self._lines: queue.Queue[str | None] = queue.Queue()
        program = str(Path(__file__).with_name("model_server.py"))
        settings.home.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            interpreted(program, version.uri, "127.0.0.1", "0"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=served_environment(settings, version),
            cwd=settings.home,
            # Ctrl-C in the terminal is the front's, which ends its children in order.
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._read, name="model-server", daemon=True).start()

    def wait(self, seconds: float = _START) -> None:
        """Wait until it answers.

        Raises:
            ConfigurationError: The model lacks a key or an address.
            TrackingError: It cannot be loaded, or took too long.
        """
        line: str | None
        try:
            line = self._first_line(seconds)
        except BaseException:
            self.stop()
            raise
        kind, _, rest = (line or "").partition(" ")
        if kind == "ready":
            self.address = f"http://127.0.0.1:{int(rest)}"
            return
        self.stop()
        if kind == "failed":
            code, _, sentence = rest.partition(" ")
            if code == "3":
                raise ConfigurationError(sentence)
            raise TrackingError(f"{self.version.reference} cannot be served: {sentence}")
        late = f"did not answer within {seconds:g} s" if line is None and self.alive else "ended"
        raise TrackingError(
            f"{self.version.reference} cannot be served: its server {late}; "
            f"`{program_name()} registry check {self.version.reference}` says more."
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End it; returns when it has ended."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _first_line(self, seconds: float) -> str | None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                return None
            # A model may print something of its own while it is loaded.
            if line is None or line.startswith(("ready ", "failed ")):
                return line
        return None

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines, contextlib.suppress(OSError, ValueError):
            for line in lines:
                kind, _, rest = line.strip().partition(" ")
                if kind == "traces":
                    self.lost = rest
                self._lines.put(line.strip())
        self._lines.put(None)


def served_environment(settings: Settings, version: Version) -> dict[str, str]:
    """Return the environment of a version that is served: its traces name it, in an experiment of theirs.

    Raises:
        TrackingError: The store failed.
    """
    environment = child_environment(settings)
    if (experiment := serving_experiment(settings)) is not None:
        environment["MLFLOW_EXPERIMENT_ID"] = experiment
    if (model_id := logged_model_of(version.source)) is not None:
        environment["MLFLOW_ACTIVE_MODEL_ID"] = model_id
    return environment


class VersionFollower:
    """The version that an alias means, in a server of its own; and the next one, when the alias moves.

    Args:
        settings: The configuration.
        wanted: What is followed; a version by number stays.
        version: What `wanted` means now; it is started at once.
        every: Seconds between two looks at the alias.
        tell: Told what happens, a sentence at a time.

    Raises:
        ConfigurationError: The model lacks a key or an address.
        TrackingError: The version cannot be loaded.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: VersionName,
        version: Version,
        *,
        every: float,
        tell: Callable[[str], None],
    ) -> None:
        self.wanted = wanted
        self.tell = tell
        self._settings = settings
        self._old: set[ModelServer] = set()
        self._every = every
        self._failed: tuple[str, float] | None = None
        """The version that did not start, and when it may be tried again."""
        self._said: str | None = None
        self.current = ModelServer(settings, version)
        self.current.wait()

    async def watch(self, moved: Callable[[], None]) -> None:
        """Look at the alias until cancelled; `moved` is called when another server has taken over."""
        while True:
            await asyncio.sleep(self._every)
            try:
                if await self._look():
                    moved()
                    self._drain_old()
            except LabError as exc:
                # The store may be away for a moment; what is served goes on.
                if exc.message != self._said:
                    self.tell(exc.message)
                self._said = exc.message

    async def _look(self) -> bool:
        version = await asyncio.to_thread(self._resolve)
        if version.version == self.current.version.version and self.current.alive:
            return False
        failed, again = self._failed or (None, 0.0)
        if failed == version.version and time.monotonic() < again:
            return False
        starting = await asyncio.to_thread(ModelServer, self._settings, version)
        self._old.add(starting)
        try:
            await asyncio.to_thread(starting.wait)
        except LabError as exc:
            self._old.discard(starting)
            self._failed = (version.version, time.monotonic() + _AGAIN)
            raise TrackingError(
                f"{version.reference} did not start, {self.current.version.reference} goes on: "
                f"{exc.message}"
            ) from exc
        self._old.discard(starting)
        before, self.current = self.current, starting
        self._failed = self._said = None
        self._old.add(before)
        self.tell(f"{self.wanted} is {version.reference} now; requests go there.")
        return True

    def _drain_old(self) -> None:
        for server in self._old:
            if not server.draining:
                server.draining = True
                self._last = asyncio.create_task(self._drain(server))

    async def _drain(self, server: ModelServer) -> None:
        until = time.monotonic() + _DRAIN
        while server.active and server.alive and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._ended, server)
        self._old.discard(server)

    def _ended(self, server: ModelServer) -> None:
        server.stop()
        if server.lost is not None:
            self.tell(f"{server.version.reference}: {server.lost}")

    def _resolve(self) -> Version:
        return find_version(open_store(self._settings), self.wanted)

    def stop(self) -> None:
        """End all servers; returns when they have ended."""
        for server in (self.current, *self._old):
            self._ended(server)
