"""The line to a tracking server: proxies, certificates, and answers that come a byte at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from llmflowlab.settings import load_settings
from llmflowlab.tracking import store_line
from llmflowlab.tracking.store import open_store
from llmflowlab.tracking.store_errors import StoreUnreachable
from llmflowlab.tracking.store_line import line_environment
from tests.loopback import closed_port
from tests.tracking.helpers import settings_for

EXPERIMENT = {"experiment": {"experiment_id": "7", "name": "x", "lifecycle_stage": "active"}}


class Server(BaseHTTPRequestHandler):
    """Answers as MLflow does, or a byte at a time."""

    trickles: ClassVar[str | None] = None
    """What comes a byte at a time: `head`, `body` or nothing."""
    given_up: ClassVar[Event]
    released: ClassVar[Event]

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        body = json.dumps(EXPERIMENT).encode()
        if self.trickles is None:
            self.wfile.write(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            return
        self.wfile.write(head if self.trickles == "head" else head + b"\r\n")
        try:
            while not self.released.wait(0.05):
                self.wfile.write(b"x")
        except OSError:
            self.given_up.set()

    do_POST = do_GET


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Server, "given_up", Event(), raising=False)
    monkeypatch.setattr(Server, "released", Event(), raising=False)
    # What MLflow's own loading sets there is not to outlive the test.
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "http_proxy", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    for name in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "0" if name != "TIMEOUT" else "1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            Server.released.set()
            server.shutdown()
            thread.join()


def impatient(home: Path, address: str, **environ: str) -> Any:
    return open_store(
        settings_for(
            home,
            MLFLOW_TRACKING_URI=address,
            MLFLOW_HTTP_REQUEST_TIMEOUT="1",
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
            **environ,
        )
    )


def test_no_proxy_is_asked_for_a_store_on_this_machine(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("HTTP_PROXY", dead)
    monkeypatch.setenv("http_proxy", dead)
    store = impatient(tmp_path, address, HTTP_PROXY=dead)
    assert store.experiment_id("x") == "7"


def test_a_proxy_that_does_not_answer_is_named(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("HTTP_PROXY", dead)
    monkeypatch.setenv("http_proxy", dead)
    store = impatient(tmp_path, "http://mlflow.example:5000", HTTP_PROXY=dead)
    with pytest.raises(StoreUnreachable, match="The proxy on the way to MLflow at http://mlflow"):
        store.experiment_id("x")


def test_a_store_without_tls_is_no_silence(address: str, tmp_path: Path) -> None:
    store = impatient(tmp_path, address.replace("http:", "https:"))
    with pytest.raises(StoreUnreachable, match="No trusted connection to MLflow"):
        store.experiment_id("x")


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_of_a_byte_at_a_time_is_given_up(
    part: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each byte came within the deadline of a read, so that `evaluate` waited for ever.
    monkeypatch.setattr(Server, "trickles", part)
    with pytest.raises(StoreUnreachable):
        impatient(tmp_path, address).experiment_id("x")


def test_what_comes_at_a_fair_pace_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Slow(BytesIO):
        def readinto(self, buffer: Any) -> int:
            now[0] += pace * len(buffer)
            return super().readinto(buffer)

    monkeypatch.setattr(store_line, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def read() -> bytes:
        socket = SimpleNamespace(makefile=lambda *_, **__: Slow(b"x" * 1_000_000))
        return store_line._Line(socket, 12.0).makefile("rb").read()

    pace = 1 / 20_000
    assert len(read()) == 1_000_000
    pace = 1 / 1_000
    with pytest.raises(TimeoutError):
        read()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        ({"NO_PROXY": "intranet"}, {}),
        ({"HTTPS_PROXY": "http://p"}, {"no_proxy": "localhost,127.0.0.1,::1"}),
        (
            {"https_proxy": "http://p", "NO_PROXY": "intranet,::1"},
            {"no_proxy": "intranet,::1,localhost,127.0.0.1,::1"},
        ),
        (
            {"ALL_PROXY": "http://p", "MLFLOW_TRACKING_URI": "http://127.0.0.9:5000"},
            {"no_proxy": "localhost,127.0.0.1,::1,127.0.0.9"},
        ),
        ({"SSL_CERT_FILE": "/own.pem"}, {"REQUESTS_CA_BUNDLE": "/own.pem"}),
        ({"CURL_CA_BUNDLE": "/own.pem"}, {"REQUESTS_CA_BUNDLE": "/own.pem"}),
    ],
)
def test_what_requests_finds_in_the_environment(
    environ: dict[str, str], expected: dict[str, str], tmp_path: Path
) -> None:
    settings = load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)
    assert line_environment(settings) == expected
