"""`call` on answers that come: what the finished value holds, and when it was measured."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from llmflowlab.asking.calling import CallPolicy, Cancellation, call, complete, policy_from
from llmflowlab.asking.waiting import Stop
from llmflowlab.errors import (
    BadAnswer,
    ConfigurationError,
    Interrupted,
    Overloaded,
    StreamInterrupted,
    TimedOut,
)
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import (
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.scripted import ScriptedProvider, Step
from llmflowlab.settings import load_settings
from tests.patience import PATIENCE

HELLO = Request(messages=(Message("user", "Say hello"),), system="Be brief")
POLICY = CallPolicy(backoff_base=0.001, backoff_max=0.001)


def test_a_streamed_answer_is_gathered_with_usage_version_and_reasoning():
    seen: list[StreamEvent] = []
    usage = Usage(prompt_tokens=4, completion_tokens=3, reasoning_tokens=1)
    script: list[StreamEvent] = [
        ReasoningDelta("hm"),
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(usage),
        Finished("stop", "model-001"),
    ]
    answer = call(ScriptedProvider([script]), HELLO, policy=POLICY, on_event=seen.append)
    assert (answer.text, answer.reasoning, answer.usage) == ("Hello", "hm", usage)
    assert (answer.state, answer.finish_reason, answer.model_version) == (
        "complete",
        "stop",
        "model-001",
    )
    assert (answer.tries, answer.waited, answer.error) == (1, 0.0, None)
    assert seen == script


def test_a_later_usage_report_replaces_the_earlier_one():
    script: list[Step] = [
        UsageReport(Usage(prompt_tokens=4)),
        TextDelta("a"),
        UsageReport(Usage(prompt_tokens=4, completion_tokens=1)),
        Finished("stop"),
    ]
    answer = call(ScriptedProvider([script]), HELLO, policy=POLICY)
    assert answer.usage == Usage(prompt_tokens=4, completion_tokens=1)


def test_an_answer_without_text_is_complete_when_the_limit_on_tokens_ended_it():
    script: list[Step] = [
        UsageReport(Usage(prompt_tokens=4, completion_tokens=9)),
        Finished("length"),
    ]
    answer = call(ScriptedProvider([script]), HELLO, policy=POLICY)
    assert (answer.text, answer.state, answer.finish_reason) == ("", "complete", "length")
    assert answer.time_to_first_token is None


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


def test_time_spent_showing_the_answer_is_not_counted_as_the_models(
    monkeypatch: pytest.MonkeyPatch,
):
    clock, all_read = Clock(monkeypatch), threading.Event()

    def slow(event: StreamEvent) -> None:
        assert all_read.wait(PATIENCE)
        clock.now += 7

    script: list[Step] = [TextDelta("one "), TextDelta("two"), Finished("stop"), all_read.set]
    answer = call(ScriptedProvider([script]), HELLO, policy=POLICY, on_event=slow)
    assert clock.now == 1021.0
    assert (answer.time_to_first_token, answer.inference_time) == (0.0, 0.0)


def test_a_consumer_slower_than_the_token_timeout_loses_nothing(monkeypatch: pytest.MonkeyPatch):
    # The deadline used to run while the consumer worked, and broke off answers that were all there.
    clock = Clock(monkeypatch)

    def slow(event: StreamEvent) -> None:
        clock.now += 7

    policy = CallPolicy(first_token_timeout=5, token_timeout=5)
    answer = call(ScriptedProvider(["one two three"]), HELLO, policy=policy, on_event=slow)
    assert (answer.state, answer.text) == ("complete", "one two three")


def test_what_goes_wrong_after_the_end_does_not_spoil_a_finished_answer():
    script: list[Step] = [
        TextDelta("done"),
        Finished("stop"),
        Overloaded("late reset", provider="scripted"),
    ]
    answer = call(ScriptedProvider([script]), HELLO, policy=POLICY)
    assert (answer.state, answer.text, answer.error) == ("complete", "done", None)


def test_a_stream_that_ends_without_saying_so_is_a_bad_answer():
    with pytest.raises(BadAnswer, match="without saying that it was finished"):
        call(ScriptedProvider([[]]), HELLO, policy=POLICY)


def test_what_a_consumer_raises_passes_through_and_is_never_retried():
    provider = ScriptedProvider(default="one two")

    def broken(event: StreamEvent) -> None:
        raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError):
        call(provider, HELLO, policy=POLICY, on_event=broken)
    assert len(provider.requests) == 1


def test_a_provider_error_raised_by_a_consumer_is_not_taken_for_the_providers():
    provider = ScriptedProvider(default="one two")

    def broken(event: StreamEvent) -> None:
        raise Overloaded("from elsewhere", provider="other")

    with pytest.raises(Overloaded, match="from elsewhere"):
        call(provider, HELLO, policy=POLICY, on_event=broken)
    assert len(provider.requests) == 1


def test_other_errors_of_the_lab_s_own_pass_through_at_once():
    provider = ScriptedProvider([ConfigurationError("switched off"), "never asked"])
    with pytest.raises(ConfigurationError):
        call(provider, HELLO, policy=POLICY)
    assert provider.unanswered == 1


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("bug"), RecursionError(), KeyError("choices"), RuntimeError("pool")]
)
def test_a_defect_inside_a_provider_is_an_answer_that_cannot_be_read(error: Exception):
    # It used to end a whole evaluation.
    provider = ScriptedProvider([error, "never asked"])
    with pytest.raises(
        BadAnswer, match=f"cannot be read as an answer .{type(error).__name__}"
    ) as seen:
        call(provider, HELLO, policy=POLICY)
    assert seen.value.__cause__ is error
    assert provider.unanswered == 1


def test_a_defect_in_the_middle_of_an_answer_leaves_what_came():
    provider = ScriptedProvider([[TextDelta("Hel"), ZeroDivisionError("bug")]])
    answer = call(provider, HELLO, policy=POLICY)
    assert (answer.text, answer.state) == ("Hel", "incomplete")
    assert isinstance(answer.error, StreamInterrupted)


def test_complete_returns_whole_answers_only():
    gate = Recording()
    assert complete(ScriptedProvider(["yes"]), HELLO, policy=POLICY, gate=gate).text == "yes"
    assert gate.left == [(None, 5)]
    broken: list[Step] = [TextDelta("ye"), TimedOut("silence", provider="scripted")]
    with pytest.raises(Exception, match=r"The answer broke off: silence"):
        complete(ScriptedProvider([broken]), HELLO, policy=POLICY)
    stop = Cancellation()
    stop.set()
    with pytest.raises(Interrupted):
        complete(ScriptedProvider(["yes"]), HELLO, policy=POLICY, cancelled=stop)


def test_the_policy_takes_its_patience_from_the_settings(tmp_path: Path):
    environ = {
        "LLMFLOWLAB_FIRST_TOKEN_TIMEOUT": "7",
        "LLMFLOWLAB_TOKEN_TIMEOUT": "3",
        "LLMFLOWLAB_ANSWER_TIMEOUT": "13",
        "LLMFLOWLAB_MAX_TRIES": "2",
        "LLMFLOWLAB_MAX_RETRY_SECONDS": "11",
    }
    policy = policy_from(load_settings(environ, cwd=tmp_path, stdin_is_terminal=False))
    assert policy == dataclasses.replace(
        CallPolicy(),
        first_token_timeout=7,
        token_timeout=3,
        answer_timeout=13,
        max_tries=2,
        max_retry_seconds=11,
    )


class Recording:
    """A gate that lets everybody in and remembers how each try ended."""

    def __init__(self, *, closed: bool = False) -> None:
        self.closed = closed
        self.left: list[tuple[object, int | None]] = []

    def enter(self, stop: Stop) -> bool:
        return not self.closed

    def leave(self, error: object, tokens: int | None) -> None:
        self.left.append((error, tokens))


def test_a_gate_is_told_how_each_try_ended():
    gate = Recording()
    busy = Overloaded("busy", provider="scripted")
    call(ScriptedProvider([busy, "fine"]), HELLO, policy=POLICY, gate=gate)
    assert gate.left == [(busy, None), (None, 5)]


def test_a_gate_is_told_of_a_try_that_its_consumer_ended():
    gate = Recording()

    def broken(event: StreamEvent) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        call(ScriptedProvider(["a b"]), HELLO, policy=POLICY, on_event=broken, gate=gate)
    assert gate.left == [(None, None)]


def test_a_gate_that_stays_shut_sends_nothing():
    provider = ScriptedProvider(["never"])
    answer = call(provider, HELLO, policy=POLICY, gate=Recording(closed=True))
    assert (answer.state, answer.tries, provider.requests) == ("interrupted", 0, [])


def test_a_call_from_many_threads_at_once_keeps_answers_apart():
    provider = ScriptedProvider(default=lambda request: request.messages[0].content * 2)
    answers: dict[str, str] = {}

    def ask(text: str) -> None:
        request = Request(messages=(Message("user", text),))
        answers[text] = call(provider, request, policy=POLICY).text

    threads = [threading.Thread(target=ask, args=(f"question {n} ",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"question {n} ": f"question {n} " * 2 for n in range(20)}


def test_no_thread_is_left_behind_by_a_finished_call():
    readers: list[threading.Thread] = []
    script: list[Step] = [
        lambda: readers.append(threading.current_thread()),
        TextDelta("hello"),
        Finished("stop"),
    ]
    call(ScriptedProvider([script]), HELLO, policy=POLICY)
    readers[0].join(timeout=PATIENCE)
    assert not readers[0].is_alive()
