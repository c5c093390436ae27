"""Keeps a connection for the next call after a stream of server-sent events.

The openai SDK stops reading at `data: [DONE]`, a few bytes before the end of the response, and closes
it; a connection whose response was not read to its end cannot be used again. Each turn of a chat would
pay for a new one, and behind TLS that is most of the wait for the first token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from llmflowlab.providers.transport import is_http_error

__all__ = ["read_to_the_end"]

_LAST_EVENT = b"[DONE]"


def read_to_the_end(http: Any) -> Callable[[Any], None]:
    """Return a hook for the responses of an asynchronous HTTP client.

    Args:
        http: The package the client is from, httpx or httpx2.
    """

    class ReadToTheEnd(http.AsyncByteStream):  # type: ignore[misc]  # one class for two packages
        def __init__(self, inner: Any) -> None:
            self._inner = inner
            self._parts: AsyncIterator[bytes] | None = None
            self._tail = b""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            self._parts = aiter(self._inner)
            async for part in self._parts:
                # The last event may come in two parts.
                self._tail = (self._tail + part)[-16:]
                yield part

        async def aclose(self) -> None:
            try:
                if self._parts is not None and self._tail.rstrip().endswith(_LAST_EVENT):
                    # The answer is there; a line that breaks now is only not used again.
                    try:
                        await anext(self._parts, None)
                    except Exception as exc:
                        if not (is_http_error(exc) or isinstance(exc, OSError)):
                            raise
            finally:
                await self._inner.aclose()

    def hook(response: Any) -> None:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = ReadToTheEnd(response.stream)

    return hook
