"""What is done to the bytes of a response before its SDK reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

__all__ = ["BodyFilter", "filtered"]


class BodyFilter(Protocol):
    """Sees one body, part by part."""

    def take(self, part: bytes) -> bytes:
        """Return what is to be read for a further part, which may be nothing yet.

        Raises:
            ProviderError: The body is not to be read any further.
        """

    def end(self) -> bytes:
        """Return what was held back."""


def filtered(response: Any, make: Callable[[], BodyFilter]) -> None:
    """Have the body of a response of httpx or httpx2, on the event loop, read through a filter."""
    parts = response.aiter_bytes

    async def aiter_bytes(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        body = make()
        async for part in parts(chunk_size):
            if seen := body.take(part):
                yield seen
        if seen := body.end():
            yield seen

    response.aiter_bytes = aiter_bytes
