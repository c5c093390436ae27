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

__all__ = ["KEPT", "ImpatientProtocol"]

KEPT = 75
"""Seconds that a line is kept for a next request: longer than clients keep theirs (5 s in httpx and OpenAI's
SDK), or one would be sent into a line that is being closed, and be lost."""


class ImpatientProtocol(_Base):
    """Closes a line whose head does not come in time, and tells the application that its server ends.

    What it does stands in the application's lifespan state, so that workers can be told the class alone:
    `head_seconds` from a head's first byte, or from its connection, to its end; `ending` is called when the
    server begins to end, which the application would hear of only when all answers are given.
    """

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it likewise
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

    def shutdown(self) -> None:
        super().shutdown()
        self.app_state["ending"]()

    def _wait_for_head(self) -> None:
        seconds = self.app_state["head_seconds"]
        self._head = self.loop.call_later(seconds, self.transport.close)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None
