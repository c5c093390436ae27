"""The one door to a model: patience, pace, budget, stop and metering stand before every try.

Chat, evaluation, judges, embeddings and agents ask through an `Asker`. Each try is reserved at its
worst case, paced, sent, metered and settled; what failed tries cost is part of what is returned.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from llmflowlab.asking.attempt import Answer, Attempt
from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import (
    CallPolicy,
    WaitNotice,
    called,
    entered,
    tokens_used,
    whole,
)
from llmflowlab.asking.metering import Metering, Tokens, together
from llmflowlab.asking.pacing import Gate, Limiter
from llmflowlab.asking.pump import Sent, Texts
from llmflowlab.asking.stopping import OpenCall, Stopper
from llmflowlab.asking.waiting import THREADS, AnyOf, Loop, Stop, Waits, run
from llmflowlab.errors import Blocked, ProviderError
from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider, StreamEvent, Usage

__all__ = ["Asker", "Paid", "PaidEmbeddings", "PaidState"]

_LONG = 10_000
"""Characters from which on a prompt is counted in a thread."""

PaidState: TypeAlias = Literal["complete", "interrupted", "incomplete", "failed", "blocked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What came of a call, and what all of it took, failed tries included."""

    answer: Answer | None
    """None where nothing came of any try; `error` says why."""
    error: Exception | None = None
    """Why there is no answer, or none that is whole; None for one that was cut short by us.

    A `LabError`, or whatever else the provider raised.
    """
    prompt_tokens: int | None = None
    """Of the try that answered; where none did, what failed ones reported."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_estimated: bool = False
    """True where a count is ours, not the provider's."""
    cost: Decimal | None = Decimal(0)
    """USD of the try that answered, 0 where none did; None means unknown."""
    wasted: Decimal | None = Decimal(0)
    """USD of the tries that brought nothing; None means unknown."""
    tries: int = 0
    """Requests sent."""
    waited: float = 0.0
    """Seconds spent waiting between tries."""
    seconds: float = 0.0
    """From sending the try that answered to its end; 0 where none did."""
    prompt_cut: bool = False
    """Whether the server shortened the prompt, so that the answer is one to another question."""
    timed_out: float | None = None
    """Seconds after which the last try was given up as too slow; None where it was not."""
    refused_by_budget: bool = False
    """Whether a try was not sent because the money was not there."""
    violations: tuple[Mapping[str, Any], ...] = ()
    """What guardrails around the call found, in the prompt and then in the answer, as JSON values."""
    remarks: tuple[str, ...] = ()
    """What a person should know of what they let pass or masked."""
    sent: Request | None = None
    """What guardrails let through, masks included; None without guardrails, and where nothing was sent."""

    @property
    def state(self) -> PaidState:
        if isinstance(self.error, Blocked):
            return "blocked"
        return "failed" if self.answer is None else self.answer.state

    @property
    def spent(self) -> Decimal | None:
        """USD paid for all of it; None as soon as a part is unknown."""
        return plus(self.cost, self.wasted)

    @property
    def known(self) -> Decimal:
        """USD that are known to have been paid, which is what counts against a budget."""
        return (self.cost or Decimal(0)) + (self.wasted or Decimal(0))

    def whole(self) -> Answer:
        """Return an answer that is of use only whole.

        Raises:
            ProviderError: There is none, or it broke off.
            Interrupted: It was cut short.
            Exception: Whatever else the provider raised.
        """
        if self.answer is None:
            assert self.error is not None
            raise self.error
        return whole(self.answer)

    def after(self, earlier: Paid) -> Paid:
        """Return this with what was paid in vain before it: all of an earlier call for the same."""
        return replace(
            self,
            wasted=plus(self.wasted, earlier.spent),
            tries=self.tries + earlier.tries,
            waited=self.waited + earlier.waited,
        )

    def in_vain(self, error: Exception) -> Paid:
        """Return this as a call whose answer is of no use to anybody."""
        return replace(self, answer=None, error=error, cost=Decimal(0), wasted=self.spent)

    def __add__(self, other: Paid) -> Paid:
        """Return what two calls took that were both wanted; answer and error are the later one's."""
        return replace(
            other,
            answer=other.answer or self.answer,
            prompt_tokens=_known(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=_known(self.completion_tokens, other.completion_tokens),
            cached_tokens=together(self.cached_tokens, other.cached_tokens),
            reasoning_tokens=together(self.reasoning_tokens, other.reasoning_tokens),
            tokens_estimated=self.tokens_estimated or other.tokens_estimated,
            cost=plus(self.cost, other.cost),
            wasted=plus(self.wasted, other.wasted),
            tries=self.tries + other.tries,
            waited=self.waited + other.waited,
            seconds=self.seconds + other.seconds,
            violations=self.violations + other.violations,
            remarks=self.remarks + other.remarks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidEmbeddings:
    """Vectors of texts, and what they took."""

    vectors: tuple[tuple[float, ...], ...] | None
    """In the order of the texts; None where they are not to be had, and `paid` says why."""
    paid: Paid


class Asker:
    """One model, ready to be asked; safe to use from many threads and tasks at once.

    Args:
        provider: The model.
        policy: Patience of one call.
        metering: Counts, prices and charges.
        budget: Where the money comes from; without one nothing is limited.
        gate: The model's pace, shared with whoever else asks it.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        policy: CallPolicy,
        metering: Metering,
        budget: Budget | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.provider = provider
        self.policy = policy
        self.metering = metering
        self.budget = Budget(None) if budget is None else budget
        self.gate = gate

    @property
    def capped(self) -> bool:
        """Whether there is a limit to what may be spent."""
        return self.budget.cap is not None

    async def ask(
        self,
        request: Request,
        *,
        on_event: Callable[[StreamEvent], None] | None = None,
        on_wait: Callable[[WaitNotice], None] | None = None,
        on_try: Callable[[bool], None] | None = None,
        cancelled: threading.Event | None = None,
        stopper: Stopper | None = None,
    ) -> Paid:
        """Ask on the running event loop.

        A failure of the provider, whatever it is, is returned in `Paid.error` with what it cost; what
        a callback raises ends the call and passes through. Cancelling the task gives the call up.

        Args:
            request: What to send.
            on_event: Called on this loop (by `ask_blocking`: in this thread) with each event.
            on_wait: Likewise before each wait between tries.
            on_try: Likewise with True as a try is sent, and with False once it has ended.
            cancelled: Gives the call up when it is set; see `called`.
            stopper: Ends the call together with others; instead of `cancelled`.
        """
        return await self.asked(
            Loop(), request, on_event, on_wait, on_try, cancelled=cancelled, stopper=stopper
        )

    def ask_blocking(
        self,
        request: Request,
        *,
        on_event: Callable[[StreamEvent], None] | None = None,
        on_wait: Callable[[WaitNotice], None] | None = None,
        on_try: Callable[[bool], None] | None = None,
        cancelled: threading.Event | None = None,
        stopper: Stopper | None = None,
    ) -> Paid:
        """Ask as `ask` does, blocking this thread; Ctrl-C in it gives the call up."""
        return run(
            self.asked(
                THREADS, request, on_event, on_wait, on_try, cancelled=cancelled, stopper=stopper
            )
        )

    async def embed(
        self, texts: Sequence[str], *, stopper: Stopper | None = None
    ) -> PaidEmbeddings:
        """Turn texts, none of them empty, into vectors, on the running event loop."""
        return _embeddings(await self.asked(Loop(), Texts(tuple(texts)), stopper=stopper))

    def embed_blocking(
        self, texts: Sequence[str], *, stopper: Stopper | None = None
    ) -> PaidEmbeddings:
        """Turn texts into vectors as `embed` does, blocking this thread."""
        return _embeddings(run(self.asked(THREADS, Texts(tuple(texts)), stopper=stopper)))

    async def asked(
        self,
        waits: Waits,
        what: Sent,
        on_event: Callable[[StreamEvent], None] | None = None,
        on_wait: Callable[[WaitNotice], None] | None = None,
        on_try: Callable[[bool], None] | None = None,
        *,
        cancelled: threading.Event | None = None,
        stopper: Stopper | None = None,
    ) -> Paid:
        """Reserve, pace, try, meter, settle, and again: the whole of a paid call.

        What `ask`, `ask_blocking` and `embed` have in common: they differ in how they wait.
        """
        try:
            # Importing an SDK takes up to a second, which is no part of a model's time to answer.
            if not self.provider.prepared:
                await waits.apart(self.provider.prepare)
        except Exception as exc:  # noqa: BLE001 - an error of the provider's, told as all others are
            return Paid(answer=None, error=exc)
        with ExitStack() as stack:
            open_call = None if stopper is None else stack.enter_context(stopper.opened())
            door = _Door(self, what, open_call, stopper, on_try)
            stack.callback(door.close)

            def wait(notice: WaitNotice) -> None:
                if open_call is not None:
                    open_call.wait()
                if on_wait is not None:
                    on_wait(notice)

            answer: Answer | None = None
            error: Exception | None = None
            try:
                answer = await called(
                    self.provider,
                    what,
                    waits,
                    door,
                    policy=self.policy,
                    on_event=on_event,
                    on_wait=wait,
                    cancelled=cancelled if open_call is None else open_call.cancelled,
                )
            except Exception as exc:
                if not door.comes_from_provider(exc):
                    raise
                error = exc
            return door.settled(answer, error)


class _Door:
    """One call's way past its stop, its budget and its pace; keeps what its tries cost."""

    def __init__(
        self,
        asker: Asker,
        what: Sent,
        open_call: OpenCall | None,
        stopper: Stopper | None,
        on_try: Callable[[bool], None] | None,
    ) -> None:
        self._asker = asker
        self._what = what
        self._open = open_call
        self._stopped = None if stopper is None else stopper.event
        self._on_try = on_try
        self._worst: Decimal | None = None
        self._held: Decimal | None = None
        """Set aside for the try to come, or under way; None where nothing is."""
        self._wasted: Decimal | None = Decimal(0)
        self._refused = False
        self._last: Attempt | None = None

    async def enter(self, waits: Waits, stop: Stop) -> bool:
        halted = stop if self._stopped is None else AnyOf(stop, self._stopped)
        if halted.is_set():
            return False
        if self._held is None:
            # Counting the tokens of a long prompt would hold up everybody on the loop.
            apart = self._asker.capped and _length(self._what) >= _LONG
            worst = await waits.apart(self._reserved) if apart else self._reserved()
            budget = self._asker.budget
            if not await budget.reserving(waits, worst, halted):
                self._refused = not halted.is_set()
                return False
            self._held = worst
        if not await entered(self._asker.gate, waits, halted):
            return False
        if self._open is not None:
            self._open.waits = False
        if self._on_try is not None:
            self._on_try(True)
        return True

    def _reserved(self) -> Decimal:
        if not self._asker.capped:
            return Decimal(0)
        if self._worst is None:
            asker = self._asker
            self._worst = asker.metering.worst_case(asker.provider, self._what) or Decimal(0)
        return self._worst

    def leave(self, attempt: Attempt) -> None:
        asker, self._last = self._asker, attempt
        if asker.gate is not None:
            asker.gate.leave(attempt.failure, tokens_used(attempt.usage))
        error = attempt.bug or attempt.failure
        if attempt.in_vain and error is not None:
            cost = asker.metering.wasted(asker.provider, self._what, attempt.usage, error)
            self._wasted = plus(self._wasted, cost)
            # Before more is asked for: calls that hold money while they wait for it wait for ever.
            self._settle(cost)
        if self._on_try is not None:
            self._on_try(False)

    def _settle(self, cost: Decimal | None) -> None:
        if self._held is not None:
            self._asker.budget.settle(self._held, cost or Decimal(0))
            self._held = None

    def comes_from_provider(self, exc: Exception) -> bool:
        """Tell a failure of the provider from what a callback raised."""
        return self._last is not None and (exc is self._last.failure or exc is self._last.bug)

    def settled(self, answer: Answer | None, error: Exception | None) -> Paid:
        """Return what came of it all, once what was set aside is settled."""
        last = self._last
        if answer is None or last is None or last.in_vain:
            failed = _reported(answer, error)
            return self._paid(
                answer,
                error,
                prompt_tokens=failed.prompt_tokens,
                completion_tokens=failed.completion_tokens,
            )
        tokens, cost = self._metered(answer)
        self._settle(cost)
        return self._paid(
            answer,
            error,
            prompt_tokens=tokens.prompt,
            completion_tokens=tokens.completion,
            cached_tokens=tokens.cached,
            reasoning_tokens=tokens.reasoning,
            tokens_estimated=tokens.estimated,
            cost=cost,
            prompt_cut=self._asker.metering.prompt_cut(self._asker.provider, self._what, answer),
            seconds=answer.inference_time,
        )

    def _paid(self, answer: Answer | None, error: Exception | None, **of_answer: Any) -> Paid:
        last = self._last
        return Paid(
            answer=answer,
            error=error if answer is None else answer.error,
            wasted=self._wasted,
            tries=0 if last is None else last.number,
            waited=_waited(answer, error),
            timed_out=None if last is None else last.timed_out,
            refused_by_budget=self._refused,
            **of_answer,
        )

    def _metered(self, answer: Answer) -> tuple[Tokens, Decimal | None]:
        metering, provider = self._asker.metering, self._asker.provider
        tokens = metering.tokens(provider, self._what, answer)
        return tokens, metering.cost(provider, self._what, answer, tokens)

    def close(self) -> None:
        """Give back what is still set aside; a try that somebody else ended is charged first."""
        if self._held is not None and self._last is not None and not self._last.in_vain:
            self._last.interrupt()
            _, cost = self._metered(self._last.answer(Usage(), 0.0))
            self._settle(cost)
        self._settle(None)
        limits, gate = self._asker.provider.limits, self._asker.gate
        if limits is not None and limits.pause > 0 and isinstance(gate, Limiter):
            gate.pause(limits.pause)


def _length(what: Sent) -> int:
    """Return the characters of what is sent."""
    if isinstance(what, Request):
        return sum(len(message.content) for message in what.messages)
    return sum(map(len, what.texts))


def _reported(answer: Answer | None, error: Exception | None) -> Usage:
    if answer is not None:
        return answer.failed_usage
    if isinstance(error, ProviderError):
        return Usage(prompt_tokens=error.prompt_tokens, completion_tokens=error.completion_tokens)
    return Usage()


def _waited(answer: Answer | None, error: Exception | None) -> float:
    if answer is not None:
        return answer.waited
    return error.waited if isinstance(error, ProviderError) else 0.0


def _embeddings(paid: Paid) -> PaidEmbeddings:
    whole_ = paid.answer is not None and paid.answer.state == "complete"
    return PaidEmbeddings(
        vectors=paid.answer.vectors if paid.answer and whole_ else None, paid=paid
    )


def plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Add two amounts; unknown where one of them is."""
    return None if one is None or other is None else one + other


def _known(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
