"""What the files on the openai and anthropic SDKs share: addresses, keys, the HTTP client, schemas."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from llmflowlab.errors import NotConfigured
from llmflowlab.loading import load
from llmflowlab.providers.base import Provider
from llmflowlab.providers.connections import client_arguments, guards
from llmflowlab.providers.stream_end import read_to_the_end
from llmflowlab.settings import Settings

__all__ = [
    "close_schema",
    "http_client",
    "http_client_and_lines",
    "is_strict",
    "known_window",
    "quieten",
    "read_address",
    "read_key",
    "shown",
]


def read_key(settings: Settings, variable: str, *, provider: str) -> str | None:
    """Return a key; None where it is not set.

    Raises:
        NotConfigured: It cannot be sent: a header takes nothing but visible ASCII characters.
    """
    key = (settings.get(variable) or "").strip()
    if key and not re.fullmatch(r"[!-~]+", key):
        raise NotConfigured(
            f"{variable} holds characters that no key has; copy the key again.", provider=provider
        )
    return key or None


def read_address(settings: Settings, variable: str, *, provider: str) -> str | None:
    """Return an address without a slash at its end; None where it is not set.

    Raises:
        NotConfigured: It is none.
    """
    address = (settings.get(variable) or "").strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise NotConfigured(
            f"{variable} is no address; write it as in https://host or http://host:port.",
            provider=provider,
        )
    return address.rstrip("/")


def shown(address: str) -> str:
    """Return an address without what may be secret in it: user, password, query."""
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def http_client(kind: Any, provider: Provider, address: str, *hooks: Callable[[Any], None]) -> Any:
    """Return an asynchronous HTTP client with the lab's deadlines.

    Args:
        kind: The class of it: that of httpx or httpx2, or an SDK's own kind of one.
        provider: Whose client it is.
        address: Where the client will send to.
        hooks: What each response is handed to before it is read.

    Raises:
        NotConfigured: The person's own certificates cannot be used.
    """
    return http_client_and_lines(kind, provider, address, *hooks)[0]


def http_client_and_lines(
    kind: Any, provider: Provider, address: str, *hooks: Callable[[Any], None]
) -> tuple[Any, Any | None]:
    """Return what `http_client` does, and the client's lines; None where it uses a proxy."""
    # Some releases of an SDK stand on httpx and some on httpx2; its own client tells which.
    packages = (cls.__module__.partition(".")[0] for cls in kind.__mro__)
    http = load(next(package for package in packages if package in {"httpx", "httpx2"}))
    settings, name = provider.settings, provider.name
    arguments = client_arguments(http, settings, address, provider=name, on_loop=True)
    client = kind(
        **arguments,
        event_hooks=guards(provider, read_to_the_end(http), *hooks),
        follow_redirects=True,
    )
    return client, arguments.get("transport")


def quieten(*loggers: str) -> None:
    """Keep SDKs from writing to the screen: the lab says itself what there is to say."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.ERROR)


def known_window(vendor: str, model: str) -> int | None:
    """Return a model's window in tokens as genai-prices knows it offline; None where it does not."""
    load("genai_prices", "genai_prices.data_snapshot")
    from genai_prices import data_snapshot

    try:
        _, found = data_snapshot.get_snapshot().find_provider_model(model, None, vendor, None)
    except LookupError:
        return None
    return found.context_window


def close_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON schema whose objects allow no further properties, as both vendors demand."""
    closed: dict[str, Any] = {key: _close(value) for key, value in schema.items()}
    if closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _close(value: Any) -> Any:
    if isinstance(value, Mapping):
        return close_schema(value)
    return [_close(item) for item in value] if isinstance(value, list) else value


def is_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes a schema: each object closed, each property required."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "object" and (
            schema.get("additionalProperties") is not False
            or set(schema.get("properties") or {}) != set(schema.get("required") or ())
        ):
            return False
        return all(is_strict(value) for value in schema.values())
    return all(is_strict(item) for item in schema) if isinstance(schema, list) else True
