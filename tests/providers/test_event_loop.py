"""Calls on the one event loop of the process: no thread a call, what is given up is closed at once."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.asking.calling import call
from llmflowlab.asking.waiting import Cancellation
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import TextDelta
from llmflowlab.providers.event_loop import blocking, started
from llmflowlab.providers.openai.provider import OpenAIProvider
from llmflowlab.settings import load_settings
from tests.evaluation.helpers import QUICK
from tests.loopback.scenario import Fault
from tests.loopback.server import LoopbackServer
from tests.patience import PATIENCE

HELLO = Request(messages=(Message("user", "Say hello"),))


@pytest.fixture
def provider(
    tmp_path: Path, loopback: LoopbackServer, requests_allowed: None
) -> Iterator[OpenAIProvider]:
    environ = loopback.environment("openai")
    settings = load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)
    with closing(OpenAIProvider("gpt-4.1-mini", settings)) as made:
        yield made


def connections(provider: OpenAIProvider) -> list[Any]:
    pool: Any = provider._client()._client._transport._pool  # type: ignore[attr-defined]
    return list(pool.connections)


def test_what_is_done_on_the_loop_comes_back_with_its_value_or_its_error() -> None:
    async def double(value: int) -> int:
        if value < 0:
            raise ValueError("negative")
        return 2 * value

    assert blocking(double(21)) == 42
    with pytest.raises(ValueError, match="negative"):
        blocking(double(-1))
    with pytest.raises(TimeoutError):
        blocking(asyncio.wait_for(asyncio.Event().wait(), 0))


def test_many_calls_at_once_share_one_thread(
    provider: OpenAIProvider, loopback: LoopbackServer
) -> None:
    together = threading.Barrier(20)
    threads: list[list[str]] = []

    def on_event(event: object) -> None:
        if isinstance(event, TextDelta) and len(threads) < 20:
            threads.append([thread.name for thread in threading.enumerate()])
            together.wait(PATIENCE)

    callers = [
        threading.Thread(
            target=call, args=(provider, HELLO), kwargs={"policy": QUICK, "on_event": on_event}
        )
        for _ in range(20)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE)
    assert len(threads) == 20
    assert {name for names in threads for name in names if name.startswith("stream-")} == set()
    assert {names.count("calls") for names in threads} == {1}


def test_a_call_that_is_given_up_closes_its_connection_at_once(
    provider: OpenAIProvider, loopback: LoopbackServer
) -> None:
    loopback.fail(Fault("hang", after=1))
    cancelled = Cancellation()

    def on_event(event: object) -> None:
        if isinstance(event, TextDelta):
            assert len(connections(provider)) == 1
            cancelled.set()

    assert call(provider, HELLO, policy=QUICK, on_event=on_event, cancelled=cancelled).text

    async def closed() -> None:
        while connections(provider):
            await asyncio.sleep(0)

    # The server would hold it for ever.
    blocking(asyncio.wait_for(closed(), PATIENCE))


def test_a_connection_whose_answer_ended_is_used_again(provider: OpenAIProvider) -> None:
    for _ in range(3):
        assert call(provider, HELLO, policy=QUICK).state == "complete"
    assert len(connections(provider)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_process_gets_a_loop_of_its_own() -> None:
    async def answer() -> int:
        return 7

    assert blocking(answer()) == 7
    if (child := os.fork()) == 0:
        os._exit(started(answer()).result(PATIENCE))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
