"""The least that can stand between a client and a model: plain ASGI and aiohttp, which pass on what comes.

`python -m benchmarks.bare_proxy URL` prints its own base URL. Its server is set up as the service's is.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp
import uvicorn
from starlette.types import Message, Receive, Scope, Send

from llmflowlab.serving.server import bound_socket


class BareProxy:
    """Passes every request on.

    Args:
        upstream: Where to; paths begin with `/v1` on both sides.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.removesuffix("/v1")
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert self._session is not None
        parts = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        url = self._upstream + scope["path"]
        headers = {"content-type": "application/json"}
        async with self._session.post(url, data=b"".join(parts), headers=headers) as found:
            kind = found.headers.get("content-type", "").encode()
            start: Message = {"type": "http.response.start", "status": found.status}
            await send({**start, "headers": [(b"content-type", kind)]})
            async for piece in found.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._session.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _serve(upstream: str) -> None:
    listening = bound_socket("127.0.0.1", 0)
    app: Any = BareProxy(upstream)
    config = uvicorn.Config(
        app, access_log=False, log_config=None, proxy_headers=False, server_header=False
    )
    print(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", flush=True)
    await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
