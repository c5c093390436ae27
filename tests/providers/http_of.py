"""The HTTP client on which a provider's calls go out, and its connections."""

from __future__ import annotations

from typing import Any

__all__ = ["answer_by", "http_of", "lines_of"]


def http_of(provider: Any) -> Any:
    client = provider._client()
    if provider.name == "gemini":
        return client.models._api_client._async_httpx_client
    return client.http if provider.name in {"openai", "azure"} else client._client


def lines_of(transport: Any) -> list[Any]:
    """Return a transport's open connections, those in use and those that wait for the next call."""
    session = transport._session
    if session is None or session.closed:
        return []
    idle = [line for lines in session.connector._conns.values() for line, _ in lines]
    return [*session.connector._acquired, *idle]


def answer_by(provider: Any, transport: Any) -> None:
    """Have a transport answer a provider's requests, instead of a server."""
    http, client = http_of(provider), provider._client()
    http._mounts = {}
    http._transport = transport
    if getattr(client, "direct", None) is not None:
        client.direct.lines = transport
