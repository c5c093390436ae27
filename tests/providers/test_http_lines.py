"""httpx's requests over aiohttp's connections: kept, closed, and broken in every way a line can break."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import httpx2
import pytest

from llmflowlab.providers.http_lines import own_lines
from tests.patience import PATIENCE

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

WHOLE = b"HTTP/1.1 200 OK\r\nX-Twice: a\r\nX-Twice: b\r\nContent-Length: 5\r\n\r\nwhole"


async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(WHOLE)


def after(head: bytes) -> Serve:
    """Return a server that reads a request, writes this and ends the line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        writer.close()

    return serve


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await reader.read()
    writer.close()


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(WHOLE[:-2])
    await reader.read()
    writer.close()


class Server:
    """One of these, and the lines that were opened to it."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.lines = 0
        self.closed = 0

    async def taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines += 1
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            """The client left."""
        self.closed += 1
        writer.close()


def over(
    serve: Serve, work: Callable[[httpx2.AsyncClient, str, Server], Awaitable[None]], *, wait: float
) -> None:
    """Do something with a client and the address of a server."""

    async def run() -> None:
        server = Server(serve)
        listening = await asyncio.start_server(server.taken, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        transport = own_lines(httpx2, ssl.create_default_context())
        async with httpx2.AsyncClient(transport=transport, timeout=wait) as client:
            await work(client, url, server)
        while server.closed < server.lines:
            await asyncio.sleep(0)
        listening.close()

    asyncio.run(run())


def test_a_line_serves_the_next_call_and_calls_at_once_have_one_each() -> None:
    async def work(client: httpx2.AsyncClient, url: str, server: Server) -> None:
        for _ in range(3):
            assert (await client.get(url)).content == b"whole"
        assert server.lines == 1
        found = await asyncio.gather(client.get(url), client.get(url))
        assert [each.content for each in found] == [b"whole", b"whole"]
        assert server.lines == 2

    over(whole, work, wait=60)


def test_the_head_comes_as_it_was_sent() -> None:
    async def work(client: httpx2.AsyncClient, url: str, server: Server) -> None:
        assert (await client.get(url)).headers.get_list("x-twice") == ["a", "b"]

    over(whole, work, wait=60)


def test_a_call_that_is_left_early_closes_its_line() -> None:
    async def work(client: httpx2.AsyncClient, url: str, server: Server) -> None:
        async with client.stream("GET", url) as answer:
            assert answer.status_code == 200
        while not server.closed:
            await asyncio.sleep(0)

    over(half, work, wait=60)


@pytest.mark.parametrize("serve", [silent, half])
def test_who_still_waits_when_the_client_is_closed_is_told(serve: Serve) -> None:
    """A reader of a body waited for ever, and was taken away by Python in the middle of another test."""

    async def work(client: httpx2.AsyncClient, url: str, server: Server) -> None:
        begun = asyncio.Event()

        async def read() -> None:
            async with client.stream("GET", url) as answer:
                async for _ in answer.aiter_raw():
                    begun.set()

        reading = asyncio.create_task(read())
        if serve is half:
            await begun.wait()
        while not server.lines:
            await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await asyncio.wait_for(reading, PATIENCE)

    over(serve, work, wait=60)


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (after(b""), httpx2.RemoteProtocolError),
        (after(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), httpx2.RemoteProtocolError),
        (after(WHOLE[:-1]), httpx2.RemoteProtocolError),
        (after(WHOLE[:20]), httpx2.RemoteProtocolError),
    ],
)
def test_what_is_no_whole_answer_is_said_as_httpx_says_it(
    serve: Serve, error: type[Exception]
) -> None:
    async def work(client: httpx2.AsyncClient, url: str, server: Server) -> None:
        with pytest.raises(error):
            await client.get(url)

    over(serve, work, wait=60)


def test_silence_ends_the_wait_before_the_head_and_inside_the_body() -> None:
    async def work(client: httpx2.AsyncClient, url: str, server: Server) -> None:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(url)

    for serve in (silent, half):
        over(serve, work, wait=0.05)


def test_nobody_at_the_address_is_no_connection_for_either_package() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"

    async def run(http: Any) -> None:
        transport = own_lines(http, ssl.create_default_context())
        async with http.AsyncClient(transport=transport) as client:
            with pytest.raises(http.ConnectError):
                await client.get(url)

    for http in (httpx, httpx2):
        asyncio.run(run(http))


def test_a_server_without_tls_is_no_trusted_connection() -> None:
    async def work(client: httpx2.AsyncClient, url: str, server: Server) -> None:
        with pytest.raises(httpx2.ConnectError) as raised:
            await client.get(url.replace("http:", "https:"))
        assert isinstance(raised.value.__cause__, OSError)

    over(plain, work, wait=60)
