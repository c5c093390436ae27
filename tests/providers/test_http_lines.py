"""httpx's connections, one for each call under way: lent, given back and closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from llmflowlab.providers.http_lines import line_each

URL = "http://127.0.0.1/"


class Line(httpx.MockTransport):
    """Answers, fails where the path says so, and knows whether it is closed."""

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.closed = False

    def _respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/breaks":
            raise httpx.ReadError("gone")
        return httpx.Response(200, content=_whole())

    async def aclose(self) -> None:
        self.closed = True


async def _whole() -> AsyncIterator[bytes]:
    yield b"whole"


def client() -> tuple[httpx.AsyncClient, list[Any]]:
    lines = line_each(httpx, Line)
    return httpx.AsyncClient(transport=lines), lines.lines


def test_calls_under_way_have_a_line_each_and_leave_it_to_the_next() -> None:
    async def calls() -> list[Any]:
        asked, lines = client()
        async with asked:
            async with asked.stream("GET", URL) as one, asked.stream("GET", URL) as other:
                assert (await one.aread(), await other.aread()) == (b"whole", b"whole")
                assert len(lines) == 2
            for _ in range(3):
                assert (await asked.get(URL)).content == b"whole"
            assert len(lines) == 2
            assert not any(line.closed for line in lines)
        return lines

    assert all(line.closed for line in asyncio.run(calls()))


def test_a_line_comes_back_from_a_call_that_failed_or_was_left_early() -> None:
    async def calls() -> int:
        asked, lines = client()
        async with asked:
            with pytest.raises(httpx.ReadError):
                await asked.get(URL + "breaks")
            async with asked.stream("GET", URL):
                """Nobody reads it."""
            await asked.get(URL)
        return len(lines)

    assert asyncio.run(calls()) == 1
