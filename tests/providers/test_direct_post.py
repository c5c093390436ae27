"""A chat completion sent over a client's own lines is the request that the client itself would send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from llmflowlab.errors import BadAnswer
from llmflowlab.providers.openai.chat_line import ChatLine
from llmflowlab.providers.openai.direct_post import direct_post

URL = "http://models.example/v1/chat/completions?api-version=1"
HEADERS = {"Authorization": "Bearer a-key", "X-Other": "yes"}
BODY = {"model": "m", "messages": [{"role": "user", "content": "Grüße 🌍"}], "stream": True}


class Server(httpx2.AsyncBaseTransport):
    """Answers by path; keeps what it was sent."""

    def __init__(self, **moved: str) -> None:
        self.sent: list[httpx2.Request] = []
        self.closed = 0
        self._moved = moved

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.sent.append(request)
        where = self._moved.get(request.url.path.rpartition("/")[2])
        head = {} if where is None else {"location": where}
        return httpx2.Response(
            200 if where is None else 307, headers=head, stream=_Body(self), request=request
        )


class _Body(httpx2.AsyncByteStream):
    def __init__(self, server: Server) -> None:
        self._server = server

    async def __aiter__(self) -> Any:
        yield b'data: {"n": 1}\n\n'

    async def aclose(self) -> None:
        self._server.closed += 1


async def chunks(line: ChatLine) -> list[Any]:
    async with await line.send(BODY) as reply:
        return [chunk async for chunk in reply]


def run(
    server: Server, work: Callable[[httpx2.AsyncClient], Awaitable[None]], **options: Any
) -> None:
    async def whole() -> None:
        async with httpx2.AsyncClient(
            transport=server, follow_redirects=True, timeout=7.0, **options
        ) as client:
            await work(client)

    asyncio.run(whole())


def test_the_request_is_the_client_s_own() -> None:
    server = Server()

    async def work(client: httpx2.AsyncClient) -> None:
        direct = direct_post(httpx2, client, server, URL, HEADERS)
        for line in (ChatLine(client, URL, HEADERS), ChatLine(client, URL, HEADERS, direct)):
            assert await chunks(line) == [{"n": 1}]

    run(server, work)
    usual, ours = server.sent
    assert ours.method == usual.method
    assert str(ours.url) == str(usual.url)
    assert ours.content == usual.content
    assert sorted(ours.headers.multi_items()) == sorted(usual.headers.multi_items())
    assert ours.extensions["timeout"] == usual.extensions["timeout"]


def test_what_is_sent_on_goes_the_client_s_way() -> None:
    server = Server(completions="/v2/there")

    async def work(client: httpx2.AsyncClient) -> None:
        direct = direct_post(httpx2, client, server, URL, HEADERS)
        assert await chunks(ChatLine(client, URL, HEADERS, direct)) == [{"n": 1}]

    run(server, work)
    assert [each.url.path for each in server.sent] == [
        *["/v1/chat/completions"] * 2,
        "/v2/there",
    ]
    assert json.loads(server.sent[-1].content) == BODY


def test_hooks_see_request_and_response_and_what_they_refuse_is_closed() -> None:
    server, seen = Server(), []

    async def before(request: httpx2.Request) -> None:
        seen.append(request.headers["content-type"])

    async def after(response: httpx2.Response) -> None:
        raise BadAnswer(str(response.status_code), provider="openai")

    async def work(client: httpx2.AsyncClient) -> None:
        direct = direct_post(httpx2, client, server, URL, HEADERS)
        with pytest.raises(BadAnswer, match="200"):
            await chunks(ChatLine(client, URL, HEADERS, direct))

    run(server, work, event_hooks={"request": [before], "response": [after]})
    assert seen == ["application/json"]
    assert server.closed == 1


def test_a_name_in_the_address_a_proxy_and_what_cannot_be_sent_are_the_client_s() -> None:
    async def work(client: httpx2.AsyncClient) -> None:
        named = URL.replace("//", "//name:word@")
        assert direct_post(httpx2, client, server, named, {}) is None
        assert direct_post(httpx2, client, None, URL, {}) is None
        assert direct_post(httpx2, client, server, URL, {"X": "é"}) is None

    server = Server()
    run(server, work)
