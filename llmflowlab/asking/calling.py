"""One call of a model, from request to finished answer: deadlines, retries, timing, interruption.

`called` is the call itself, a coroutine that waits as it is told to; what a call costs and who pays
stands before each of its tries as a `Passage` (see `paid.py`, through which every room asks). One try
is an `Attempt`; `pump.py` reads its stream beside whoever waits.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, Protocol

from llmflowlab.asking.attempt import Answer, AnswerState, Attempt
from llmflowlab.asking.pacing import Gate, Limiter
from llmflowlab.asking.pump import Sent
from llmflowlab.asking.waiting import THREADS, Cancellation, Stop, Waits, run
from llmflowlab.errors import Interrupted, ProviderError
from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider, StreamEvent, Usage
from llmflowlab.settings import Settings

__all__ = [
    "Answer",
    "AnswerState",
    "CallPolicy",
    "Cancellation",
    "Gated",
    "TryDoor",
    "WaitNotice",
    "call",
    "called",
    "complete",
    "entered",
    "policy_from",
    "tokens_used",
    "whole",
]

_JITTER = secrets.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """How patient a call is; all times in seconds."""

    first_token_timeout: float = 120.0
    token_timeout: float = 60.0
    answer_timeout: float = 3600.0
    max_tries: int = 5
    max_retry_seconds: float = 120.0
    """A wait that would end later than this after the first try was sent is not begun."""
    backoff_base: float = 0.5
    """Longest wait before the second try; it doubles with each further one."""
    backoff_max: float = 30.0


def policy_from(settings: Settings) -> CallPolicy:
    """Return the patience that the settings ask for."""
    return CallPolicy(
        first_token_timeout=settings.first_token_timeout,
        token_timeout=settings.token_timeout,
        answer_timeout=settings.answer_timeout,
        max_tries=settings.max_tries,
        max_retry_seconds=settings.max_retry_seconds,
    )


@dataclass(frozen=True, slots=True)
class WaitNotice:
    """What is being waited for before the next try."""

    error: ProviderError
    seconds: float
    next_try: int
    max_tries: int


class TryDoor(Protocol):
    """What a call passes before each try, and what is told how the try ended."""

    async def enter(self, waits: Waits, stop: Stop) -> bool:
        """Wait for leave to send; False where there is none to be had."""

    def leave(self, attempt: Attempt) -> None:
        """Take note of a try, whatever became of it."""


class Gated:
    """A passage that asks a gate, where there is one, and nothing else."""

    def __init__(self, gate: Gate | None) -> None:
        self._gate = gate

    async def enter(self, waits: Waits, stop: Stop) -> bool:
        return await entered(self._gate, waits, stop)

    def leave(self, attempt: Attempt) -> None:
        if self._gate is not None:
            self._gate.leave(attempt.failure, tokens_used(attempt.usage))


async def entered(gate: Gate | None, waits: Waits, stop: Stop) -> bool:
    """Pass a gate; one that only threads can wait for is waited for in a thread."""
    if gate is None:
        return True
    if isinstance(gate, Limiter):
        return await gate.entering(waits, stop)
    return await waits.apart(partial(gate.enter, stop))


async def called(
    provider: Provider,
    what: Sent,
    waits: Waits,
    passage: TryDoor,
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
        what: What to send.
        waits: How to wait: blocking this thread, or on its event loop.
        passage: Passed before each try, and told how the try ended.
        policy: Deadlines and limits on tries.
        on_event: Called in this thread with each event as it comes; what it raises ends the call
            and passes through.
        on_wait: Called in this thread before each wait between tries.
        cancelled: Ends the call when it is set, also during a wait: at once where it is a
            `Cancellation`, within a tenth of a second where it is a plain event.

    Raises:
        ProviderError: Nothing of an answer came, and the tries are used up, the failure is final or
            the wait asked for is too long. Carries `tries`, `waited` and the tokens spent.
        ConfigurationError: The provider cannot be used as things are.
    """
    stop = Cancellation() if cancelled is None else cancelled
    started: float | None = None
    attempt = Attempt(0)
    failed_usage = Usage()
    waited = 0.0
    try:
        while not stop.is_set() and await passage.enter(waits, stop):
            started = time.monotonic() if started is None else started
            attempt = Attempt(attempt.number + 1)
            try:
                error = await attempt.run(
                    provider,
                    what,
                    waits,
                    first_token_timeout=policy.first_token_timeout,
                    token_timeout=policy.token_timeout,
                    answer_timeout=policy.answer_timeout,
                    on_event=on_event,
                    stop=stop,
                )
            finally:
                passage.leave(attempt)
            if error is None:
                return attempt.answer(failed_usage, waited)
            failed_usage += attempt.usage
            attempt.usage = Usage()
            seconds = _wait_before_next(error, attempt.number, policy)
            elapsed = time.monotonic() - started
            if seconds is None or elapsed + seconds > policy.max_retry_seconds:
                error.tries, error.waited = attempt.number, waited
                error.prompt_tokens = failed_usage.prompt_tokens
                error.completion_tokens = failed_usage.completion_tokens
                _give_up(error, provider.display_name, seconds, attempt.number, policy)
            if on_wait is not None:
                on_wait(WaitNotice(error, seconds, attempt.number + 1, policy.max_tries))
            waited += await waits.pause(stop, seconds)
    except KeyboardInterrupt:
        # Told to the caller by the answer's state: what came so far must not be lost.
        pass
    attempt.interrupt()
    return attempt.answer(failed_usage, waited)


def call(
    provider: Provider,
    request: Request,
    *,
    policy: CallPolicy,
    on_event: Callable[[StreamEvent], None] | None = None,
    on_wait: Callable[[WaitNotice], None] | None = None,
    cancelled: threading.Event | None = None,
    gate: Gate | None = None,
) -> Answer:
    """Call a model as `called` does, blocking this thread, with nobody to count what it costs.

    Args:
        provider: The model.
        request: What to send.
        policy: Deadlines and limits on tries.
        on_event: As in `called`.
        on_wait: As in `called`.
        cancelled: As in `called`.
        gate: Asked for leave before each try, and told how the try ended.

    Raises:
        ProviderError: As `called`.
        ConfigurationError: As `called`.
    """
    # Importing an SDK takes up to a second, which is no part of a model's time to answer.
    provider.prepare()
    return run(
        called(
            provider,
            request,
            THREADS,
            Gated(gate),
            policy=policy,
            on_event=on_event,
            on_wait=on_wait,
            cancelled=cancelled,
        )
    )


def complete(
    provider: Provider,
    request: Request,
    *,
    policy: CallPolicy,
    on_wait: Callable[[WaitNotice], None] | None = None,
    cancelled: threading.Event | None = None,
    gate: Gate | None = None,
) -> Answer:
    """Call a model for an answer that is of use only whole: a judge's verdict, say.

    Raises:
        ProviderError: As `call`, and also where the answer broke off.
        Interrupted: The call was cancelled, or Ctrl-C was pressed in this thread.
    """
    return whole(
        call(provider, request, policy=policy, on_wait=on_wait, cancelled=cancelled, gate=gate)
    )


def whole(answer: Answer) -> Answer:
    """Return an answer that ended as it was meant to.

    Raises:
        ProviderError: It broke off.
        Interrupted: It was cut short.
    """
    if answer.error is not None:
        raise answer.error
    if answer.state == "interrupted":
        raise Interrupted
    return answer


def _wait_before_next(error: ProviderError, number: int, policy: CallPolicy) -> float | None:
    """Return the seconds to wait after failed try `number`; None where no other try is worth it."""
    if not error.retryable or number >= policy.max_tries:
        return None
    # Half of it at random: calls that failed together must not come back together.
    longest = min(policy.backoff_max, policy.backoff_base * 2.0 ** (number - 1))
    backoff = _JITTER.uniform(longest / 2, longest)
    return max(backoff, error.retry_after or 0.0)


def _give_up(
    error: ProviderError, name: str, seconds: float | None, number: int, policy: CallPolicy
) -> NoReturn:
    """Raise the last error, saying what was tried and how long the provider asks to wait."""
    asked = error.retry_after
    more = []
    if asked is not None and seconds is not None:
        more.append(
            f"{name} asks to wait {asked:.0f} s, and a call may spend "
            f"{policy.max_retry_seconds:g} s on tries (LLMFLOWLAB_MAX_RETRY_SECONDS sets this limit)."
        )
    elif asked is not None:
        more.append(f"{name} asks to wait {asked:.0f} s.")
    if number > 1:
        more.append(f"Tried {number} times.")
    error.message = " ".join([error.message, *more])
    error.args = (error.message,)
    raise error


def tokens_used(usage: Usage) -> int | None:
    """Return a try's tokens in all, None where the provider said nothing of them."""
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return None
    return (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
