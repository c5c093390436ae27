"""The `loopback` fixture, for every test that needs a server to talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loopback.server import LoopbackServer

__all__ = ["loopback"]


@pytest.fixture
def loopback() -> Iterator[LoopbackServer]:
    """A server that speaks every vendor's protocol on a port of its own."""
    with LoopbackServer() as server:
        yield server
    assert server.failures == []
