"""Every provider's line to its server: proxies, certificates, redirects, bounds; through the real SDKs."""

from __future__ import annotations

import datetime
import gzip
import importlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from llmflowlab.errors import BadAnswer, ConnectionFailed, NotConfigured, ProviderError
from llmflowlab.machine import on_this_machine
from llmflowlab.messages import Message, Request
from llmflowlab.providers import connections
from llmflowlab.providers.base import Provider
from llmflowlab.providers.connections import guards
from llmflowlab.providers.event_loop import blocking
from llmflowlab.providers.factory import build
from llmflowlab.providers.local.package_index import PackageIndex
from llmflowlab.providers.ollama.address import look
from llmflowlab.providers.receiving import events_of
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings, load_settings
from tests.loopback import LoopbackServer, closed_port
from tests.patience import PATIENCE

HELLO = Request(messages=(Message("user", "Say hello"),))
VENDORS = ("openai", "azure", "anthropic", "gemini", "ollama")
EVERYBODY = (*VENDORS, "mlflow")
ADDRESSES = {
    "openai": ("OPENAI_BASE_URL", "/v1"),
    "azure": ("AZURE_OPENAI_ENDPOINT", ""),
    "anthropic": ("ANTHROPIC_BASE_URL", ""),
    "gemini": ("GOOGLE_GEMINI_BASE_URL", ""),
    "ollama": ("OLLAMA_HOST", ""),
}
KEY = "a-key-of-this-test-0123456789"
KEYS = {
    "OPENAI_API_KEY": KEY,
    "AZURE_OPENAI_API_KEY": KEY,
    "ANTHROPIC_API_KEY": KEY,
    "GEMINI_API_KEY": KEY,
    "OLLAMA_API_KEY": KEY,
}

Make = Callable[..., Provider]

pytestmark = pytest.mark.usefixtures("requests_allowed")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made = []

    def found(vendor: str, address: str, **environ: str) -> Provider:
        if vendor in ADDRESSES:
            variable, path = ADDRESSES[vendor]
            environ[variable] = address + path
        model = address if vendor == "mlflow" else "a-model"
        settings = load_settings({**KEYS, **environ}, cwd=tmp_path, stdin_is_terminal=False)
        made.append(build(f"{vendor}:{model}", settings, settled=False))
        return made[-1]

    yield found
    for provider in made:
        provider.close()


@pytest.fixture
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def text_of(provider: Provider) -> str:
    return "".join(getattr(event, "text", "") for event in events_of(provider, HELLO))


# -- proxies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(
            (host, True)
            for host in (
                *("localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.8.9.10", "127.1"),
                *("::1", "[::1]", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "0.0.0.0", "::"),
            )
        ),
        *(
            (host, False)
            for host in ("", "example.com", "127.example.com", "localhost.example", "128.0.0.1")
        ),
    ],
)
def test_which_hosts_are_this_machine(host: str, expected: bool):
    assert on_this_machine(host) is expected


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_is_not_asked_for_this_machine(
    vendor: str,
    scheme: str,
    make: Make,
    loopback: LoopbackServer,
    without_proxies: pytest.MonkeyPatch,
):
    dead = f"{scheme}://127.0.0.1:{closed_port()}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        without_proxies.setenv(name, dead)
    loopback.scenario.keys.clear()
    for models in loopback.scenario.models.values():
        models += ["a-model", "a-model:latest"]
    assert text_of(make(vendor, loopback.url))


@pytest.mark.parametrize("vendor", EVERYBODY)
def test_a_socks_proxy_without_its_package_is_named(
    vendor: str, make: Make, without_proxies: pytest.MonkeyPatch
):
    without_proxies.setenv("ALL_PROXY", f"socks5://127.0.0.1:{closed_port()}")
    with pytest.raises(NotConfigured, match=r"ALL_PROXY names a SOCKS proxy.*pip install socksio"):
        text_of(make(vendor, "http://models.example"))


@pytest.mark.parametrize("vendor", EVERYBODY)
def test_a_proxy_that_is_no_address_is_told(
    vendor: str, make: Make, without_proxies: pytest.MonkeyPatch
):
    without_proxies.setenv("HTTP_PROXY", "odd://nowhere")
    with pytest.raises(NotConfigured, match="proxy variables"):
        text_of(make(vendor, "http://models.example"))


def test_readiness_asks_through_the_proxy_that_calls_go_through(
    loopback: LoopbackServer, tmp_path: Path, without_proxies: pytest.MonkeyPatch
):
    settings = load_settings({"OLLAMA_HOST": "http://models.example"}, cwd=tmp_path)
    without_proxies.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    assert look(settings, 30.0).text.startswith("nothing answers at http://models.example")
    with serving(Proxy) as proxy:
        without_proxies.setenv("HTTP_PROXY", proxy)
        assert look(settings, 30.0).text == "http://models.example:80, 1 model"


def test_readiness_names_a_socks_proxy_without_its_package(
    tmp_path: Path, without_proxies: pytest.MonkeyPatch
):
    without_proxies.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    settings = load_settings({"OLLAMA_HOST": "http://models.example"}, cwd=tmp_path)
    assert look(settings, 30.0).text.startswith("ALL_PROXY names a SOCKS proxy")


# -- certificates ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody else has signed, with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("certificate") / "own.pem"
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    return file


@pytest.fixture
def behind_tls(loopback: LoopbackServer, certificate: Path) -> str:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    loopback._http.socket = context.wrap_socket(loopback._http.socket, server_side=True)
    loopback.scenario.keys.clear()
    for models in loopback.scenario.models.values():
        models += ["a-model", "a-model:latest"]
    return f"https://127.0.0.1:{loopback.port}"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_own_certificates_hold_on_this_machine_too(
    vendor: str, variable: str, make: Make, behind_tls: str, certificate: Path
):
    assert text_of(make(vendor, behind_tls, **{variable: str(certificate)}))


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_certificate_that_nobody_knows_is_no_silence(vendor: str, make: Make, behind_tls: str):
    with pytest.raises(
        ConnectionFailed, match=r"No trusted connection .*\(self-signed cert"
    ) as failed:
        text_of(make(vendor, behind_tls))
    # Once tried again, as if another attempt could find another certificate.
    assert not failed.value.retryable


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_certificate_of_another_machine_is_named(
    vendor: str, make: Make, behind_tls: str, certificate: Path
):
    address = behind_tls.replace("127.0.0.1", "[::ffff:127.0.0.1]")
    with pytest.raises(ConnectionFailed, match=r"\(IP address mismatch") as failed:
        text_of(make(vendor, address, SSL_CERT_FILE=str(certificate)))
    assert not failed.value.retryable


def test_readiness_trusts_what_calls_trust(tmp_path: Path, behind_tls: str, certificate: Path):
    def said(**environ: str) -> str:
        settings = load_settings({"OLLAMA_HOST": behind_tls, **environ}, cwd=tmp_path)
        return look(settings, 30.0).text

    assert said(SSL_CERT_FILE=str(certificate)).startswith(f"{behind_tls}, ")
    assert said().startswith(f"no trusted connection to {behind_tls} can be made")
    assert "which is not there" in said(SSL_CERT_FILE="/no/such.pem")


@pytest.mark.parametrize("vendor", EVERYBODY)
def test_a_certificate_file_that_is_not_there_is_named(vendor: str, make: Make, tmp_path: Path):
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(NotConfigured, match=r"SSL_CERT_FILE names .*missing\.pem, which is not"):
        text_of(make(vendor, "https://127.0.0.1:9", SSL_CERT_FILE=missing))
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(NotConfigured, match="SSL_CERT_FILE cannot be read as certificates"):
        text_of(make(vendor, "https://127.0.0.1:9", SSL_CERT_FILE=str(empty)))


def test_certificates_are_not_asked_for_where_there_is_no_tls(make: Make, loopback: LoopbackServer):
    loopback.scenario.models["ollama"] = ["a-model:latest"]
    assert text_of(make("ollama", loopback.url, SSL_CERT_FILE="/no/such.pem"))


# -- redirects -------------------------------------------------------------------------------------


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.do_GET()

    def do_GET(self) -> None:
        raise NotImplementedError

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Proxy(Quiet):
    def do_GET(self) -> None:
        assert self.path == "http://models.example/api/tags"
        self.answer(200, b'{"models": [{"name": "one"}]}')


class Elsewhere(Quiet):
    keys: list[str] = []

    def do_GET(self) -> None:
        self.keys.extend(value for value in self.headers.values() if KEY in value)
        self.answer(200, b"{}")


class SendsOn(Quiet):
    to = ""

    def do_GET(self) -> None:
        self.answer(307, b"", location=self.to + self.path)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_key_does_not_follow_to_another_server(
    vendor: str, make: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Elsewhere, "keys", [])
    with serving(Elsewhere) as elsewhere, serving(SendsOn) as first:
        monkeypatch.setattr(SendsOn, "to", elsewhere)
        provider = make(vendor, first)
        with pytest.raises(BadAnswer, match=f"sends requests on to {elsewhere}"):
            text_of(provider)
        if vendor != "azure":
            # Azure's are not listed at all.
            with pytest.raises(BadAnswer, match="sends requests on to"):
                provider.list_models()
    assert Elsewhere.keys == []


# -- bounds ----------------------------------------------------------------------------------------


@pytest.fixture(params=["httpx", "httpx2"])
def http(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


def read(http: Any, body: Any, status: int = 200, *, bounded: bool = True, **headers: str) -> bytes:
    """Return what a guarded client reads of a response, of bytes or of pieces."""
    found = {name.replace("_", "-"): value for name, value in headers.items()}

    async def pieces() -> AsyncIterator[bytes]:
        for piece in body:
            yield piece

    def respond(request: Any) -> Any:
        content = body if isinstance(body, bytes) else pieces()
        return http.Response(status, headers=found, content=content)

    async def whole() -> bytes:
        hooks = guards(ScriptedProvider(), bounded=bounded)
        async with (
            http.AsyncClient(transport=http.MockTransport(respond), event_hooks=hooks) as client,
            client.stream("GET", "http://127.0.0.1/") as response,
        ):
            return b"".join([part async for part in response.aiter_bytes()])

    return blocking(whole())


def endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


STREAM = "text/event-stream"


@pytest.mark.parametrize("kind", [STREAM, "application/json", "application/x-ndjson"])
@pytest.mark.parametrize("piece", [b"x" * 1000, b": nothing\n" * 100])
def test_what_has_no_end_is_given_up(
    kind: str, piece: bytes, http: Any, monkeypatch: pytest.MonkeyPatch
):
    for name in ("_MOST_WHOLE", "_MOST_STREAMED", "_MOST_UNBROKEN"):
        monkeypatch.setattr(connections, name, 3_000_000)
    with pytest.raises(BadAnswer, match="sent more than 3 MB"):
        read(http, endless(piece), content_type=kind)


def test_one_message_of_a_stream_is_bounded_more_tightly(
    http: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "_MOST_UNBROKEN", 2_000_000)
    line = b"x" * 999_999 + b"\n"
    assert len(read(http, iter([line] * 5), content_type=STREAM)) == 5_000_000
    with pytest.raises(BadAnswer, match="sent more than 2 MB"):
        read(http, iter([b"x" * 1_000_000] * 3), content_type=STREAM)


def test_what_is_packed_small_is_measured_unpacked(http: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "_MOST_WHOLE", 3_000_000)
    bomb = gzip.compress(b"\0" * 5_000_000)
    with pytest.raises(BadAnswer, match="sent more than 3 MB"):
        read(http, bomb, content_encoding="gzip")
    assert read(http, gzip.compress(b"{}"), content_encoding="gzip") == b"{}"
    for coding in ("gzip, gzip", "zstd", "br"):
        with pytest.raises(BadAnswer, match="packed in a way nobody asked for"):
            read(http, gzip.compress(bomb), content_encoding=coding)


def test_a_trickle_ends_with_the_time_an_answer_has(http: Any, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]

    def trickle(pieces: int) -> Iterator[bytes]:
        for _ in range(pieces):
            now[0] += 10.0
            yield b": nothing\n"

    monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with pytest.raises(BadAnswer, match=r"did not end within 3600 s \(LLMFLOWLAB_ANSWER_TIMEOUT"):
        read(http, trickle(400), content_type=STREAM)
    # A download takes its time.
    assert read(http, trickle(400), bounded=False)


@pytest.mark.parametrize("vendor", EVERYBODY)
def test_every_provider_reads_within_bounds(
    vendor: str, make: Make, monkeypatch: pytest.MonkeyPatch
):
    class Large(Quiet):
        def do_GET(self) -> None:
            self.answer(500, b"x" * 3_000_000)

    monkeypatch.setattr(connections, "_MOST_WHOLE", 1_000_000)
    with serving(Large) as address, pytest.raises(ProviderError, match="sent more than 1 MB"):
        text_of(make(vendor, address))


# -- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["::1", "[::1]", "http://[::1]", "http://::1"])
def test_a_bare_ipv6_address_is_one(text: str, settings: Settings, tmp_path: Path):
    from llmflowlab.providers.ollama.address import read_address

    address = read_address(load_settings({"OLLAMA_HOST": text}, cwd=tmp_path))
    assert (address.host, address.is_local) == ("::1", True)
    assert address.url.startswith("http://[::1]:")


def test_the_package_index_keeps_to_the_same_rules(without_proxies: pytest.MonkeyPatch):
    found: list[str | None] = []

    class Files(Quiet):
        def do_GET(self) -> None:
            found.append(self.headers.get("authorization"))
            self.answer(200, b"file")

    class Index(Quiet):
        def do_GET(self) -> None:
            there = files if self.path == "/away" else "/away"
            found.append(self.headers.get("authorization"))
            self.answer(302, b"", location=there)

    without_proxies.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    with serving(Files) as files, serving(Index) as index:
        address = index.replace("//", "//me:s3cret@")
        asked = PackageIndex(url=address, certificates=None, patience=PATIENCE)
        with asked.open(f"{address}/simple") as response:
            assert response.read() == b"file"
    # The index sends on within itself, with the password, and then to another server, without.
    assert found == ["Basic bWU6czNjcmV0"] * 2 + [None]
