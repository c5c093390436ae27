"""Answers on their way out, and clients that leave in the middle of one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from llmflowlab.service.generation import Generation

__all__ = ["HEARTBEAT", "EventStream", "Whole", "event", "left"]

HEARTBEAT = 10.0
"""Seconds without a word after which a comment is sent, so that no proxy takes the line for dead."""
_FIRST_WORD = 5.0
"""Seconds that a stream waits for its first piece before it begins: a refusal has its status until then."""
_WRITTEN = json.JSONEncoder(ensure_ascii=False).encode
"""Made once: making it costs as much as a frame."""
_HEADERS = {
    "cache-control": "no-store",
    # Asks nginx, which buffers answers by default, to pass each piece on.
    "x-accel-buffering": "no",
}


def event(data: Any, name: str | None = None) -> bytes:
    """Return a server-sent event; `data` is JSON values, or a word that stands as it is."""
    text = data if isinstance(data, str) else _WRITTEN(data)
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {text}\n\n".encode()


async def left(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        continue


class EventStream(Response):
    """Sends frames as they come; a client that leaves ends the answer.

    Args:
        generation: The answer, which is given up then.
        frames: The frames; None where a heartbeat is due.
        headers: Beside the usual ones.
    """

    media_type = "text/event-stream"
    charset = "utf-8"

    def __init__(
        self,
        generation: Generation,
        frames: AsyncIterator[bytes | None],
        headers: dict[str, str],
    ) -> None:
        self.background = None
        self.status_code = 200
        self.init_headers({**_HEADERS, **headers})
        self._generation = generation
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(scope, receive, send))
        leaving = asyncio.ensure_future(left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            # Nothing where it has ended.
            self._generation.leave()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Here, where a client that leaves is seen.
        await self._generation.begun(_FIRST_WORD)
        refusal = self._generation.refusal
        if refusal is not None and self._generation.first_token is None:
            response = JSONResponse(refusal.body(), refusal.status, refusal.headers())
            await response(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for frame in self._frames:
            body = b": the answer is on its way\n\n" if frame is None else frame
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Whole(Response):
    """Waits for an answer and sends it whole; a client that leaves ends it.

    Args:
        generation: The answer.
        render: Makes the response of it.
    """

    def __init__(
        self, generation: Generation, render: Callable[[], Awaitable[JSONResponse]]
    ) -> None:
        self.background = None
        self._generation = generation
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.ensure_future(left(receive))
        try:
            if not await self._generation.ended_before(leaving):
                return
            # What went wrong is the generation's refusal, which `render` tells.
            response = await self._render()
            await response(scope, receive, send)
        finally:
            leaving.cancel()
            self._generation.leave()
