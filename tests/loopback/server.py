"""The server: one thread a connection, five vendors on one port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.loopback.anthropic import AnthropicWire
from tests.loopback.azure import AzureWire
from tests.loopback.exchange import Answered, Exchange, Recorded, answer
from tests.loopback.gemini import GeminiWire
from tests.loopback.ollama import OllamaWire
from tests.loopback.openai import OpenAIWire
from tests.loopback.responder import Responder, pause
from tests.loopback.scenario import Asked, Fault, FaultKind, Scenario, WireName
from tests.loopback.wires import Wire

__all__ = ["LoopbackServer", "closed_port"]

# The order decides who gets a path that several share.
_WIRES: tuple[Wire, ...] = (
    GeminiWire(),
    AzureWire(),
    AnthropicWire(),
    OpenAIWire(),
    OllamaWire(),
)


def closed_port() -> int:
    """Return a port of 127.0.0.1 at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class LoopbackServer:
    """Speaks every wire on one port; a context manager.

    `scenario` decides what it answers and how it fails; `requests` holds what came.
    """

    def __init__(self, scenario: Scenario | None = None, *, port: int = 0) -> None:
        self.scenario = scenario or Scenario()
        self.requests: list[Recorded] = []
        self.max_in_flight = 0
        """The most requests for answers that were being answered at one time."""
        self.failures: list[BaseException] = []
        """Errors of the server itself; a test that leaves one here has found a fault in it."""
        self.arrived = threading.Condition()
        """Notified when a request arrives; guards `requests` and the numbers in flight."""
        self._in_flight = 0
        self._released = threading.Event()
        self._http = _Http(("127.0.0.1", port), _handler(self))
        self._http.owner = self
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="loopback"
        )
        self._thread.daemon = True

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.release()
        self._http.shutdown()
        self._http.server_close()
        self._http.close_connections()
        self._thread.join(5)

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, *wires: WireName) -> dict[str, str]:
        """Return the variables that lead the named providers (all where none is named) here."""
        keys = self.scenario.keys
        variables: dict[WireName, dict[str, str]] = {
            "gemini": {
                "GEMINI_API_KEY": keys.get("gemini", "none"),
                "GOOGLE_GEMINI_BASE_URL": self.url,
            },
            "ollama": {"OLLAMA_HOST": self.url},
            "openai": {
                "OPENAI_API_KEY": keys.get("openai", "none"),
                "OPENAI_BASE_URL": f"{self.url}/v1",
            },
            "azure": {
                "AZURE_OPENAI_API_KEY": keys.get("azure", "none"),
                "AZURE_OPENAI_ENDPOINT": self.url,
                "AZURE_OPENAI_DEPLOYMENT": self.scenario.models["azure"][0],
            },
            "anthropic": {
                "ANTHROPIC_API_KEY": keys.get("anthropic", "none"),
                "ANTHROPIC_BASE_URL": self.url,
            },
        }
        return {k: v for wire in (wires or variables) for k, v in variables[wire].items()}

    def fail(self, *faults: Fault | FaultKind) -> None:
        """Queue faults; see `Scenario.fail`."""
        self.scenario.fail(*faults)

    def release(self) -> None:
        """End every `hang`, now and to come."""
        self._released.set()

    @property
    def last(self) -> Recorded:
        """The last request."""
        return self.requests[-1]

    def chats(self, wire: WireName | None = None) -> list[Recorded]:
        """Return the requests for answers, of one wire or of all."""
        by_name = {known.name: known for known in _WIRES}
        with self.arrived:
            return [
                request
                for request in self.requests
                if request.wire in ({wire} if wire else by_name)
                and by_name[request.wire].read(request) is not None  # type: ignore[index]  # a WireName by construction
            ]

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until so many requests have arrived; return whether they have."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.requests) >= count, timeout)

    # What follows is called by the handler, in its connection's thread.

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        recorded = _read(handler)
        wire = next((known for known in _WIRES if known.recognises(recorded)), None)
        recorded.wire = wire.name if wire else ""
        exchange = Exchange(handler, recorded)
        with self.arrived:
            self.requests.append(recorded)
            self.arrived.notify_all()
        if wire is None:
            exchange.send(answer({"error": f"no such address: {recorded.path}"}, 404))
            return
        asked = wire.read(recorded)
        if asked is None:
            self._other(wire, exchange)
            return
        with self._counted():
            self._chat(wire, asked, exchange)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self.arrived:
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            yield
        finally:
            with self.arrived:
                self._in_flight -= 1

    def _other(self, wire: Wire, exchange: Exchange) -> None:
        request = exchange.recorded
        asked = Asked(wire=wire.name, model="", question="", whole="", stream=False)
        fault = self.scenario.next_fault(wire.name, None, "other")
        request.fault = fault.kind if fault else None
        if fault is not None:
            responder = Responder(wire, asked, exchange, self.scenario, self._released)
            responder.break_whole(fault, Answered(200, {}))
            return
        if not self._key_fits(wire, request, ""):
            exchange.send(wire.refusal(Fault("wrong_key"), asked))
            return
        answered = wire.other(request, self.scenario)
        if answered is None:
            exchange.send(answer({"error": f"no such address: {request.path}"}, 404))
        elif isinstance(answered, Answered):
            exchange.send(answered)
        else:
            exchange.begin("application/x-ndjson")
            for line in answered:
                exchange.chunk(line)
            exchange.end()

    def _chat(self, wire: Wire, asked: Asked, exchange: Exchange) -> None:
        scenario, request = self.scenario, exchange.recorded
        if not self._key_fits(wire, request, asked.model):
            exchange.send(wire.refusal(Fault("wrong_key"), asked))
            return
        if not wire.knows(asked, scenario):
            exchange.send(wire.refusal(Fault("unknown_model"), asked))
            return
        fault = scenario.next_fault(wire.name, asked.model, "chat")
        request.fault = fault.kind if fault else None
        pause(scenario.latency)
        if fault is None and asked.schema is not None and not scenario.schemas:
            fault = Fault("bad_parameter")
        Responder(wire, asked, exchange, scenario, self._released).respond(
            scenario.reply(asked), fault
        )

    def _key_fits(self, wire: Wire, request: Recorded, model: str) -> bool:
        wanted = self.scenario.keys.get(wire.name)
        # An Ollama server answers OpenAI's protocol too, and asks for no key.
        local = {*self.scenario.models["ollama"]}
        if wire.name == "openai" and (model in local or f"{model}:latest" in local):
            return True
        return wanted is None or wire.key_of(request) == wanted


def _read(handler: BaseHTTPRequestHandler) -> Recorded:
    length = int(handler.headers.get("Content-Length") or 0)
    data = handler.rfile.read(length) if length else b""
    parts = urlsplit(handler.path)
    body: Any = None
    if data:
        try:
            body = json.loads(data)
        except ValueError:
            body = data.decode("utf-8", "replace")
    return Recorded(
        method=handler.command,
        path=unquote(parts.path),
        query=dict(parse_qsl(parts.query)),
        headers={name.lower(): value for name, value in handler.headers.items()},
        body=body,
    )


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    # On Windows this would let two servers share a port.
    allow_reuse_address = sys.platform != "win32"

    owner: LoopbackServer

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._guard:
            self._open.discard(request)

    def close_connections(self) -> None:
        """End the connections that clients keep open for a next request."""
        with self._guard:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        # A client that goes away is no error of the server.
        if error is not None and not isinstance(error, ConnectionError):
            self.owner.failures.append(error)


def _handler(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        owner: ClassVar[LoopbackServer] = server

        def do_GET(self) -> None:
            self.owner.handle(self)

        do_POST = do_HEAD = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    return Handler
