"""What every request to the page passes before Chainlit has it: plain ASGI.

Requests for another machine's name and from other sites' pages are refused, who comes is known, and the
page is told to load nothing from anywhere else: no fonts, no styles, and no picture that a model's answer
names, by which what was said could be sent away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from llmflowlab.page.visitors import Visitors

__all__ = ["PageGate"]

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'self'; "
    "form-action 'self'"
)
"""Chainlit's own elements are evaluated in the browser."""
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_FOREIGN = re.compile(rb"<link\b[^>]*https?://[^>]*>")
_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class PageGate:
    """The middleware.

    Args:
        app: Chainlit.
        visitors: Who is signed in.
        visitor_of: Says whom a cookie's token names, by its value; None where it is no good.
        cookie: The cookie's name.
        hosts: Further names that a Host header may have; None: any.
    """

    def __init__(
        self,
        app: ASGIApp,
        visitors: Visitors,
        visitor_of: Callable[[str], str | None],
        *,
        cookie: str,
        hosts: Collection[str] | None,
    ) -> None:
        self._app = app
        self._visitors = visitors
        self._visitor_of = visitor_of
        self._cookie = cookie
        self._hosts = None if hosts is None else _OWN_NAMES | {name.lower() for name in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if (wrong := self._wrong(headers)) is not None:
            refusing: Response | WebSocketClose = JSONResponse({"detail": wrong}, 403)
            if scope["type"] == "websocket":
                refusing = WebSocketClose(1008, wrong)
            await refusing(scope, receive, send)
            return
        if scope["path"] in {"/auth/config", "/auth/header"}:
            await self._visitors.look()
        token = _cookie(headers.get("cookie", ""), self._cookie)
        self._visitors.come(None if token is None else self._visitor_of(token))
        left_out = {b"cookie"} if self._visitors.current is None else set()
        page = scope["type"] == "http" and "text/html" in headers.get("accept", "")
        if page:
            # What is packed could not be looked at.
            left_out.add(b"accept-encoding")
        kept = [(name, value) for name, value in scope["headers"] if name not in left_out]
        await self._app({**scope, "headers": kept}, receive, _Sending(send, page))

    def _wrong(self, headers: Headers) -> str | None:
        host = headers.get("host", "").lower()
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if self._hosts is not None and name not in self._hosts:
            return "This page answers to the names it was started with alone."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            return "Pages of other sites may not ask here."
        return None


class _Sending:
    """Sends on; a page loses what it would load from elsewhere, everything gets the headers."""

    def __init__(self, send: Send, page: bool) -> None:
        self._send = send
        self._page = page
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], *_HEADERS]
            message = {**message, "headers": headers}
            if self._page and Headers(raw=headers).get("content-type", "").startswith("text/html"):
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body", False):
                return
            body = _FOREIGN.sub(b"", self._body)
            kept = [each for each in self._start["headers"] if each[0] != b"content-length"]
            length = (b"content-length", str(len(body)).encode())
            await self._send({**self._start, "headers": [*kept, length]})
            self._start, message = None, {**message, "body": body}
        await self._send(message)


def _cookie(header: str, name: str) -> str | None:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return None if found is None else found.value
