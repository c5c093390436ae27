"""What goes wrong below a vendor's SDK, in the lab's own errors: the same for every SDK on httpx.

google-genai and openai stand on `httpx2`, ollama on `httpx`, with classes of the same names; they are
told apart from other errors by those names, so that neither package need be imported for it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Literal

from llmflowlab.errors import (
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    ProviderError,
    StreamInterrupted,
    TimedOut,
)
from llmflowlab.providers.arrival import storable
from llmflowlab.providers.base import Provider
from llmflowlab.providers.redact import redact
from llmflowlab.settings import Settings

__all__ = [
    "UNREADABLE",
    "because",
    "caused_by_tls",
    "connection_error",
    "failure",
    "is_http_error",
    "read_timeout",
    "retry_after_seconds",
    "says",
    "transport_error",
    "unreadable",
    "vendor_text",
]

UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What an SDK's own parsing raises on JSON that is broken, nested too deeply or of another shape."""

_HTTP_PACKAGES = frozenset({"httpx", "httpx2"})
_HTTP_ROOTS = frozenset({"HTTPError", "InvalidURL", "StreamError", "CookieConflict"})

READ_SLACK = 5.0
"""Seconds an SDK reads on after the caller's deadline, so that the caller decides (see `pump.py`)."""

_LONGEST_TEXT = 240
_MOST_READ = 4000
_MOST_SPLIT = 100_000


def read_timeout(settings: Settings) -> float:
    """Return the seconds after which an SDK must end a connection that has gone silent."""
    return max(settings.first_token_timeout, settings.token_timeout) + READ_SLACK


def vendor_text(text: object, settings: Settings) -> str:
    """Return a vendor's words fit for a message: secrets taken out, one line, not too long."""
    line = " ".join(_words(text).split())
    if len(line) > _MOST_READ:
        # Cut between words, for half a secret is one that nothing recognises any more.
        line = line[:_MOST_READ].rpartition(" ")[0]
    line = redact(line, settings)
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1].rstrip() + "…"


def _words(text: object) -> str:
    try:
        said = storable(str(text))
    except (RecursionError, ValueError):
        return ""
    # A page of megabytes need not be taken apart; cut between words, as below.
    return said if len(said) <= _MOST_SPLIT else said[:_MOST_SPLIT].rpartition(" ")[0]


def because(text: object, settings: Settings) -> str:
    """Return the end of a sentence that gives a vendor's words as the reason; "." where they say nothing."""
    said = vendor_text(text, settings)
    # A gateway's HTML page tells a person nothing.
    if not said or said.startswith("<"):
        return "."
    return f": {said}" if said[-1] in ".!?…" else f": {said}."


def says(name: str, text: object, settings: Settings) -> str:
    """Return a sentence, after a blank, that gives a vendor's words; "" where they say nothing."""
    ending = because(text, settings)
    return "" if ending == "." else f" {name} says{ending}"


def is_http_error(exc: BaseException) -> bool:
    """Tell whether httpx or httpx2 raised this, by the names of its classes: neither is imported."""
    return any(
        cls.__name__ in _HTTP_ROOTS and cls.__module__.partition(".")[0] in _HTTP_PACKAGES
        for cls in type(exc).__mro__
    )


def failure(
    exc: Exception, *, provider: Provider, begun: bool, unreachable: str
) -> ProviderError | None:
    """Map what the lower layers of an SDK raise: its HTTP client, the line, its parsing.

    Args:
        exc: What was raised.
        provider: Whose call it was.
        begun: Whether something of the answer had come.
        unreachable: The sentence for an address at which nothing answers.

    Returns:
        The lab's own error; None where it is none of these.
    """
    if is_http_error(exc):
        return transport_error(exc, provider=provider, begun=begun, unreachable=unreachable)
    if isinstance(exc, OSError):
        return connection_error(exc, provider=provider, begun=begun, unreachable=unreachable)
    if isinstance(exc, UNREADABLE):
        return unreadable(exc, provider=provider, begun=begun)
    return None


def transport_error(
    exc: BaseException, *, provider: Provider, begun: bool, unreachable: str
) -> ProviderError:
    """Map an exception that `is_http_error`.

    Args:
        exc: What was raised.
        provider: Whose call it was.
        begun: Whether something of the answer had come.
        unreachable: The sentence for an address at which nothing answers.
    """
    names = {cls.__name__ for cls in type(exc).__mro__}
    name, model = provider.display_name, provider.model
    if "TimeoutException" in names:
        connecting = bool(names & {"ConnectTimeout", "PoolTimeout"})
        return _timed_out(provider, connecting=connecting, begun=begun)
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        return BadRequest(
            f"The request to {name} could not be sent: its address or key has an unusable form.",
            provider=provider.name,
            model=model,
        )
    if "TransportError" in names and "SSEError" not in names:
        refused = bool(names & {"ConnectError", "ProxyError"})
        return connection_error(
            exc, provider=provider, begun=begun, unreachable=unreachable if refused else None
        )
    return unreadable(exc, provider=provider, begun=begun)


def connection_error(
    exc: BaseException, *, provider: Provider, begun: bool, unreachable: str | None
) -> ProviderError:
    """Map a line that could not be opened (`unreachable` says where), or that broke (None)."""
    name, model = provider.display_name, provider.model
    if begun:
        return StreamInterrupted(
            f"The line to {name} broke in the middle of the answer.",
            provider=provider.name,
            model=model,
        )
    message = unreachable or f"The line to {name} broke before the answer began."
    untrusted, refusal = caused_by_tls(exc), _refused_certificate(exc)
    if untrusted:
        why = "" if refusal is None else f" ({refusal})"
        message = (
            f"No trusted connection to {name} could be made{why}; check the address, the machine's "
            "clock and its certificates (SSL_CERT_FILE names your own)."
        )
    # These break a line that was there, whoever reports them.
    broke = isinstance(exc, ConnectionResetError | ConnectionAbortedError | BrokenPipeError)
    sent = (unreachable is None or broke) and not untrusted
    error = ConnectionFailed(message, provider=provider.name, model=model, sent=sent)
    if refusal is not None:
        error.retryable = False  # type: ignore[misc]  # of this one failure, not of its class
    return error


def _timed_out(provider: Provider, *, connecting: bool, begun: bool) -> TimedOut:
    settings, name = provider.settings, provider.display_name
    stage: Literal["connect", "first_token", "between_tokens"] = "first_token"
    message = (
        f"{name} sent no first token within {settings.first_token_timeout:g} s "
        "(LLMFLOWLAB_FIRST_TOKEN_TIMEOUT sets this limit)."
    )
    if connecting:
        stage = "connect"
        message = (
            f"{name} could not be reached within {settings.connect_timeout:g} s; check the network "
            "(LLMFLOWLAB_CONNECT_TIMEOUT sets this limit)."
        )
    elif begun:
        stage = "between_tokens"
        message = (
            f"{name} sent nothing more for {settings.token_timeout:g} s "
            "(LLMFLOWLAB_TOKEN_TIMEOUT sets this limit)."
        )
    return TimedOut(message, provider=provider.name, model=provider.model, stage=stage)


def caused_by_tls(exc: BaseException) -> bool:
    return any(isinstance(seen, ssl.SSLError) for seen in _chain(exc))


def _refused_certificate(exc: BaseException) -> str | None:
    """Return what is wrong with a server's certificate, where that is why there is no connection."""
    for seen in _chain(exc):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return getattr(seen, "verify_message", "").rstrip(".") or "its certificate is not valid"
    return None


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def unreadable(exc: BaseException, *, provider: Provider, begun: bool) -> ProviderError:
    """Return the error for something that could not be read: an answer lost, or broken in the middle."""
    kind = StreamInterrupted if begun else BadAnswer
    return kind(
        f"{provider.display_name} sent something that cannot be read as an answer "
        f"({type(exc).__name__}).",
        provider=provider.name,
        model=provider.model,
    )


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read a `Retry-After` header, in seconds or as a date; None where there is none to read."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        import email.utils

        try:
            at = email.utils.parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=timezone.utc)
        seconds = (at - datetime.now(timezone.utc)).total_seconds()
    # `not <` also refuses NaN.
    return min(seconds, 10.0**9) if seconds > 0 else (0.0 if seconds <= 0 else None)
