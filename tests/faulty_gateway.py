"""Stands before a tracking server, and goes wrong when it is told to."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Literal, TypeAlias, get_args

from tests.patience import PATIENCE

__all__ = ["FAULTS", "Fault", "Gateway", "gateway"]

Fault: TypeAlias = Literal["refuses", "trickles", "is deaf", "is gone"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
"""HTTP 503; a byte now and then; does what it was asked and never says so; closes every line."""


class Gateway(ThreadingHTTPServer):
    """Passes requests on to the server at a port, until it breaks."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.struck = Event()
        """Set when a request met the fault."""
        self._mended = Event()
        self._fault: Fault | None = None
        self._left = 0
        self._lock = Lock()

    def break_down(self, fault: Fault, *, after: int) -> None:
        """Go wrong after so many further requests."""
        with self._lock:
            self._fault, self._left = fault, after
            self._mended, self.struck = Event(), Event()

    def mend(self) -> None:
        with self._lock:
            self._fault = None
            self._mended.set()

    def taken(self) -> tuple[Fault | None, Event]:
        """Count a request; returns what becomes of it, and what is set when all is well again."""
        with self._lock:
            if self._fault is None or self._left > 0:
                self._left -= 1
                return None, self._mended
            self.struck.set()
            return self._fault, self._mended

    def handle_error(self, *_: Any) -> None:
        """A client that gives up in the middle is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def log_message(self, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        body = self._body()
        fault, mended = self.server.taken()
        self.close_connection = True
        if fault == "is gone":
            return
        if fault == "refuses":
            self.send_error(503)
        elif fault == "trickles":
            # It is done: MLflow's client takes even a torn "200 OK" for what it says.
            self._passed_on(body)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
            with suppress(OSError):
                while not mended.wait(0.05):
                    self.wfile.write(b"x")
        else:
            status, headers, said = self._passed_on(body)
            if fault == "is deaf":
                return
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        # So files are sent that are empty.
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        del self.headers["transfer-encoding"]
        self.headers["content-length"] = str(len(found))
        return found

    def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        try:
            line.request(self.command, self.path, body, dict(self.headers.items()))
            response = line.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            line.close()


@contextmanager
def gateway(port: int) -> Iterator[Gateway]:
    """Run one before the server at a port."""
    with Gateway(port) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.mend()
            server.shutdown()
            thread.join()
