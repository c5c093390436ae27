"""One try of a call: what came of it, and how long it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmflowlab.asking.pump import Event, Pump, Sent
from llmflowlab.asking.waiting import Waits
from llmflowlab.errors import ProviderError, StreamInterrupted, TimedOut
from llmflowlab.providers.base import (
    Embeddings,
    Finished,
    FinishReason,
    Provider,
    ReasoningDelta,
    Rethought,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)

__all__ = ["Answer", "AnswerState", "Attempt"]

AnswerState: TypeAlias = Literal["complete", "interrupted", "incomplete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished call: the same value whether it was streamed to a person or not."""

    text: str
    """May be empty: with `finish_reason` "length", reasoning used up the tokens allowed."""
    reasoning: str = ""
    vectors: tuple[tuple[float, ...], ...] = ()
    """Of a call for embeddings, in the order of its texts."""
    usage: Usage = Usage()
    """Of the try that answered."""
    failed_usage: Usage = Usage()
    """What earlier tries, which brought no answer, reported all the same; not part of `usage`."""
    finish_reason: FinishReason | None = None
    """None where the answer did not end by itself."""
    model_version: str | None = None
    fingerprint: str | None = None
    token_chances: tuple[tuple[str, float], ...] = ()
    windows: tuple[int, ...] = ()
    """These three as in `Finished`."""
    state: AnswerState = "complete"
    """`interrupted` by the person, `incomplete` where the provider broke off."""
    error: ProviderError | None = None
    """Why an incomplete answer broke off."""
    time_to_first_token: float | None = None
    """Seconds from sending the last try to its first piece of text or reasoning."""
    inference_time: float = 0.0
    """Seconds from sending the last try to the arrival of its end.

    Neither waits between tries nor the time `on_event` takes are in it, nor `load_seconds`.
    """
    load_seconds: float = 0.0
    """Seconds the server spent on loading the model first; no part of the two times above."""
    tries: int = 1
    """Requests sent; 0 where the call was cancelled before the first."""
    waited: float = 0.0
    """Seconds spent waiting between tries."""


class Attempt:
    """One try: gathers events until the stream ends, breaks, times out or is cancelled."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.usage = Usage()
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._vectors: tuple[tuple[float, ...], ...] = ()
        self._finished: Finished | None = None
        self._state: AnswerState = "complete"
        self.failure: ProviderError | None = None
        """Why nothing came, or why the answer broke off, in the provider's own class of error."""
        self.bug: BaseException | None = None
        """What the provider raised that is no `ProviderError`."""
        self._sent = time.monotonic()
        self._first: float | None = None
        self._ended: float | None = None

    @property
    def in_vain(self) -> bool:
        """Whether it failed before anything of an answer came."""
        return self.bug is not None or (self.failure is not None and self._first is None)

    @property
    def timed_out(self) -> float | None:
        """Seconds after which it was given up as too slow; None where it was not."""
        slow = isinstance(self.failure, TimedOut) and self.failure.stage != "connect"
        return self._ended - self._sent if slow and self._ended is not None else None

    async def run(
        self,
        provider: Provider,
        what: Sent,
        waits: Waits,
        *,
        first_token_timeout: float,
        token_timeout: float,
        answer_timeout: float,
        on_event: Callable[[StreamEvent], None] | None,
        stop: threading.Event,
    ) -> ProviderError | None:
        """Read one answer; return the failure where nothing of it came."""
        self._sent = time.monotonic()
        with Pump(provider, what, waits) as pump:
            stream = pump.arrivals(
                first_token_timeout=first_token_timeout,
                token_timeout=token_timeout,
                answer_timeout=answer_timeout,
                stop=stop,
            )
            async with aclosing(stream):
                while True:
                    try:
                        arrival = await anext(stream)
                    except StopAsyncIteration:
                        break
                    except Exception as exc:
                        # Noted, so that nobody takes what the consumer raises for the provider's.
                        self.bug = exc
                        raise
                    self._ended = arrival.at
                    if isinstance(arrival.what, ProviderError):
                        return self._broke(arrival.what)
                    self._take(arrival.what, arrival.at)
                    if on_event is not None and not isinstance(arrival.what, Embeddings):
                        on_event(arrival.what)
                    if isinstance(arrival.what, Finished):
                        return None
        self.interrupt()
        return None

    def _broke(self, error: ProviderError) -> ProviderError | None:
        self.failure = error
        if self._first is None:
            return error
        self._state = "incomplete"
        return None

    def _take(self, event: Event, at: float) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
                self._mark_first(text, at)
            case ReasoningDelta(text):
                self._reasoning.append(text)
                self._mark_first(text, at)
            case Rethought():
                self._reasoning += self._text
                self._text.clear()
            case UsageReport(usage):
                self.usage = usage
            case Embeddings(vectors):
                self._vectors = vectors
                self._first = at
            case Finished():
                self._finished = event

    def _mark_first(self, text: str, at: float) -> None:
        if self._first is None and text:
            self._first = at

    def interrupt(self) -> None:
        """Mark the answer as cut short by the person, unless its end was already there."""
        if self._finished is None and self._state == "complete":
            self._state = "interrupted"
            if self.failure is None:
                self._ended = time.monotonic()

    def _interruption(self) -> ProviderError | None:
        error = self.failure
        if error is None or isinstance(error, StreamInterrupted):
            return error
        broken = StreamInterrupted(
            f"The answer broke off: {error.message}",
            provider=error.provider,
            model=error.model,
            status=error.status,
            retry_after=error.retry_after,
        )
        broken.__cause__ = error
        return broken

    def answer(self, failed_usage: Usage, waited: float) -> Answer:
        ended = self._sent if self._ended is None else self._ended
        # What the server says by its own clock is never more than passed here before the first piece.
        begun = ended if self._first is None else self._first
        loading = self._finished.load_seconds if self._finished else 0.0
        loading = max(min(loading, begun - self._sent), 0.0)
        sent = self._sent + loading
        return Answer(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            vectors=self._vectors,
            usage=self.usage,
            failed_usage=failed_usage,
            finish_reason=self._finished.reason if self._finished else None,
            model_version=self._finished.model_version if self._finished else None,
            fingerprint=self._finished.fingerprint if self._finished else None,
            token_chances=self._finished.token_chances if self._finished else (),
            windows=self._finished.windows if self._finished else (),
            state=self._state,
            error=self._interruption() if self._state == "incomplete" else None,
            time_to_first_token=None if self._first is None else self._first - sent,
            inference_time=ended - sent,
            load_seconds=loading,
            tries=self.number,
            waited=waited,
        )
