"""Who gets in at the page, and what it may load: before Chainlit, which is not needed here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import Receive, Scope, Send

from llmflowlab.page.page_gate import PageGate
from llmflowlab.page.service_calls import CallRefused, ServiceCalls
from llmflowlab.page.visitors import ANYBODY, Visitors
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from tests.loopback.server import closed_port
from tests.service.running import Running, key_of, revoke, running

PAGE = '<link href="https://fonts.example/x.css" rel="stylesheet"><link href="/own.css"><p>Hi</p>'


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    if request.url.path == "/page":
        await HTMLResponse(PAGE)(scope, receive, send)
    else:
        await JSONResponse(dict(request.cookies))(scope, receive, send)


class Door:
    """A gate, and who stands before it."""

    def __init__(self, service: str, *, near: bool = True, hosts: Any = ()) -> None:
        self.calls = ServiceCalls(service)
        self.visitors = Visitors(self.calls, near=near)
        self.gate = PageGate(
            inside, self.visitors, lambda token: token, cookie="visit", hosts=hosts
        )

    async def ask(self, path: str = "/", **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.gate)
        base = "http://127.0.0.1:8001"
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.get(path, headers=headers)

    def get(self, path: str = "/", **headers: str) -> httpx.Response:
        return asyncio.run(self.ask(path, **headers))

    async def lets_in(self, visitor: str) -> bool:
        return (await self.ask(cookie=f"visit={visitor}; other=1")).json() != {}


@pytest.fixture
def nowhere() -> Door:
    return Door(f"http://127.0.0.1:{closed_port()}")


def test_what_a_page_would_load_from_elsewhere_is_left_out(nowhere: Door) -> None:
    page = nowhere.get("/page", accept="text/html")
    assert page.text == '<link href="/own.css"><p>Hi</p>'
    assert page.headers["content-length"] == str(len(page.content))
    assert "img-src 'self'" in page.headers["content-security-policy"]
    assert nowhere.get("/data").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "localhost:9"}, 200),
        ({"host": "[::1]:8001"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8001"}, 200),
        ({"origin": "http://127.0.0.1:8002"}, 403),
    ],
)
def test_other_names_and_other_sites_pages_are_refused(
    nowhere: Door, headers: dict[str, str], status: int
) -> None:
    assert nowhere.get(**headers).status_code == status


def test_a_page_for_other_machines_may_have_any_name_or_those_it_was_given() -> None:
    address = f"http://127.0.0.1:{closed_port()}"
    any_name = Door(address, near=False, hosts=None)
    assert any_name.get(host="chat.example").status_code == 200
    named = Door(address, near=False, hosts=["chat.example"])
    assert named.get(host="Chat.Example:443").status_code == 200
    assert named.get(host="evil.example").status_code == 403


def test_nobody_is_let_in_while_the_service_cannot_say_whether_it_wants_keys(nowhere: Door) -> None:
    async def visit() -> None:
        await nowhere.visitors.look()
        assert not await nowhere.lets_in(ANYBODY)
        with pytest.raises(CallRefused, match="Connect"):
            await nowhere.visitors.sign_in("a key")
        await nowhere.calls.close()

    asyncio.run(visit())


@pytest.fixture
def service(settings: Settings) -> Iterator[Running]:
    with running(settings, ScriptedProvider(default="Yes.")) as found:
        yield found


@pytest.mark.parametrize("near", [True, False])
def test_without_keys_anybody_on_this_machine_comes_in_and_nobody_elsewhere(
    service: Running, near: bool
) -> None:
    async def visit() -> None:
        door = Door(service.url, near=near)
        await door.visitors.look()
        assert await door.lets_in(ANYBODY) is near
        # A service without keys would take any word for one.
        assert await door.visitors.sign_in("anything") is None
        await door.calls.close()

    asyncio.run(visit())


def test_a_key_lets_its_owner_in_until_it_is_revoked(service: Running, settings: Settings) -> None:
    key = key_of(settings, "mine")["Authorization"].removeprefix("Bearer ")
    service.state._looked = None

    async def visit() -> None:
        calls = ServiceCalls(service.url)
        visitors = Visitors(calls, near=True)
        await visitors.look()
        assert visitors.keyed
        assert await visitors.sign_in("wrong") is None
        visitor = await visitors.sign_in(key)
        assert visitor is not None
        assert key not in visitor
        visitors.come(visitor)
        assert (visitors.current, visitors.key) == (visitor, key)
        visitors.come(ANYBODY)
        assert visitors.current is None
        revoke(settings, "mine")
        service.state._looked = None
        visitors.come(visitor)
        with pytest.raises(CallRefused) as refused:
            await calls.sessions(visitors.key)
        visitors.refused(refused.value)
        visitors.come(visitor)
        assert visitors.current is None
        await calls.close()

    asyncio.run(visit())


def test_the_service_is_asked_as_it_answers(service: Running) -> None:
    async def talk() -> None:
        calls = ServiceCalls(service.url)
        events = [each async for each in calls.chat(None, {"query": "Hi", "session_id": "s"})]
        assert [name for name, _ in events] == ["start", "delta", "done"]
        trace = events[-1][1]["trace_id"]
        await calls.feedback(None, {"trace_id": trace, "thumb": "up"})
        (turn,) = await calls.turns(None, "s")
        assert (turn["thumb"], turn["answer"]) == ("up", "Yes.")
        assert await calls.turns(None, "none/of?these") == []
        assert [each["title"] for each in await calls.sessions(None)] == ["Hi"]
        with pytest.raises(CallRefused) as refused:
            await calls.chat(None, {"query": "Hi", "model": "no:such"}).__anext__()
        assert refused.value.code == "model_not_found"
        await calls.close()

    asyncio.run(talk())
