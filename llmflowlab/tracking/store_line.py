"""The line to a tracking server: MLflow's HTTP client, requests, held to the rules of all other lines."""

from __future__ import annotations

import io
import time
from typing import Any
from urllib.parse import urlsplit

from llmflowlab.machine import certificate_variables, on_this_machine
from llmflowlab.settings import Settings

__all__ = ["bound_answers", "goes_by_proxy", "line_environment"]

_SLOWEST = 10_000
"""Bytes a second; an answer that comes more slowly than this is given up in the end."""
_PATIENCE = 60.0
"""Seconds for an answer where a request has no deadline."""


def line_environment(settings: Settings) -> dict[str, str]:
    """Return what requests is to find in the environment: no proxy for this machine, own certificates."""
    environment, found = settings.environment, {}
    if any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in environment):
        # Only then: where it is set alone, the proxies that a system names are no longer looked up.
        host = urlsplit(settings.tracking_uri).hostname or ""
        given = environment.get("no_proxy") or environment.get("NO_PROXY")
        hosts = [given, "localhost", "127.0.0.1", "::1", host if on_this_machine(host) else None]
        # In small letters it wins everywhere.
        found["no_proxy"] = ",".join(dict.fromkeys(each for each in hosts if each))
    for name in certificate_variables(settings)[:1]:
        found["REQUESTS_CA_BUNDLE"] = environment[name]
    return found


def goes_by_proxy(uri: str) -> bool:
    """Tell whether MLflow's client reaches an address through a proxy."""
    from requests.utils import get_environ_proxies, select_proxy

    return select_proxy(uri, get_environ_proxies(uri)) is not None


class _Timed(io.RawIOBase):
    """What is read of one answer, until it has taken too long for what came of it."""

    def __init__(self, inner: Any, patience: float) -> None:
        self._inner = inner
        self._until = time.monotonic() + patience

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._until:
            raise TimeoutError("the answer came too slowly")
        count: int | None = self._inner.readinto(buffer)
        self._until += (count or 0) / _SLOWEST
        return count

    def close(self) -> None:
        self._inner.close()
        super().close()


class _Line:
    """A socket whose one answer is `_Timed`."""

    def __init__(self, line: Any, patience: float) -> None:
        self._line, self._patience = line, patience

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Timed(self._line.makefile("rb", buffering=0), self._patience))


class _Bounded:
    """Mixed into urllib3's connections; a deadline of theirs holds for one read alone."""

    sock: Any
    timeout: Any

    def getresponse(self) -> Any:
        bare, patience = self.sock, self.timeout
        seconds = 2 * patience if isinstance(patience, int | float) else _PATIENCE
        self.sock = line = _Line(bare, seconds)
        try:
            return super().getresponse()  # type: ignore[misc]  # of the class it is mixed into
        finally:
            # Closed by now where the server keeps no connection.
            if self.sock is line:
                self.sock = bare


def bound_answers() -> None:
    """Let no answer to requests in this process take for ever, a byte at a time."""
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    for pool in (HTTPConnectionPool, HTTPSConnectionPool):
        plain: Any = pool.ConnectionCls
        if not issubclass(plain, _Bounded):
            pool.ConnectionCls = type(plain.__name__, (_Bounded, plain), {})
