"""The service's HTTP addresses as the page asks them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

__all__ = ["CallRefused", "ServiceCalls"]

_LONGEST_SILENCE = 60.0
"""Seconds without a byte after which a line is given up; the service says something every 10."""


class CallRefused(Exception):
    """The service refused, failed, or could not be reached (`unreachable`).

    Args:
        code: The service's word for it.
        message: Its sentence.
        retry_after: Seconds after which a later try makes sense; None where it does not.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after


class ServiceCalls:
    """Asks one service; a key of None asks without.

    Args:
        address: Of the service, as in `http://127.0.0.1:8000`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        timeout = httpx.Timeout(_LONGEST_SILENCE, pool=None)
        self._client = httpx.AsyncClient(
            base_url=address, timeout=timeout, limits=limits, trust_env=False
        )

    async def models(self, key: str | None) -> list[dict[str, Any]]:
        """Return the models on offer.

        Raises:
            CallRefused: As all the others here.
        """
        found: list[dict[str, Any]] = (await self._json("GET", "/v1/models", key))["data"]
        return found

    async def sessions(self, key: str | None) -> list[dict[str, Any]]:
        """Return the key's sessions, the last used first."""
        found: list[dict[str, Any]] = (await self._json("GET", "/sessions", key))["sessions"]
        return found

    async def turns(self, key: str | None, session: str) -> list[dict[str, Any]]:
        """Return a session's turns, oldest first; none where there is no such session."""
        try:
            found: list[dict[str, Any]] = (
                await self._json("GET", f"/sessions/{quote(session, safe='')}", key)
            )["turns"]
        except CallRefused as exc:
            # `bad_request`: an id that no session can have, from somebody's address line.
            if exc.code in {"session_not_found", "not_found", "bad_request"}:
                return []
            raise
        return found

    async def feedback(self, key: str | None, word: Mapping[str, Any]) -> None:
        """Say what a person thinks of an answer."""
        await self._json("POST", "/feedback", key, word)

    async def chat(
        self, key: str | None, body: Mapping[str, Any]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Ask, and yield the events as they come; whoever stops reading closes the line."""
        sent = {**body, "stream": True}
        async with self._answered("POST", "/chat", key, sent) as response:
            name = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, json.loads(line.removeprefix("data: "))

    async def close(self) -> None:
        await self._client.aclose()

    async def _json(
        self, method: str, path: str, key: str | None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        async with self._answered(method, path, key, body) as response:
            found: dict[str, Any] = json.loads(await response.aread())
            return found

    @asynccontextmanager
    async def _answered(
        self, method: str, path: str, key: str | None, body: Mapping[str, Any] | None
    ) -> AsyncIterator[httpx.Response]:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        try:
            async with self._client.stream(method, path, json=body, headers=headers) as response:
                if response.is_error:
                    raise _refused(response, await response.aread())
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise CallRefused("unreachable", f"{type(exc).__name__} at {self.address}") from exc


def _refused(response: httpx.Response, content: bytes) -> CallRefused:
    try:
        error = json.loads(content)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return CallRefused("unreachable", f"HTTP {response.status_code} from another program")
    after = response.headers.get("retry-after", "")
    return CallRefused(code, message, float(after) if after.isdigit() else None)
