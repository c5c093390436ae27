"""What counts as the time a model took: not loading it, and at least what was waited in vain."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llmflowlab.asking import attempt as attempts
from llmflowlab.asking.attempt import Attempt
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker
from llmflowlab.asking.pump import Arrival
from llmflowlab.asking.waiting import THREADS
from llmflowlab.errors import BadRequest, ProviderError, TimedOut
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import Finished, TextDelta, Usage
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.text.tokens import TokenCounter


@pytest.mark.parametrize(
    ("said", "loading", "first", "whole"),
    [
        pytest.param(0.0, 0.0, 7.0, 9.0, id="in-memory"),
        pytest.param(5.0, 5.0, 2.0, 4.0, id="loaded-first"),
        pytest.param(60.0, 7.0, 0.0, 2.0, id="never-more-than-passed-before-the-first-piece"),
    ],
)
def test_loading_is_no_part_of_the_latency(
    monkeypatch: pytest.MonkeyPatch, said: float, loading: float, first: float, whole: float
) -> None:
    arrivals = [
        Arrival(107.0, TextDelta("4")),
        Arrival(109.0, Finished("stop", load_seconds=said)),
    ]

    class Pump:
        def __init__(self, *args: object) -> None:
            pass

        def __enter__(self) -> Pump:
            return self

        def __exit__(self, *args: object) -> None:
            pass

        async def arrivals(self, **how: object):
            for arrival in arrivals:
                yield arrival

    class Clock:
        monotonic = staticmethod(lambda: 100.0)

    monkeypatch.setattr(attempts, "Pump", Pump)
    monkeypatch.setattr(attempts, "time", Clock)
    attempt = Attempt(1)
    running = attempt.run(
        ScriptedProvider(),
        Request(messages=(Message("user", "Hi"),)),
        THREADS,
        first_token_timeout=1.0,
        token_timeout=1.0,
        answer_timeout=1.0,
        on_event=None,
        stop=threading.Event(),
    )
    assert asyncio.run(running) is None
    answer = attempt.answer(Usage(), 0.0)
    assert answer.load_seconds == pytest.approx(loading)
    assert answer.time_to_first_token == pytest.approx(first)
    assert answer.inference_time == pytest.approx(whole)


@pytest.mark.parametrize(
    ("error", "waited"),
    [
        pytest.param(
            TimedOut("Late.", provider="scripted", stage="first_token"), True, id="no-first-token"
        ),
        pytest.param(
            TimedOut("Away.", provider="scripted", stage="connect"), False, id="never-reached"
        ),
        pytest.param(BadRequest("No.", provider="scripted"), False, id="refused"),
    ],
)
def test_a_call_that_was_given_up_as_too_slow_says_how_long_it_was_waited_for(
    error: ProviderError, waited: bool
) -> None:
    asker = Asker(
        ScriptedProvider(default=error),
        policy=CallPolicy(max_tries=1),
        metering=Metering(TokenCounter()),
    )
    paid = asker.ask_blocking(Request(messages=(Message("user", "Hi"),)))
    assert paid.error is error
    assert (paid.timed_out is not None) is waited


def test_a_call_that_was_answered_after_all_was_not_given_up() -> None:
    asker = Asker(
        ScriptedProvider([TimedOut("Late.", provider="scripted", stage="first_token"), "4"]),
        policy=CallPolicy(max_tries=2, backoff_base=0.001, backoff_max=0.002),
        metering=Metering(TokenCounter()),
    )
    assert asker.ask_blocking(Request(messages=(Message("user", "Hi"),))).timed_out is None
