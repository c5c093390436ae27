"""`call` on failures: what is tried again, how long is waited, and when it gives up."""

from __future__ import annotations

import threading

import pytest

from llmflowlab import errors
from llmflowlab.asking.calling import CallPolicy, WaitNotice, call
from llmflowlab.errors import (
    Overloaded,
    ProviderError,
    RateLimited,
    StreamInterrupted,
    TimedOut,
)
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import Finished, ReasoningDelta, TextDelta, Usage, UsageReport
from llmflowlab.providers.scripted import ScriptedProvider, Step

HELLO = Request(messages=(Message("user", "Say hello"),))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make waits between tries take no time, and note them."""
    waits: list[float] = []

    def wait(stop: threading.Event, seconds: float) -> float:
        waits.append(seconds)
        return seconds

    monkeypatch.setattr("llmflowlab.asking.waiting.pause", wait)
    return waits


def busy(retry_after: float | None = None) -> Overloaded:
    return Overloaded("busy", provider="scripted", status=503, retry_after=retry_after)


def provider_errors() -> list[type[ProviderError]]:
    found = [getattr(errors, name) for name in errors.__all__]
    return [
        cls
        for cls in found
        if isinstance(cls, type) and issubclass(cls, ProviderError) and cls is not ProviderError
    ]


@pytest.mark.parametrize("kind", provider_errors(), ids=lambda kind: kind.__name__)
def test_only_failures_that_may_pass_are_tried_again(
    kind: type[ProviderError], no_waiting: list[float]
):
    provider = ScriptedProvider([kind("no", provider="scripted"), "hello"])
    if kind.retryable:
        answer = call(provider, HELLO, policy=CallPolicy())
        assert (answer.text, answer.tries) == ("hello", 2)
    else:
        with pytest.raises(kind):
            call(provider, HELLO, policy=CallPolicy())
        assert (provider.unanswered, no_waiting) == (1, [])


def test_the_ceiling_on_tries_holds_and_the_error_says_how_many_there_were(no_waiting: list[float]):
    provider = ScriptedProvider(default=lambda request: busy())
    with pytest.raises(Overloaded, match=r"^busy Tried 3 times\.$") as caught:
        call(provider, HELLO, policy=CallPolicy(max_tries=3))
    assert len(provider.requests) == 3
    assert caught.value.tries == 3
    assert caught.value.waited == pytest.approx(sum(no_waiting))


def test_waits_grow_up_to_their_ceiling_and_are_spread_at_random(no_waiting: list[float]):
    policy = CallPolicy(max_tries=8, backoff_base=1, backoff_max=8, max_retry_seconds=1000)
    for _ in range(20):
        with pytest.raises(Overloaded):
            call(ScriptedProvider(default=lambda request: busy()), HELLO, policy=policy)
    for number, longest in enumerate([1, 2, 4, 8, 8, 8, 8]):
        waits = no_waiting[number::7]
        assert all(longest / 2 <= seconds <= longest for seconds in waits)
        assert len(set(waits)) > 1


def test_the_wait_that_the_server_asks_for_is_a_floor(no_waiting: list[float]):
    notices: list[WaitNotice] = []
    limited = RateLimited("slow down", provider="scripted", retry_after=17.5)
    answer = call(
        ScriptedProvider([limited, "hello"]), HELLO, policy=CallPolicy(), on_wait=notices.append
    )
    assert no_waiting == [17.5]
    assert notices == [WaitNotice(limited, 17.5, 2, 5)]
    assert (answer.waited, answer.tries) == (17.5, 2)


def test_a_short_wait_asked_for_does_not_shorten_our_own(no_waiting: list[float]):
    policy = CallPolicy(backoff_base=10, backoff_max=10)
    call(ScriptedProvider([busy(retry_after=0.1), "hello"]), HELLO, policy=policy)
    assert 5 <= no_waiting[0] <= 10


def test_a_wait_beyond_the_time_allowed_is_not_begun(no_waiting: list[float]):
    limited = RateLimited("slow down", provider="scripted", retry_after=3600)
    with pytest.raises(RateLimited) as caught:
        call(ScriptedProvider([limited, "never"]), HELLO, policy=CallPolicy(max_retry_seconds=60))
    assert no_waiting == []
    assert caught.value.retry_after == 3600
    assert caught.value.message == (
        "slow down Scripted asks to wait 3600 s, and a call may spend 60 s on tries "
        "(LLMFLOWLAB_MAX_RETRY_SECONDS sets this limit)."
    )
    assert str(caught.value) == caught.value.message


def test_the_last_error_says_how_long_the_provider_asks_to_wait(no_waiting: list[float]):
    limited = RateLimited("slow down", provider="scripted", retry_after=3)
    with pytest.raises(
        RateLimited, match=r"^slow down Scripted asks to wait 3 s\. Tried 2 times\.$"
    ):
        call(ScriptedProvider([busy(), limited]), HELLO, policy=CallPolicy(max_tries=2))


def test_the_time_that_tries_take_counts_against_the_ceiling(
    no_waiting: list[float], monkeypatch: pytest.MonkeyPatch
):
    now = 1000.0
    monkeypatch.setattr("llmflowlab.asking.calling.time.monotonic", lambda: now)

    def slow(request: Request) -> ProviderError:
        nonlocal now
        now += 40
        return TimedOut("nothing came", provider="scripted")

    provider = ScriptedProvider(default=slow)
    policy = CallPolicy(
        max_retry_seconds=100, first_token_timeout=1e6, max_tries=50, backoff_base=0.001
    )
    with pytest.raises(TimedOut, match=r"Tried 3 times\."):
        call(provider, HELLO, policy=policy)


def test_an_answer_that_had_begun_is_kept_and_never_tried_again(no_waiting: list[float]):
    usage = Usage(prompt_tokens=3, completion_tokens=2)
    reset = busy()
    provider = ScriptedProvider([[TextDelta("Hel"), UsageReport(usage), reset], "again"])
    answer = call(provider, HELLO, policy=CallPolicy())
    assert (answer.state, answer.text, answer.usage) == ("incomplete", "Hel", usage)
    assert isinstance(answer.error, StreamInterrupted)
    assert answer.error.message == "The answer broke off: busy"
    assert (answer.error.__cause__, answer.error.status) == (reset, 503)
    assert answer.finish_reason is None
    assert (provider.unanswered, no_waiting) == (1, [])


def test_reasoning_that_had_begun_counts_as_begun(no_waiting: list[float]):
    provider = ScriptedProvider([[ReasoningDelta("hm"), busy()], "again"])
    answer = call(provider, HELLO, policy=CallPolicy())
    assert (answer.state, answer.text, answer.reasoning) == ("incomplete", "", "hm")
    assert provider.unanswered == 1


@pytest.mark.parametrize(
    "piece", [TextDelta(""), UsageReport(Usage(prompt_tokens=3))], ids=["empty text", "usage"]
)
def test_what_is_no_piece_of_an_answer_does_not_forbid_another_try(
    piece: TextDelta | UsageReport, no_waiting: list[float]
):
    provider = ScriptedProvider([[piece, busy()], "hello"])
    answer = call(provider, HELLO, policy=CallPolicy())
    assert (answer.state, answer.text, answer.tries) == ("complete", "hello", 2)


def steps(*made: Step) -> list[Step]:
    return list(made)


def test_tokens_of_failed_tries_are_told_apart_from_the_answers(no_waiting: list[float]):
    spent = UsageReport(Usage(prompt_tokens=7))
    provider = ScriptedProvider(
        [[spent, busy()], [spent, busy()], [TextDelta("a"), spent, Finished("stop")]]
    )
    answer = call(provider, HELLO, policy=CallPolicy())
    assert answer.usage == Usage(prompt_tokens=7)
    assert answer.failed_usage == Usage(prompt_tokens=14)


def test_tokens_of_failed_tries_are_told_by_the_final_error(no_waiting: list[float]):
    spent = UsageReport(Usage(prompt_tokens=7))
    provider = ScriptedProvider(default=lambda request: steps(spent, busy()))
    with pytest.raises(Overloaded) as caught:
        call(provider, HELLO, policy=CallPolicy(max_tries=2))
    assert (caught.value.prompt_tokens, caught.value.completion_tokens) == (14, None)


def test_an_answer_that_broke_off_keeps_the_waits_before_it(no_waiting: list[float]):
    provider = ScriptedProvider([busy(), [TextDelta("Hel"), busy()]])
    answer = call(provider, HELLO, policy=CallPolicy())
    assert (answer.state, answer.tries) == ("incomplete", 2)
    assert answer.waited == pytest.approx(sum(no_waiting))


def test_what_on_wait_raises_ends_the_call(no_waiting: list[float]):
    def refuse(notice: WaitNotice) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        call(ScriptedProvider([busy(), "x"]), HELLO, policy=CallPolicy(), on_wait=refuse)
    assert no_waiting == []
