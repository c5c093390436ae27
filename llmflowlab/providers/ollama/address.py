"""Where Ollama is, and whether it answers there: read from `OLLAMA_HOST` without its SDK."""

from __future__ import annotations

import ipaddress
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from llmflowlab.errors import NotConfigured
from llmflowlab.loading import load
from llmflowlab.machine import on_this_machine
from llmflowlab.providers.base import Readiness
from llmflowlab.providers.connections import certificates, client_arguments, why_unbuilt
from llmflowlab.providers.transport import caused_by_tls, is_http_error
from llmflowlab.settings import Settings

__all__ = ["Address", "headers", "look", "read_address"]

_TAGS = "/api/tags"
_MOST = 4_000_000
"""Bytes of a list of models."""
_PORTS = {"http": 80, "https": 443}
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, never bound


@dataclass(frozen=True, slots=True)
class Address:
    """Ollama's address, taken apart."""

    scheme: str
    host: str
    """Where to connect; an IPv6 address without its brackets."""
    port: int
    path: str
    """Empty, or what stands before `/api` behind a gateway, with a leading slash."""
    shown: str
    """As a person reads it."""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @property
    def is_local(self) -> bool:
        return on_this_machine(self.host)


def read_address(settings: Settings) -> Address:
    """Read `OLLAMA_HOST` in every form that Ollama and its SDK take: `host`, `:port`, a URL, ….

    Raises:
        NotConfigured: It is no address.
    """
    text = (settings.get("OLLAMA_HOST") or "").strip().strip("\"'")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    if _is_bare_ipv6(rest):
        rest = f"[{rest}]"
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        given, port = parts.hostname, parts.port
    except ValueError:
        given, port = None, -1
    if scheme not in _PORTS or port == -1 or any(character.isspace() for character in rest):
        raise NotConfigured(
            "OLLAMA_HOST is no address; write it as in http://localhost:11434.", provider="ollama"
        )
    if port is None:
        port = _PORTS[scheme] if separator else 11434
    path = "/" + parts.path.strip("/") if parts.path.strip("/") else ""
    # An address to listen on everywhere is often set for the server; nobody can connect to it.
    host = _EVERYWHERE.get(given or "", given or "127.0.0.1")
    name = host if given else "localhost"
    bracketed = f"[{name}]" if ":" in name else name
    return Address(scheme, host, port, path, f"{scheme}://{bracketed}:{port}{path}")


def _is_bare_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def headers(settings: Settings) -> dict[str, str]:
    """Return the headers every request carries: a key, where a gateway asks for one."""
    key = settings.get("OLLAMA_API_KEY")
    return {"authorization": f"Bearer {key}"} if key else {}


def look(settings: Settings, timeout: float) -> Readiness:
    """Ask Ollama for its models within `timeout` seconds in all; never raises."""
    try:
        address = read_address(settings)
        ask = _ask_here if address.is_local else _ask_there
        status, body = ask(address, settings, timeout)
    except NotConfigured as exc:
        return Readiness(False, exc.message)
    except Exception as exc:
        if not (isinstance(exc, OSError | ValueError) or is_http_error(exc)):
            raise
        if caused_by_tls(exc):
            return Readiness(
                False,
                f"no trusted connection to {address.shown} can be made; name its certificate in "
                "SSL_CERT_FILE, or correct OLLAMA_HOST",
            )
        return Readiness(
            False, f"nothing answers at {address.shown}; install it or set OLLAMA_HOST"
        )
    if status in {401, 403}:
        return Readiness(False, f"{address.shown} wants a key; set OLLAMA_API_KEY")
    count = _count(body) if status == 200 else None
    if count is None:
        return Readiness(
            False, f"{address.shown} answers, but not as Ollama does; check OLLAMA_HOST"
        )
    if count == 0:
        return Readiness(True, f"{address.shown}, no model yet (chat offers to pull one)")
    return Readiness(True, f"{address.shown}, {count} model{'s' if count != 1 else ''}")


def _ask_here(address: Address, settings: Settings, timeout: float) -> tuple[int, bytes]:
    """Ask without a proxy, as calls do on this machine, and without the HTTP client's long import."""
    deadline = time.monotonic() + timeout
    line: socket.socket = socket.create_connection((address.host, address.port), timeout)
    # Imported where something answers only: while the menu opens, milliseconds count.
    import http.client

    try:
        if address.scheme == "https":
            import ssl

            line.settimeout(_left(deadline))
            trusting = certificates(settings, provider="ollama") or ssl.create_default_context()
            line = trusting.wrap_socket(line, server_hostname=address.host)
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.sock = line
        line.settimeout(_left(deadline))
        connection.request("GET", f"{address.path}{_TAGS}", headers=headers(settings))
        line.settimeout(_left(deadline))
        response = connection.getresponse()

        def parts() -> Iterator[bytes]:
            line.settimeout(_left(deadline))
            while part := response.read1(1 << 16):
                yield part
                line.settimeout(_left(deadline))

        return response.status, _whole(parts(), deadline)
    except http.client.HTTPException as exc:
        raise ConnectionError("what answers does not speak HTTP") from exc
    finally:
        line.close()


def _ask_there(address: Address, settings: Settings, timeout: float) -> tuple[int, bytes]:
    """Ask as calls do, through a proxy where there is one."""
    deadline = time.monotonic() + timeout
    load("httpx")
    import httpx

    line = client_arguments(httpx, settings, address.url, provider="ollama")
    try:
        client = httpx.Client(**{**line, "timeout": _left(deadline)})
    except (ImportError, ValueError) as exc:
        raise NotConfigured(why_unbuilt(exc, "Ollama", settings), provider="ollama") from exc
    with (
        client,
        client.stream("GET", f"{address.url}{_TAGS}", headers=headers(settings)) as response,
    ):
        return response.status_code, _whole(response.iter_bytes(), deadline)


def _whole(parts: Iterator[bytes], deadline: float) -> bytes:
    found = b""
    for part in parts:
        found += part
        _left(deadline)
        if len(found) > _MOST:
            raise ConnectionError("no list of models is as long")
    return found


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _count(body: bytes) -> int | None:
    """Return the number of models in the answer; None where it is none of Ollama's."""
    try:
        read: Any = json.loads(body)
    except ValueError:
        return None
    models = read.get("models", ()) if isinstance(read, dict) else ()
    if models is None:
        return 0
    return len(models) if isinstance(models, list) else None
