"""`call` cut short: cancelled, Ctrl-C, deadlines, and what becomes of the reading thread."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

import llmflowlab.asking.pump as pumping
from llmflowlab.asking.calling import CallPolicy, Cancellation, call
from llmflowlab.asking.pump import Arrival, Pump
from llmflowlab.asking.waiting import run
from llmflowlab.errors import Overloaded, StreamInterrupted, TimedOut
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import StreamEvent, TextDelta, Usage, UsageReport
from llmflowlab.providers.scripted import ScriptedProvider, Step
from tests.known import known
from tests.patience import PATIENCE, hold

HELLO = Request(messages=(Message("user", "Say hello"),))
BUSY = Overloaded("busy", provider="scripted")
EVENTS = [
    pytest.param(Cancellation, id="Cancellation"),
    pytest.param(threading.Event, id="plain event"),
]


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """An event on which a script may hang; set when the test is over, so that its thread ends."""
    event = threading.Event()
    yield event
    event.set()


def hang_on(event: threading.Event) -> Callable[[], None]:
    def wait() -> None:
        assert event.wait(PATIENCE)

    return wait


@pytest.mark.parametrize("kind", EVENTS)
def test_a_call_cancelled_beforehand_sends_nothing(kind: type[threading.Event]):
    provider, stop = ScriptedProvider(["never"]), kind()
    stop.set()
    answer = call(provider, HELLO, policy=CallPolicy(), cancelled=stop)
    assert (answer.state, answer.text, answer.tries) == ("interrupted", "", 0)
    assert provider.requests == []


@pytest.mark.parametrize("kind", EVENTS)
def test_cancelling_before_the_first_token_ends_the_call(
    kind: type[threading.Event], released: threading.Event
):
    stop = kind()
    script: list[Step] = [stop.set, hang_on(released), TextDelta("late")]
    answer = call(ScriptedProvider([script]), HELLO, policy=CallPolicy(), cancelled=stop)
    assert (answer.state, answer.text, answer.tries) == ("interrupted", "", 1)
    assert answer.time_to_first_token is None


@pytest.mark.parametrize("kind", EVENTS)
def test_cancelling_in_the_middle_keeps_what_came(
    kind: type[threading.Event], released: threading.Event
):
    stop, seen = kind(), threading.Event()
    script: list[Step] = [
        TextDelta("Hel"),
        hang_on(seen),
        stop.set,
        hang_on(released),
        TextDelta("lo"),
    ]
    answer = call(
        ScriptedProvider([script]),
        HELLO,
        policy=CallPolicy(),
        cancelled=stop,
        on_event=lambda event: seen.set(),
    )
    assert (answer.state, answer.text, answer.error) == ("interrupted", "Hel", None)
    assert answer.finish_reason is None


def test_a_consumer_may_cancel_its_own_call(released: threading.Event):
    stop = Cancellation()
    script: list[Step] = [TextDelta("Hel"), TextDelta("lo"), hang_on(released)]
    answer = call(
        ScriptedProvider([script]),
        HELLO,
        policy=CallPolicy(),
        cancelled=stop,
        on_event=lambda event: stop.set(),
    )
    assert (answer.state, answer.text) == ("interrupted", "Hel")


@pytest.mark.parametrize("kind", EVENTS)
def test_cancelling_during_a_wait_ends_it_and_sends_nothing_more(kind: type[threading.Event]):
    stop = kind()
    provider = ScriptedProvider([BUSY, "never"])
    policy = CallPolicy(backoff_base=1e4, backoff_max=1e4, max_retry_seconds=1e5)
    answer = call(provider, HELLO, policy=policy, cancelled=stop, on_wait=lambda notice: stop.set())
    assert (answer.state, answer.tries) == ("interrupted", 1)
    assert answer.waited < 1e3
    assert provider.unanswered == 1


def test_a_cancellation_wakes_every_call_under_it(released: threading.Event):
    stop = Cancellation()
    started = threading.Barrier(5)
    script: list[Step] = [lambda: hold(started), hang_on(released)]
    provider = ScriptedProvider(default=lambda request: list(script))
    states: list[str] = []

    def ask() -> None:
        states.append(call(provider, HELLO, policy=CallPolicy(), cancelled=stop).state)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait(PATIENCE)
    stop.set()
    for thread in threads:
        thread.join()
    assert states == ["interrupted"] * 4


def test_a_cancellation_forgets_the_calls_that_are_over():
    woken: list[str] = []
    stop = Cancellation()
    with stop.waking(lambda: woken.append("inside")):
        pass
    with stop.waking(lambda: woken.append("now")):
        stop.set()
    assert woken == ["now"]


def test_ctrl_c_while_the_answer_is_shown_keeps_what_came():
    def press(event: StreamEvent) -> None:
        raise KeyboardInterrupt

    answer = call(ScriptedProvider(["Hello there"]), HELLO, policy=CallPolicy(), on_event=press)
    assert (answer.state, answer.text) == ("interrupted", "Hello ")


def test_ctrl_c_after_the_end_leaves_the_answer_complete():
    def press(event: StreamEvent) -> None:
        if not isinstance(event, TextDelta):
            seen.append(event)
        if len(seen) == 2:
            raise KeyboardInterrupt

    seen: list[StreamEvent] = []
    answer = call(ScriptedProvider(["Hello"]), HELLO, policy=CallPolicy(), on_event=press)
    assert (answer.state, answer.text, answer.finish_reason) == ("complete", "Hello", "stop")


def test_ctrl_c_during_a_wait_is_an_interruption_not_an_error():
    def press(notice: object) -> None:
        raise KeyboardInterrupt

    answer = call(ScriptedProvider([BUSY, "x"]), HELLO, policy=CallPolicy(), on_wait=press)
    assert (answer.state, answer.text, answer.tries) == ("interrupted", "", 1)


async def gathered(coming: AsyncIterator[Arrival]) -> list[Arrival]:
    return [arrival async for arrival in coming]


def press_ctrl_c() -> None:
    if os.name == "nt":
        _thread.interrupt_main()
    else:
        # `interrupt_main` would not wake a thread that waits for a lock.
        signal.pthread_kill(known(threading.main_thread().ident), signal.SIGINT)


def test_a_real_ctrl_c_ends_the_wait_for_a_token(released: threading.Event):
    # Signals that came between looking and waiting were once noticed a minute later only.
    seen = threading.Event()
    script: list[Step] = [TextDelta("Hel"), hang_on(seen), press_ctrl_c, hang_on(released)]
    answer = call(
        ScriptedProvider([script]),
        HELLO,
        policy=CallPolicy(),
        on_event=lambda event: seen.set(),
    )
    assert (answer.state, answer.text) == ("interrupted", "Hel")


def test_no_first_token_in_time_is_a_timeout_that_names_its_setting(released: threading.Event):
    policy = CallPolicy(first_token_timeout=0.01, max_tries=1)
    with pytest.raises(TimedOut, match="LLMFLOWLAB_FIRST_TOKEN_TIMEOUT") as caught:
        call(ScriptedProvider([[hang_on(released)]]), HELLO, policy=policy)
    assert caught.value.stage == "first_token"


def test_a_timeout_before_the_first_token_is_tried_again(released: threading.Event):
    policy = CallPolicy(first_token_timeout=0.05, backoff_base=0.001, max_tries=50)
    provider = ScriptedProvider([[hang_on(released)]], default="hello")
    answer = call(provider, HELLO, policy=policy)
    assert answer.text == "hello"
    # A busy machine may take the second one for silent too.
    assert answer.tries >= 2


def test_silence_between_tokens_breaks_the_answer_off_and_keeps_it(released: threading.Event):
    policy = CallPolicy(token_timeout=0.01)
    script: list[Step] = [TextDelta("Hel"), hang_on(released), TextDelta("lo")]
    answer = call(ScriptedProvider([script]), HELLO, policy=policy)
    assert (answer.state, answer.text) == ("incomplete", "Hel")
    assert isinstance(answer.error, StreamInterrupted)
    assert "LLMFLOWLAB_TOKEN_TIMEOUT" in answer.error.message
    assert isinstance(answer.error.__cause__, TimedOut)
    assert answer.error.__cause__.stage == "between_tokens"


def test_a_stream_given_up_is_closed_by_its_own_thread_once_it_moves():
    closed, moved, stop = threading.Event(), threading.Event(), Cancellation()

    class Slow(ScriptedProvider):
        def stream(self, request: Request) -> Iterator[StreamEvent]:
            try:
                stop.set()
                assert moved.wait(PATIENCE)
                yield TextDelta("late")
                yield TextDelta("later")
            finally:
                closed.set()

    answer = call(Slow(), HELLO, policy=CallPolicy(), cancelled=stop)
    assert answer.state == "interrupted"
    assert not closed.is_set()
    moved.set()
    assert closed.wait(PATIENCE)


def test_a_pump_given_up_before_it_reads_sends_nothing():
    provider = ScriptedProvider(["never"])
    pump = Pump(provider, HELLO)
    pump.__exit__(None, None, None)
    with pump:
        coming = pump.arrivals(
            first_token_timeout=0.0, token_timeout=1.0, answer_timeout=1.0, stop=Cancellation()
        )
        arrivals = run(gathered(coming))
    assert isinstance(arrivals[0].what, TimedOut)
    assert provider.requests == []


@pytest.mark.parametrize("said", [["a"], []])
def test_an_answer_has_a_time_in_all(said: list[str], monkeypatch: pytest.MonkeyPatch):
    # Each piece comes in time, and the answer has no end.
    now, seen = [0.0], threading.Event()

    def later() -> None:
        now[0] += 10.0

    report = UsageReport(Usage(prompt_tokens=1))
    texts = map(TextDelta, said)
    trickle: list[Step] = [later, report]
    script: list[Step] = [report, hang_on(seen), *texts, *trickle * 20]
    monkeypatch.setattr(
        pumping, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: None)
    )
    policy = CallPolicy(
        answer_timeout=100.0, first_token_timeout=1e6, token_timeout=1e6, max_tries=1
    )
    provider = ScriptedProvider([script])
    with ExitStack() as stack:
        if not said:
            stack.enter_context(pytest.raises(TimedOut, match="did not end within 100 s"))
        answer = call(provider, HELLO, policy=policy, on_event=lambda event: seen.set())
        assert answer.state == "incomplete"
        assert answer.text == "a"
        assert answer.error is not None
        assert "LLMFLOWLAB_ANSWER_TIMEOUT" in answer.error.message


def test_a_thread_that_hangs_does_not_hold_the_exit_of_the_program_up():
    program = """
        import threading
        from llmflowlab.messages import Message, Request
        from llmflowlab.asking.calling import CallPolicy, Cancellation, call
        from llmflowlab.providers.scripted import ScriptedProvider

        stop = Cancellation()
        script = [stop.set, threading.Event().wait]
        request = Request(messages=(Message("user", "hello"),))
        answer = call(ScriptedProvider([script]), request, policy=CallPolicy(), cancelled=stop)
        assert answer.state == "interrupted"
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
