"""Reads a provider's stream beside whoever waits for it, so that every deadline and Ctrl-C holds.

What comes over the network is read on the event loop of all calls, and what is given up is closed at
once. What is made in this process is made in a thread of its own, which may sit where no signal ends it:
given up, it ends as soon as it moves again, and as a daemon it never holds the program's exit up. The
caller waits on an inbox, which signals, deadlines and a `Cancellation` do end.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Any, TypeAlias

from llmflowlab.asking.waiting import THREADS, Cancellation, Waits, waking
from llmflowlab.errors import BadAnswer, ProviderError, StreamInterrupted, TimedOut
from llmflowlab.messages import Request
from llmflowlab.providers.base import (
    Embeddings,
    Finished,
    Provider,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    UsageReport,
)
from llmflowlab.providers.event_loop import OnLoop, in_background
from llmflowlab.providers.receiving import events_of, events_on_loop

__all__ = ["Arrival", "Event", "Pump", "Sent", "Texts"]


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts to be turned into vectors, none of them empty."""

    texts: tuple[str, ...]


Sent: TypeAlias = Request | Texts
"""What a call sends."""
Event: TypeAlias = StreamEvent | Embeddings
"""What comes of it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came, and when."""

    at: float
    """`time.monotonic` at which the reading thread had it."""
    what: Event | ProviderError


_STANDSTILL = 2.0
"""Seconds by which a wait that runs over tells that nothing ran here, and that are granted then."""


class _Signal(Enum):
    ENDED = auto()
    """The stream ended without a word of why."""
    LATE = auto()
    WOKEN = auto()


_Item: TypeAlias = "Event | BaseException | _Signal"


class Pump:
    """One request's stream, from sending it to its end; a context manager that gives it up."""

    def __init__(self, provider: Provider, what: Sent, waits: Waits = THREADS) -> None:
        self._provider = provider
        self._inbox = waits.inbox()
        self._what = what
        self._given_up = threading.Event()
        self._finished = False
        self._cancel: Callable[[], object] | None = None

    def __enter__(self) -> Pump:
        if isinstance(self._provider, OnLoop):
            self._cancel = in_background(self._read_on_loop(self._provider, self._what))
        else:
            name = f"stream-{self._provider.name}"
            threading.Thread(target=self._read, args=(self._what,), name=name, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._given_up.set()
        # After `Finished` the stream is let run out, so that its connection can be reused.
        if self._cancel is not None and not self._finished:
            self._cancel()

    async def arrivals(
        self,
        *,
        first_token_timeout: float,
        token_timeout: float,
        answer_timeout: float,
        stop: threading.Event,
    ) -> AsyncGenerator[Arrival, None]:
        """Yield what comes, until `Finished`, a failure (yielded too), or `stop`.

        Args:
            first_token_timeout: Seconds from now to the first piece of text or reasoning.
            token_timeout: Seconds that may pass without an event after that. Time the consumer
                takes between two events is not counted.
            answer_timeout: Seconds from now to the end.
            stop: Ends the iteration without a further arrival.

        Raises:
            BaseException: Whatever the provider raised that is not a `ProviderError`.
        """
        end = time.monotonic() + answer_timeout
        deadline = time.monotonic() + first_token_timeout
        begun = False
        with waking(stop, self._wake):
            while True:
                item = await self._next(min(deadline, end), stop)
                if item is None:
                    return
                at, what = item
                if what is _Signal.ENDED:
                    what = self._unfinished(begun)
                elif at >= end and not isinstance(what, Finished | BaseException):
                    # However much still comes.
                    what = self._endless(answer_timeout, begun)
                elif isinstance(what, _Signal):
                    what = self._timed_out(token_timeout if begun else first_token_timeout, begun)
                elif isinstance(what, BaseException) and not isinstance(what, ProviderError):
                    raise what
                yield Arrival(at, what)
                if isinstance(what, Finished | ProviderError):
                    # What goes wrong after `Finished` (a reset while closing, say) changes nothing.
                    return
                begun = begun or _is_piece(what)
                if begun:
                    deadline = time.monotonic() + token_timeout

    async def _next(self, deadline: float, stop: threading.Event) -> tuple[float, _Item] | None:
        """Return the next item, a timeout included; None where `stop` was set."""
        polled, stood_still = not isinstance(stop, Cancellation), False
        while not stop.is_set():
            left = max(deadline - time.monotonic(), 0.0)
            item: tuple[float, _Item] | None = await self._inbox.get(left, polled=polled)
            if item is None:
                now = time.monotonic()
                if now >= deadline + _STANDSTILL and not stood_still:
                    # This process was stopped, by SIGSTOP say: what came meanwhile is yet to be read.
                    deadline, stood_still = now + _STANDSTILL, True
                elif now >= deadline:
                    return now, _Signal.LATE
            elif item[1] is not _Signal.WOKEN:
                return item
        return None

    def _timed_out(self, seconds: float, begun: bool) -> TimedOut:
        name = self._provider.display_name
        message = (
            f"{name} sent nothing more for {seconds:g} s "
            "(LLMFLOWLAB_TOKEN_TIMEOUT sets this limit)."
            if begun
            else f"{name} sent no first token within {seconds:g} s "
            "(LLMFLOWLAB_FIRST_TOKEN_TIMEOUT sets this limit)."
        )
        return self._late(message, begun)

    def _endless(self, seconds: float, begun: bool) -> TimedOut:
        return self._late(
            f"{self._provider.display_name}'s answer did not end within {seconds:g} s "
            "(LLMFLOWLAB_ANSWER_TIMEOUT sets this limit).",
            begun,
        )

    def _late(self, message: str, begun: bool) -> TimedOut:
        return TimedOut(
            message,
            provider=self._provider.name,
            model=self._provider.model,
            stage="between_tokens" if begun else "first_token",
        )

    def _unfinished(self, begun: bool) -> ProviderError:
        kind = StreamInterrupted if begun else BadAnswer
        return kind(
            f"{self._provider.display_name} ended its answer without saying that it was finished.",
            provider=self._provider.name,
            model=self._provider.model,
        )

    def _read(self, what: Sent) -> None:
        end: _Item = _Signal.ENDED
        try:
            # A stream is lazy: one given up before this point has sent nothing.
            stream: Generator[Event, None, None] = (
                events_of(self._provider, what)
                if isinstance(what, Request)
                else _embedded(self._provider, what)
            )
            try:
                if self._given_up.is_set():
                    return
                first = True
                for event in stream:
                    self._inbox.put((time.monotonic(), event))
                    if first and isinstance(event, TextDelta | ReasoningDelta):
                        # Lets the waiting thread run now: busy with what else is there already, this
                        # one would keep the interpreter's lock, and the first token, for milliseconds.
                        time.sleep(0)
                        first = False
                    # After `Finished` the stream is let run out, so that its connection can be reused.
                    if self._given_up.is_set() and not isinstance(event, Finished):
                        return
            finally:
                stream.close()
        except BaseException as exc:  # noqa: BLE001
            # Not handled here: carried over to the caller that waits, and raised there.
            end = exc
        self._inbox.put((time.monotonic(), end))

    async def _read_on_loop(self, provider: OnLoop[Any], what: Sent) -> None:
        end: _Item = _Signal.ENDED
        try:
            stream: AsyncGenerator[Event, None] = (
                events_on_loop(provider, what)
                if isinstance(what, Request)
                else _embedded_on_loop(provider, what)
            )
            async with aclosing(stream):
                async for event in stream:
                    self._finished = self._finished or isinstance(event, Finished)
                    self._inbox.put((time.monotonic(), event))
        except asyncio.CancelledError:
            # Given up: nobody waits any more.
            raise
        except BaseException as exc:  # noqa: BLE001
            # Not handled here: carried over to the caller that waits, and raised there.
            end = exc
        self._inbox.put((time.monotonic(), end))

    def _wake(self) -> None:
        self._inbox.put((time.monotonic(), _Signal.WOKEN))


def _embedded(provider: Provider, what: Texts) -> Generator[Event, None, None]:
    yield from _checked(provider, what, provider.embed(what.texts))


async def _embedded_on_loop(provider: OnLoop[Any], what: Texts) -> AsyncGenerator[Event, None]:
    for event in _checked(provider, what, await provider.aembed(what.texts)):
        yield event


def _checked(provider: Provider, what: Texts, found: Embeddings) -> Iterator[Event]:
    yield UsageReport(found.usage)
    if len(found.vectors) != len(what.texts) or not all(found.vectors):
        raise BadAnswer(
            f"{provider.reference} returned {len(found.vectors)} vectors for "
            f"{len(what.texts)} texts.",
            provider=provider.name,
            model=provider.model,
        )
    yield found
    yield Finished("stop", found.model_version)


def _is_piece(what: Event) -> bool:
    return isinstance(what, Embeddings) or (
        isinstance(what, TextDelta | ReasoningDelta) and bool(what.text)
    )
