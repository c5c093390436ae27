"""Connections of httpx that do not wait for each other.

At every request httpx's pool looks at each of its connections for each other one, and gives the same idle
one to all who come at once, who must then come again: 50 calls that end together took four times the
processor (httpcore 1.0). That of httpx2 asks the system of each idle connection whether it is still there,
at both ends of every call. Here a call has a transport to itself, with one connection, and leaves it to
the next.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

__all__ = ["line_each"]


def line_each(http: Any, make: Callable[[], Any]) -> Any:
    """Return an asynchronous transport that sends each request through one that nobody else uses.

    Args:
        http: The package it is from, httpx or httpx2.
        make: Makes a transport.
    """

    class LentBody(http.AsyncByteStream):  # type: ignore[misc]  # one class for two packages
        def __init__(self, inner: Any, back: Callable[[], None]) -> None:
            self._inner = inner
            self._back = back

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self._inner:
                yield part

        async def aclose(self) -> None:
            try:
                await self._inner.aclose()
            finally:
                self._back()

    class LineEach(http.AsyncBaseTransport):  # type: ignore[misc]  # one class for two packages
        def __init__(self) -> None:
            self.lines: list[Any] = []
            self._free: list[Any] = []

        async def handle_async_request(self, request: Any) -> Any:
            line = self._free.pop() if self._free else self._another()
            try:
                response = await line.handle_async_request(request)
            except BaseException:
                # Whatever broke, its own pool has closed it.
                self._free.append(line)
                raise
            response.stream = LentBody(response.stream, lambda: self._free.append(line))
            return response

        async def aclose(self) -> None:
            for line in self.lines:
                await line.aclose()

        def _another(self) -> Any:
            self.lines.append(make())
            return self.lines[-1]

    return LineEach()
