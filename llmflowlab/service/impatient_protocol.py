"""uvicorn's HTTP protocol with a limit to the time in which a request's head may come.

Without it a client that sends half a head holds its connection for ever.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.auto import AutoHTTPProtocol

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Base
else:
    _Base = AutoHTTPProtocol

__all__ = ["impatient"]


def impatient(seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol with so many seconds from a head's first byte, or its connection, to its end."""

    class Impatient(_Base):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._head_came()
            elif self._head is None:
                # The next head of a line that was kept.
                self._wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_came()
            super().connection_lost(exc)

        def _wait_for_head(self) -> None:
            self._head = self.loop.call_later(seconds, self.transport.close)

        def _head_came(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return Impatient
