"""What every request passes before its address is looked at: plain ASGI, so that a client that leaves is seen.

Bodies and the time they may take are bounded, foreign Host headers refused where the service is meant for
this machine alone, and whatever goes wrong behind becomes an answer without a stack.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

import anyio
from starlette.datastructures import State
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmflowlab.service.http_refusals import HttpRefusal, refusal_of
from llmflowlab.service.service_state import ServiceState

__all__ = ["FrontGate"]

_NAME = b"x-content-type-options"


class FrontGate:
    """The middleware.

    Args:
        app: What is behind.
        parts: Has the service's parts as `service` once it has begun.
        hosts: Names that a Host header may have; none: any.
        at_once: Answers to POST at some addresses, which need not be looked for behind.
    """

    def __init__(
        self,
        app: ASGIApp,
        parts: State,
        hosts: Collection[str] = (),
        at_once: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        self._app = app
        self._parts = parts
        self._hosts = frozenset(hosts)
        self._at_once = at_once or {}

    @property
    def _state(self) -> ServiceState:
        state: ServiceState = self._parts.service
        return state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, bounded = False, _Bounded(receive, self._state)

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                if bounded.refusal is not None and not begun:
                    raise bounded.refusal
                begun = True
                message = {**message, "headers": [*message["headers"], (_NAME, b"nosniff")]}
            await send(message)

        try:
            headers = scope["headers"]
            self._refuse_foreign([value for name, value in headers if name == b"host"])
            self._refuse_large(dict(headers).get(b"content-length"))
            await self._found(scope)(scope, bounded, sending)
        except ClientDisconnect:
            return
        except Exception as exc:
            # Whatever was made of it behind.
            refusal = bounded.refusal or refusal_of(exc)
            if refusal.code == "internal_error":
                self._state.log.exception("A request failed.")
            if begun:
                # The client sees a line that broke, which is what it is.
                return
            bounded.refusal = None
            await refused(self._state, refusal)(scope, receive, sending)

    def _found(self, scope: Scope) -> ASGIApp:
        """Return what answers a request."""
        answers = self._at_once.get(scope["path"]) if scope["method"] == "POST" else None
        if answers is None:
            return self._app
        # As the application would say it.
        scope["app"] = self._app
        return answers

    def _refuse_foreign(self, said: Sequence[bytes]) -> None:
        host = said[0].decode("latin-1").lower() if len(said) == 1 else ""
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if self._hosts and name not in self._hosts:
            raise HttpRefusal(
                "foreign_host", "This service answers to the names of its own machine alone."
            )

    def _refuse_large(self, length: bytes | None) -> None:
        most = self._state.limits.body_bytes
        if length is not None and (not length.isdigit() or int(length) > most):
            raise _too_large(most)


class _Bounded:
    """Receives a body that may be so long and take so many seconds."""

    def __init__(self, receive: Receive, state: ServiceState) -> None:
        self._receive = receive
        self._limits = state.limits
        self._until = time.monotonic() + state.limits.body_seconds
        self._bytes = 0
        self._whole = False
        self.refusal: HttpRefusal | None = None
        """Why the body was not received."""

    async def __call__(self) -> Message:
        if self._whole:
            # What is waited for now is that the client leaves.
            return await self._receive()
        # No task is made for it, as `asyncio.wait_for` would.
        with anyio.move_on_after(max(self._until - time.monotonic(), 0.001)) as waiting:
            message = await self._receive()
        if waiting.cancelled_caught:
            self.refusal = HttpRefusal("request_timeout", "The body did not come in time.")
            raise self.refusal
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._bytes > self._limits.body_bytes:
                self.refusal = _too_large(self._limits.body_bytes)
                raise self.refusal
        return message


def refused(state: ServiceState, refusal: HttpRefusal) -> JSONResponse:
    """Return a refusal as a response, counted."""
    state.measures.refused.labels(refusal.code).inc()
    headers = refusal.headers()
    if refusal.code in {"body_too_large", "request_timeout"}:
        # The rest of the body is not read.
        headers["Connection"] = "close"
    return JSONResponse(refusal.body(), refusal.status, headers)


def _too_large(most: int) -> HttpRefusal:
    return HttpRefusal("body_too_large", f"A body may have {most:,} bytes.")
