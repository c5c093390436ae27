"""One call of a model, from request to finished answer: deadlines, retries, timing, interruption.

Every mode calls models through `call`; no provider and no other room retries or times anything.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, TypeAlias

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from llmflowlab.errors import BadAnswer, ProviderError, StreamInterrupted, TimedOut
from llmflowlab.providers.base import (
    Finished,
    FinishReason,
    Provider,
    ReasoningDelta,
    Request,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)

__all__ = ["Answer", "AnswerState", "CallPolicy", "WaitNotice", "call"]

AnswerState: TypeAlias = Literal["complete", "interrupted", "incomplete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """How patient a call is; all times in seconds."""

    first_token_timeout: float = 120.0
    token_timeout: float = 60.0
    max_tries: int = 5
    max_retry_seconds: float = 120.0
    """A wait that would end later than this after the first try is not begun."""
    backoff_base: float = 0.5
    backoff_max: float = 30.0


@dataclass(frozen=True, slots=True)
class WaitNotice:
    """What is being waited for before the next try."""

    error: ProviderError
    seconds: float
    next_try: int
    max_tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished call: the same value whether it was streamed to a person or not."""

    text: str
    reasoning: str = ""
    usage: Usage = Usage()
    finish_reason: FinishReason | None = None
    """None where the answer did not end by itself."""
    model_version: str | None = None
    state: AnswerState = "complete"
    """`interrupted` by the person, `incomplete` where the provider broke off."""
    error: ProviderError | None = None
    """Why an incomplete answer broke off."""
    time_to_first_token: float | None = None
    """Seconds from sending the successful try to its first piece of text or reasoning."""
    inference_time: float = 0.0
    """Seconds from sending the last try to its end; waits between tries are not in it."""
    tries: int = 1
    waited: float = 0.0
    """Seconds spent waiting between tries."""


def call(
    provider: Provider,
    request: Request,
    *,
    policy: CallPolicy,
    on_event: Callable[[StreamEvent], None] | None = None,
    on_wait: Callable[[WaitNotice], None] | None = None,
    cancelled: threading.Event | None = None,
) -> Answer:
    """Call a model and return its answer.

    Failures that may pass are tried again until something of the answer has arrived; after that
    the part that came is returned with state `incomplete` and its error, never joined with another
    try. Setting `cancelled` (or Ctrl-C in the calling thread) returns what came as `interrupted`.

    Args:
        provider: The model.
        request: What to send.
        policy: Deadlines and limits on tries.
        on_event: Called in this thread with each event as it comes.
        on_wait: Called in this thread before each wait between tries.
        cancelled: Ends the call soon after it is set, also during a wait.

    Raises:
        ProviderError: Nothing of an answer came, and the tries are used up or the failure is final.
    """
    stop = cancelled or threading.Event()
    started = time.monotonic()
    attempt = _Attempt()
    waited = 0.0

    def wait_seconds(state: RetryCallState) -> float:
        asked = _provider_error(state).retry_after
        backoff = wait_random_exponential(policy.backoff_base, max=policy.backoff_max)(state)
        return max(backoff, asked or 0.0)

    def out_of_time(state: RetryCallState) -> bool:
        return time.monotonic() - started + state.upcoming_sleep > policy.max_retry_seconds

    def before_sleep(state: RetryCallState) -> None:
        nonlocal waited
        waited += state.upcoming_sleep
        if on_wait is not None:
            on_wait(
                WaitNotice(
                    _provider_error(state),
                    state.upcoming_sleep,
                    state.attempt_number + 1,
                    policy.max_tries,
                )
            )

    def sleep(seconds: float) -> None:
        # Returns at once when cancelled; the next try then sees it and sends nothing.
        stop.wait(seconds)

    retrying = Retrying(
        retry=retry_if_exception(lambda exc: isinstance(exc, ProviderError) and exc.retryable),
        stop=_any(stop_after_attempt(policy.max_tries), out_of_time),
        wait=wait_seconds,
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )
    try:
        for attempt_manager in retrying:
            with attempt_manager:
                attempt = _Attempt(number=attempt_manager.retry_state.attempt_number)
                if stop.is_set():
                    attempt.state = "interrupted"
                else:
                    attempt.run(provider, request, policy, on_event, stop)
    except KeyboardInterrupt:
        attempt.interrupt()
    return attempt.answer(waited)


def _provider_error(state: RetryCallState) -> ProviderError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, ProviderError)
    return error


def _any(*conditions: Callable[[RetryCallState], bool]) -> Callable[[RetryCallState], bool]:
    return lambda state: any(condition(state) for condition in conditions)


class _Attempt:
    """One try: gathers events until the stream ends, breaks, times out or is cancelled."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.usage = Usage()
        self.finished: Finished | None = None
        self.state: AnswerState = "complete"
        self.error: ProviderError | None = None
        self.sent = time.monotonic()
        self.first: float | None = None
        self.ended: float | None = None

    def run(
        self,
        provider: Provider,
        request: Request,
        policy: CallPolicy,
        on_event: Callable[[StreamEvent], None] | None,
        stop: threading.Event,
    ) -> None:
        self.sent = time.monotonic()
        pump = _Pump(provider, request)
        try:
            for event in pump.events(policy, stop):
                self._take(event)
                if on_event is not None:
                    on_event(event)
            if stop.is_set() and self.finished is None:
                self.interrupt()
            elif self.finished is None:
                raise BadAnswer(
                    f"{provider.display_name} ended its answer without saying that it was finished.",
                    provider=provider.name,
                    model=provider.model,
                )
        except ProviderError as exc:
            if not self.text and not self.reasoning:
                raise
            self.state = "incomplete"
            self.error = exc
            if not isinstance(exc, StreamInterrupted):
                self.error = StreamInterrupted(
                    f"The answer broke off: {exc.message}",
                    provider=exc.provider,
                    model=exc.model,
                    status=exc.status,
                )
                self.error.__cause__ = exc
        finally:
            pump.abandon()
            self.ended = time.monotonic()

    def _take(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text):
                self._mark_first()
                self.text.append(text)
            case ReasoningDelta(text):
                self._mark_first()
                self.reasoning.append(text)
            case UsageReport(usage):
                self.usage = usage
            case Finished():
                self.finished = event

    def _mark_first(self) -> None:
        if self.first is None:
            self.first = time.monotonic()

    def interrupt(self) -> None:
        self.state = "interrupted"

    def answer(self, waited: float) -> Answer:
        ended = self.ended or time.monotonic()
        return Answer(
            text="".join(self.text),
            reasoning="".join(self.reasoning),
            usage=self.usage,
            finish_reason=self.finished.reason if self.finished else None,
            model_version=self.finished.model_version if self.finished else None,
            state=self.state,
            error=self.error,
            time_to_first_token=None if self.first is None else self.first - self.sent,
            inference_time=ended - self.sent,
            tries=self.number,
            waited=waited,
        )


class _Stopped(Enum):
    """Why the pump yields nothing more."""

    CANCELLED = auto()
    LATE = auto()
    ENDED = auto()


_Item: TypeAlias = "StreamEvent | BaseException | _Stopped"


class _Pump:
    """Reads a provider's stream in a thread of its own, so that every deadline holds.

    An SDK can sit in a read that no signal ends; this thread waits on a queue instead, which Ctrl-C
    and deadlines do end. A stream given up is closed by its own thread as soon as it moves again
    (the SDKs' read timeouts see to that).
    """

    def __init__(self, provider: Provider, request: Request) -> None:
        self._provider = provider
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._thread = threading.Thread(
            target=self._read, args=(request,), name=f"stream-{provider.name}", daemon=True
        )
        self._thread.start()

    def _read(self, request: Request) -> None:
        try:
            stream = self._provider.stream(request)
            try:
                for event in stream:
                    if self._given_up.is_set():
                        return
                    self._queue.put(event)
            finally:
                close = getattr(stream, "close", None)
                if close is not None:
                    close()
        except BaseException as exc:  # noqa: BLE001
            # Not handled here: carried over to the thread that waits, and raised there.
            self._queue.put(exc)
        else:
            self._queue.put(_Stopped.ENDED)

    def events(self, policy: CallPolicy, stop: threading.Event) -> Iterator[StreamEvent]:
        deadline = time.monotonic() + policy.first_token_timeout
        begun = False
        while True:
            item = self._next(deadline, stop)
            if item is _Stopped.LATE:
                raise self._timed_out(policy, begun)
            if isinstance(item, _Stopped):
                return
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, TextDelta | ReasoningDelta):
                begun = True
            if begun:
                deadline = time.monotonic() + policy.token_timeout
            yield item

    def _next(self, deadline: float, stop: threading.Event) -> _Item:
        while not stop.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                return _Stopped.LATE
            try:
                # Short slices, because an Event cannot wake a queue and Windows' waits ignore Ctrl-C.
                return self._queue.get(timeout=min(left, 0.2))
            except queue.Empty:
                continue
        return _Stopped.CANCELLED

    def _timed_out(self, policy: CallPolicy, begun: bool) -> TimedOut:
        name = self._provider.display_name
        message = (
            f"{name} sent nothing more for {policy.token_timeout:g} s "
            "(LLMFLOWLAB_TOKEN_TIMEOUT sets this limit)."
            if begun
            else f"{name} sent no first token within {policy.first_token_timeout:g} s "
            "(LLMFLOWLAB_FIRST_TOKEN_TIMEOUT sets this limit)."
        )
        return TimedOut(
            message,
            provider=self._provider.name,
            model=self._provider.model,
            stage="between_tokens" if begun else "first_token",
        )

    def abandon(self) -> None:
        self._given_up.set()
