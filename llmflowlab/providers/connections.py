"""The line from this machine to a server, alike for every provider: its proxies, certificates and bounds."""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llmflowlab.errors import BadAnswer, NotConfigured
from llmflowlab.machine import certificate_variables, on_this_machine
from llmflowlab.providers.base import Provider
from llmflowlab.providers.bodies import filtered
from llmflowlab.providers.http_lines import own_lines
from llmflowlab.providers.transport import READ_SLACK, is_http_error, read_timeout, vendor_text
from llmflowlab.settings import Settings

__all__ = ["certificates", "client_arguments", "guards", "unbuildable", "why_unbuilt"]

_STREAMS = frozenset({"text/event-stream", "application/x-ndjson"})
_CODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
"""Each alone: what was packed twice, or better than these can, grows beyond what any bound catches."""
_MEGABYTE = 1_000_000
_MOST_WHOLE = 64 * _MEGABYTE
"""Bytes of a body that is read as a whole."""
_MOST_STREAMED = 512 * _MEGABYTE
"""Bytes of a stream, of which no more than a message is kept."""
_MOST_UNBROKEN = 16 * _MEGABYTE
"""Bytes of one message of a stream."""


def certificates(settings: Settings, *, provider: str) -> ssl.SSLContext | None:
    """Return what trusts the person's own certificates; None where none are named.

    Raises:
        NotConfigured: What is named is not there, or holds no certificates.
    """
    names = certificate_variables(settings)
    if not names:
        return None
    for name in names:
        if not Path(settings.get(name) or "").exists():
            raise NotConfigured(
                f"{name} names {settings.get(name)}, which is not there; correct it or unset it.",
                provider=provider,
            )
    try:
        return _trusting(tuple(settings.get(name) or "" for name in names))
    except OSError as exc:
        raise NotConfigured(
            f"{' and '.join(names)} cannot be read as certificates in PEM form "
            f"({type(exc).__name__}); correct it or unset it.",
            provider=provider,
        ) from exc


@lru_cache(maxsize=8)
def _trusting(paths: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in map(Path, paths):
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    return context


def client_arguments(
    http: Any, settings: Settings, address: str, *, provider: str, on_loop: bool = False
) -> dict[str, Any]:
    """Return what an HTTP client is made with, beside its `guards`.

    Args:
        http: The package it is from, httpx or httpx2.
        settings: The configuration.
        address: Where it will send to.
        provider: Whose it is.
        on_loop: Whether it is an asynchronous one.

    Raises:
        NotConfigured: The person's own certificates cannot be used.
    """
    from urllib.request import getproxies

    parts = urlsplit(address)
    here = on_this_machine(parts.hostname or "")
    trusting: ssl.SSLContext = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if parts.scheme == "https":
        trusting = certificates(settings, provider=provider) or http.create_ssl_context()
    # A chat's next turn comes after a pause; httpx would connect anew after 5 s.
    limits = http.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=120)
    found = {
        "verify": trusting,
        "timeout": http.Timeout(
            read_timeout(settings), connect=settings.connect_timeout, pool=None
        ),
        "limits": limits,
    }

    # With a transport of its own a client looks for no proxies; some SDKs' look whatever they are told.
    if on_loop and (here or not getproxies()):
        return {**found, "transport": own_lines(http, trusting)}
    return (
        {**found, "transport": http.HTTPTransport(verify=trusting, limits=limits)}
        if here
        else found
    )


def guards(
    provider: Provider,
    *read: Callable[[Any], None],
    sent: Sequence[Callable[[Any], None]] = (),
    bounded: bool = True,
) -> dict[str, list[Callable[[Any], Awaitable[None]]]]:
    """Return the hooks of an HTTP client on the loop that keep its key at one server, and answers within bounds.

    Args:
        provider: Whose client it is.
        read: What each response is handed to before the SDK reads it.
        sent: What each request is handed to before it is sent.
        bounded: Whether a response must end within the time an answer may take.
    """
    # The provider itself is not kept: it would never be let go of, nor would its connections.
    settings, name, whose = (
        provider.settings,
        provider.display_name,
        (provider.name, provider.model),
    )

    def failed(message: str) -> BadAnswer:
        return BadAnswer(message, provider=whose[0], model=whose[1])

    def ask(request: Any) -> None:
        request.headers["accept-encoding"] = "gzip, deflate"

    def stay(response: Any) -> None:
        if not response.has_redirect_location:
            return
        here, there = response.url, response.url.join(response.headers["location"])
        if (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
            where = vendor_text(f"{there.scheme}://{there.netloc.decode('ascii')}", settings)
            raise failed(
                f"What answers at {name}'s address sends requests on to {where}, where its key must "
                "not go; if that is the right server, set its address instead."
            )

    def bound(response: Any) -> None:
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding not in _CODINGS:
            raise failed(
                f"{name} sent an answer packed in a way nobody asked for; check its address."
            )
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        streamed = response.is_success and kind in _STREAMS
        most = _MOST_STREAMED if streamed else _MOST_WHOLE
        unbroken = _MOST_UNBROKEN if streamed else most
        until = time.monotonic() + settings.answer_timeout + READ_SLACK

        def check(total: int, line: int) -> None:
            if total > most or line > unbroken:
                size = (unbroken if total <= most else most) // _MEGABYTE
                raise failed(
                    f"{name} sent more than {size} MB in one piece; no answer is that long."
                )
            if bounded and time.monotonic() > until:
                raise failed(
                    f"{name}'s answer did not end within {settings.answer_timeout:g} s "
                    "(LLMFLOWLAB_ANSWER_TIMEOUT sets this limit)."
                )

        filtered(response, lambda: _Measured(check))

    return {
        "request": [_awaited(hook) for hook in (ask, *sent)],
        "response": [_awaited(hook) for hook in (stay, bound, *read)],
    }


def _awaited(hook: Callable[[Any], None]) -> Callable[[Any], Awaitable[None]]:
    async def called(what: Any) -> None:
        hook(what)

    return called


class _Measured:
    """Passes everything on, after it has told how much came in all and since the last line's end."""

    def __init__(self, check: Callable[[int, int], None]) -> None:
        self._check = check
        self._total = self._line = 0

    def take(self, part: bytes) -> bytes:
        self._total += len(part)
        end = part.rfind(b"\n")
        self._line = self._line + len(part) if end < 0 else len(part) - end - 1
        self._check(self._total, self._line)
        return part

    def end(self) -> bytes:
        return b""


@contextmanager
def unbuildable(*kinds: type[Exception], provider: Provider) -> Iterator[None]:
    """Map what building an SDK's client can raise, all of which the person has to mend.

    Args:
        kinds: The SDK's own exceptions.
        provider: Whose client it is.

    Raises:
        NotConfigured: The address, a proxy variable or a certificate file cannot be used.
    """
    try:
        yield
    except Exception as exc:
        expected = isinstance(exc, (*kinds, ImportError, OSError, ValueError))
        if not (expected or is_http_error(exc)):
            raise
        why = why_unbuilt(exc, provider.display_name, provider.settings)
        raise NotConfigured(why, provider=provider.name) from exc


def why_unbuilt(exc: Exception, display_name: str, settings: Settings) -> str:
    """Return the sentence for a client that cannot be built."""
    if isinstance(exc, ImportError) and "socks" in str(exc).lower():
        from urllib.request import getproxies

        found = (kind for kind, proxy in getproxies().items() if proxy.startswith("socks"))
        variable = f"{next(found, 'all')}_proxy".upper()
        return (
            f"{variable} names a SOCKS proxy, for which the package socksio is missing; run "
            "`pip install socksio`, or unset it."
        )
    return (
        f"No connection to {display_name} can be prepared ({type(exc).__name__}: "
        f"{vendor_text(exc, settings)}); check its address and key, and the proxy variables "
        "(HTTPS_PROXY)."
    )
