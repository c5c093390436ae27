"""A process that is stopped in the middle of a call, and goes on: SIGSTOP, a machine that is suspended."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

from llmflowlab.asking.pump import Arrival, Pump
from llmflowlab.asking.waiting import THREADS, Cancellation, run
from llmflowlab.errors import TimedOut
from llmflowlab.messages import Request
from llmflowlab.providers.base import Finished, TextDelta
from tests.asking.priced import PROMPT, scripted


class Stopped:
    """Waits in which nothing runs for a while, the clock apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *standstills: float) -> None:
        self.now = 0.0
        self._left = list(standstills)
        self._inbox = THREADS.inbox()
        monkeypatch.setattr("time.monotonic", lambda: self.now)

    def inbox(self) -> Stopped:
        return self

    def put(self, item: Any) -> None:
        self._inbox.put(item)

    async def get(self, seconds: float, *, polled: bool) -> Any:
        if self._left:
            self.now += self._left.pop(0)
            return None
        return await self._inbox.get(60.0, polled=polled)


def arrivals(waits: Stopped, *script: Any) -> list[object]:
    async def all_of_it() -> list[object]:
        found: list[object] = []
        request = Request(messages=PROMPT)
        with Pump(scripted(list(script)), request, waits) as reading:  # type: ignore[arg-type]  # its inbox alone is used
            stream = reading.arrivals(
                first_token_timeout=20.0,
                token_timeout=20.0,
                answer_timeout=3600.0,
                stop=Cancellation(),
            )
            async with aclosing(stream):
                async for arrival in stream:
                    assert isinstance(arrival, Arrival)
                    found.append(arrival.what)
        return found

    return run(all_of_it())


def test_what_came_while_the_process_stood_still_is_not_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It was given up as a silent server's, charged at its worst case and asked for again.
    answer = [TextDelta("hi"), Finished("stop")]
    assert arrivals(Stopped(monkeypatch, 30.0), *answer) == answer


@pytest.mark.parametrize("standstills", [(20.5,), (30.0, 2.5)], ids=["silent", "silent after it"])
def test_a_server_that_says_nothing_is_late_all_the_same(
    monkeypatch: pytest.MonkeyPatch, standstills: tuple[float, ...]
) -> None:
    (what,) = arrivals(Stopped(monkeypatch, *standstills), TextDelta("hi"), Finished("stop"))
    assert isinstance(what, TimedOut)
