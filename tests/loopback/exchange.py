"""One HTTP request on its way through the server: what came, and the ways to answer or break off."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

__all__ = ["Answered", "Exchange", "Recorded", "answer"]


@dataclass
class Recorded:
    """A request as the server saw it."""

    method: str
    path: str
    """Without the query."""
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    body: Any
    """Parsed JSON; None where there was none."""
    wire: str = ""
    fault: str | None = None
    """Kind of the fault that struck it."""
    disconnected: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when the client closed the connection before it had the whole answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer: status, JSON (or raw bytes) and headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(body: Any, status: int = 200, **headers: str) -> Answered:
    """Return a whole answer; an underscore in a header's name stands for a hyphen."""
    return Answered(status, body, {name.replace("_", "-"): text for name, text in headers.items()})


class Exchange:
    """Writes one response, whole or in chunks."""

    def __init__(self, handler: BaseHTTPRequestHandler, recorded: Recorded) -> None:
        self._handler = handler
        self._head = b""
        self.recorded = recorded

    def send(self, answered: Answered) -> None:
        """Send a whole response."""
        body = answered.body
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", **answered.headers}
        self._write(self._headers(answered.status, headers, f"Content-Length: {len(data)}") + data)

    def begin(self, content_type: str) -> None:
        """Begin a streamed response; its headers travel with the first chunk."""
        self._head = self._headers(
            200, {"Content-Type": content_type}, "Transfer-Encoding: chunked"
        )

    def chunk(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self._write(head + f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def flush_head(self) -> None:
        """Send the headers now, before there is any chunk."""
        head, self._head = self._head, b""
        if head:
            self._write(head)

    def end(self) -> None:
        """End a streamed response as HTTP wants it."""
        head, self._head = self._head, b""
        self._write(head + b"0\r\n\r\n")

    def reset(self) -> None:
        """Break the connection so that the client sees "connection reset by peer"."""
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._close()

    def drop(self) -> None:
        """End the connection in the middle of the response."""
        self.flush_head()
        self._shut()

    def hang(self, released: threading.Event) -> None:
        """Send nothing more until released or until the client goes away."""
        while not released.is_set():
            readable, _, _ = select.select([self._socket], [], [], 0.02)
            if readable and self._peer_closed():
                self.recorded.disconnected.set()
                break
        self._shut()

    @property
    def _socket(self) -> socket.socket:
        connection: socket.socket = self._handler.connection
        return connection

    def _peer_closed(self) -> bool:
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._close()

    def _close(self) -> None:
        self._handler.close_connection = True
        # The handler's own file holds the descriptor open; closing both is what reaches the client.
        with contextlib.suppress(OSError):
            self._handler.rfile.close()
        self._socket.close()

    def _headers(self, status: int, headers: Mapping[str, str], length: str) -> bytes:
        reason = self._handler.responses.get(status, ("Status",))[0]
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{k}: {v}" for k, v in headers.items()), length]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _write(self, data: bytes) -> None:
        try:
            self._handler.wfile.write(data)
            self._handler.wfile.flush()
        except OSError:
            self.recorded.disconnected.set()
            raise ConnectionAbortedError("the client went away") from None
