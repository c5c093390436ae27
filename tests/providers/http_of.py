"""The HTTP client on which a provider's calls go out."""

from __future__ import annotations

from typing import Any

__all__ = ["http_of"]


def http_of(provider: Any) -> Any:
    client = provider._client()
    if provider.name == "gemini":
        return client.models._api_client._async_httpx_client
    return client.http if provider.name in {"openai", "azure"} else client._client
