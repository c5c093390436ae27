"""The service in this process, on a socket of its own: for tests of what clients see."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import httpx
import uvicorn
from sqlalchemy import Connection

from llmflowlab.lab.lab import Lab
from llmflowlab.providers.base import Provider
from llmflowlab.service.impatient_protocol import KEPT, ImpatientProtocol
from llmflowlab.service.offers import ServedModels
from llmflowlab.service.service_app import ServiceSetup, build_app
from llmflowlab.service.service_limits import ServiceLimits
from llmflowlab.service.store.issued_keys import make_key, revoke_key
from llmflowlab.service.store.service_database import database_of
from llmflowlab.serving.server import VersionFollower
from llmflowlab.settings import Settings
from tests.patience import PATIENCE

__all__ = ["Running", "Sse", "frames", "in_database", "key_of", "revoke", "running"]


class Running:
    """A service that runs, and a client of it."""

    def __init__(self, port: int, settings: Settings, server: _Server) -> None:
        self.port = port
        self.settings = settings
        self.server = server
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)

    @property
    def state(self) -> Any:
        """The service's parts; to be read only: they are its loop's."""
        return self.server.config.loaded_app._parts.service

    def chat(self, query: str, session: str | None = None, **more: Any) -> httpx.Response:
        body = {"query": query, **({} if session is None else {"session_id": session}), **more}
        return self.client.post("/chat", json=body)

    def complete(self, *said: str, **more: Any) -> httpx.Response:
        roles = ("user", "assistant")
        messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
        return self.client.post("/v1/chat/completions", json={"messages": messages, **more})

    def raw(self, data: bytes) -> bytes:
        """Send bytes; return all that comes until the service closes the line."""
        with self.line() as line:
            line.sendall(data)
            return everything(line)

    def line(self) -> closing[socket.socket]:
        line = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return closing(line)

    def turns(self) -> list[Any]:
        """Return what the database holds of answers, once all that are under way have been kept."""
        self.settle()
        return in_database(
            self.settings,
            lambda connection: [
                {**row._mapping, **json.loads(row.record)}
                for row in connection.exec_driver_sql("SELECT * FROM turns ORDER BY number")
            ],
        )

    def settle(self) -> None:
        """Wait until no answer is under way and the desk is empty."""

        async def settled() -> None:
            while self.state.open:
                await asyncio.wait(set(self.state.open))
            await self.state.desk.do(lambda connection: None)

        asyncio.run_coroutine_threadsafe(settled(), self.server.loop).result(PATIENCE)


def everything(line: socket.socket) -> bytes:
    """Read to the line's end."""
    found = b""
    try:
        while piece := line.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def in_database(settings: Settings, work: Callable[[Connection], Any]) -> Any:
    """Work on the service's database, as another process would."""
    with database_of(settings) as connection:
        return work(connection)


def key_of(settings: Settings, name: str, per_minute: int | None = None) -> dict[str, str]:
    """Make a key; return the header that it goes in."""
    _, secret = in_database(settings, lambda c: make_key(c, name, per_minute=per_minute))
    return {"Authorization": f"Bearer {secret}"}


def revoke(settings: Settings, name: str) -> None:
    in_database(settings, lambda connection: revoke_key(connection, name))


@contextmanager
def running(
    settings: Settings,
    *models: Provider | str,
    limits: Mapping[str, Any] | None = None,
    wanted: Mapping[str, Any] | None = None,
    follower: VersionFollower | None = None,
    **setup: Any,
) -> Iterator[Running]:
    """Run a service.

    Args:
        settings: Names its home.
        models: Providers, or references for the factory.
        limits: Where they are not the usual ones.
        wanted: Further fields of `ServedModels`.
        follower: Has a registered version that is served.
        setup: Further fields of `ServiceSetup`.
    """
    made = {one.reference: one for one in models if isinstance(one, Provider)}
    lab = Lab(settings, build=made.__getitem__ if made else None)
    names = tuple(one if isinstance(one, str) else one.reference for one in models)
    bounds = ServiceLimits(**(limits or {}))
    app = build_app(
        lab,
        ServiceSetup(wanted=ServedModels(models=names, **(wanted or {})), limits=bounds, **setup),
        follower,
    )
    server = _Server(
        uvicorn.Config(
            app,
            http=ImpatientProtocol,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEPT,
            timeout_graceful_shutdown=int(bounds.drain) + 10,
        )
    )
    with closing(socket.create_server(("127.0.0.1", 0), backlog=2048)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            server.began.wait(PATIENCE)
            assert server.started, "the service did not start"
            found = Running(listening.getsockname()[1], settings, server)
            with found.client:
                yield found
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
    assert not thread.is_alive()


class _Server(uvicorn.Server):
    loop: asyncio.AbstractEventLoop

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.began.set()


Sse = tuple[str | None, Any]
"""A server-sent event: its name, and its data as JSON values where they are such."""


def frames(lines: Sequence[str]) -> list[Sse]:
    """Read server-sent events."""
    found: list[Sse] = []
    name, data = None, None
    for line in (*lines, ""):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            text = line.removeprefix("data: ")
            data = text if text == "[DONE]" else json.loads(text)
        elif not line and data is not None:
            found.append((name, data))
            name, data = None, None
    return found
