"""`/invocations` of a registered version: passed on to its server as it came, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from llmflowlab.service.entrance import Asking, asking, refused_with, state_of
from llmflowlab.service.event_stream import left
from llmflowlab.service.http_refusals import HttpRefusal
from llmflowlab.serving.mlflow_remote import SERVED_BY
from llmflowlab.serving.server import ModelServer, VersionFollower

__all__ = ["router"]

router = APIRouter(tags=["mlflow"])

_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("trailers", "transfer-encoding", "upgrade", "host", "content-length"),
        # The service's own server says when and who.
        *("date", "server"),
        # The key of the service is for nobody behind it.
        "authorization",
    }
)


def _follower(request: Request) -> VersionFollower:
    found: VersionFollower | None = request.app.state.follower
    if found is None:
        raise HttpRefusal("not_found", "There is nothing at this address.")
    return found


@router.get("/ping", summary="Which version answers")
@router.get("/version", include_in_schema=False)
async def ping(request: Request) -> Any:
    """Say in a header which version answers, as MLflow's own servers answer this address."""
    version = _follower(request).current.version.reference
    return Response("\n", headers={SERVED_BY: version}, media_type="text/plain")


@router.post(
    "/invocations",
    summary="Ask a registered version as MLflow's servers are asked",
    responses=refused_with(401, 404, 413, 429, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
async def invocations(request: Request, who: Annotated[Asking, Depends(asking)]) -> Any:
    """Pass a request on to the version's server, in its protocol; `x-llmflowlab-model` names the version."""
    follower, state = _follower(request), who.state
    body = await request.body()
    await state.slots.take(state.limits.deadline)
    return _PassedOn(request, follower, body)


class _PassedOn(Response):
    """The server's answer, as it comes; a client that leaves closes the line behind it too."""

    def __init__(self, request: Request, follower: VersionFollower, body: bytes) -> None:
        self.background = None
        self._request = request
        self._follower = follower
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = state_of(self._request)
        passing = asyncio.ensure_future(self._pass(scope, receive, send))
        leaving = asyncio.ensure_future(left(receive))
        try:
            await asyncio.wait(
                {passing, leaving},
                return_when=asyncio.FIRST_COMPLETED,
                timeout=state.limits.deadline,
            )
            if passing.done():
                passing.result()
        finally:
            passing.cancel()
            leaving.cancel()
            await asyncio.gather(passing, leaving, return_exceptions=True)
            state.slots.give_back()

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        import httpx

        headers = {n: v for n, v in self._request.headers.items() if n.lower() not in _HOP_BY_HOP}
        client: httpx.AsyncClient = self._request.app.state.passing
        tried: set[ModelServer] = set()
        while (server := self._follower.current) not in tried:
            tried.add(server)
            server.active += 1
            try:
                address = server.address + "/invocations"
                sending = client.stream("POST", address, headers=headers, content=self._body)
                async with sending as answered:
                    await self._answer(server, answered, send)
                    return
            except httpx.ConnectError:
                # Nothing was sent: where another server took over meanwhile, it is asked.
                continue
            except httpx.HTTPError as exc:
                failed = {
                    "error_code": "TEMPORARILY_UNAVAILABLE",
                    "message": f"The version's server broke off ({type(exc).__name__}).",
                }
                await JSONResponse(failed, 502)(scope, receive, send)
                return
            finally:
                server.active -= 1
        words = {
            "error_code": "TEMPORARILY_UNAVAILABLE",
            "message": f"{server.version.reference} is being started again; try in a moment.",
        }
        await JSONResponse(words, 503, {"Retry-After": "2"})(scope, receive, send)

    async def _answer(self, server: ModelServer, answered: Any, send: Send) -> None:
        passed = {n: v for n, v in answered.headers.items() if n.lower() not in _HOP_BY_HOP}
        head = Response(
            status_code=answered.status_code,
            headers={**passed, SERVED_BY: server.version.reference},
        )
        del head.headers["content-length"]
        start = {"type": "http.response.start", "status": head.status_code}
        await send({**start, "headers": head.raw_headers})
        # What the server compressed stays compressed.
        pieces: AsyncIterator[bytes] = answered.aiter_raw()
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
