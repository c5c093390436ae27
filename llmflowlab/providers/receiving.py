"""The outer boundary of every provider: what all streams have in common, done once.

Behind it a stream's texts are storable, thinking is apart from the answer, usage is what can be right,
and every failure is one of the lab's errors, whatever a family or its SDK let through.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import replace
from typing import Any

from llmflowlab.errors import LabError, StreamInterrupted
from llmflowlab.messages import Request
from llmflowlab.providers.arrival import name, storable, usage
from llmflowlab.providers.base import (
    Finished,
    Provider,
    ReasoningDelta,
    Rethought,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.event_loop import OnLoop
from llmflowlab.providers.thinking import ThinkingFilter
from llmflowlab.providers.transport import unreadable

__all__ = ["events_of", "events_on_loop"]

_LONGEST = 8_000_000
"""Characters of an answer with its thinking; no model writes as many."""


def events_of(provider: Provider, request: Request) -> Generator[StreamEvent, None, None]:
    """Send a request and yield the answer's events; closing it closes the connection.

    Raises:
        LabError: Any failure. What is no error of the lab's comes out as `BadAnswer`, or as
            `StreamInterrupted` where something of the answer had come.
    """
    answer = _Answer()
    stream: Iterator[StreamEvent] = iter(())
    try:
        stream = provider.stream(request)
        for event in stream:
            yield from answer.take(event)
            answer.bound(provider)
        yield from answer.rest()
    except LabError:
        # What was held back had arrived.
        yield from answer.rest()
        raise
    except Exception as exc:
        yield from answer.rest()
        raise unreadable(exc, provider=provider, begun=answer.begun) from exc
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


async def events_on_loop(
    provider: OnLoop[Any], request: Request
) -> AsyncGenerator[StreamEvent, None]:
    """Do what `events_of` does, on the event loop."""
    answer = _Answer()
    stream = provider.astream(request)
    try:
        async for event in stream:
            for seen in answer.take(event):
                yield seen
            answer.bound(provider)
        for seen in answer.rest():
            yield seen
    except LabError:
        for seen in answer.rest():
            yield seen
        raise
    except Exception as exc:
        for seen in answer.rest():
            yield seen
        raise unreadable(exc, provider=provider, begun=answer.begun) from exc
    finally:
        await stream.aclose()


class _Answer:
    """One answer on its way."""

    def __init__(self) -> None:
        self.begun = False
        """Whether a piece of text or thinking came."""
        self.length = 0
        """Characters of text and thinking that came."""
        self._filter = ThinkingFilter()
        self._text, self._thought = _Whole(), _Whole()
        self._count = _Count()

    def take(self, event: StreamEvent) -> Iterator[StreamEvent]:
        match event:
            case TextDelta(text):
                self.length += len(text)
                yield from self._noted(self._filter.feed(self._text.take(text)))
            case ReasoningDelta(text):
                self.length += len(text)
                if whole := self._thought.take(text):
                    yield from self._noted(iter((ReasoningDelta(whole),)))
            case UsageReport(counted):
                yield from self._count.take(counted, begun=self.begun)
            case Finished():
                yield from self.rest()
                yield replace(event, model_version=name(event.model_version))
            case Rethought():
                yield event

    def bound(self, provider: Provider) -> None:
        """See that it is no longer than any model writes.

        Raises:
            StreamInterrupted: It is.
        """
        if self.length > _LONGEST:
            raise StreamInterrupted(
                f"{provider.display_name} wrote more than {_LONGEST:,} characters without an end; "
                "set a limit (max_tokens).",
                provider=provider.name,
                model=provider.model,
            )

    def rest(self) -> Iterator[StreamEvent]:
        """Yield what was held back for what might have followed."""
        if thought := self._thought.end():
            yield from self._noted(iter((ReasoningDelta(thought),)))
        yield from self._noted(self._filter.feed(self._text.end()))
        yield from self._noted(self._filter.end())
        yield from self._count.corrected(begun=self.begun)

    def _noted(self, events: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
        for event in events:
            self.begun = True
            yield event


class _Whole:
    """Texts in pieces that may be cut in the middle of a character."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, text: str) -> str:
        if self._half:
            text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return storable(text)

    def end(self) -> str:
        half, self._half = self._half, ""
        return storable(half)


class _Count:
    """Usage reports of one answer: each replaces the one before, but the prompt stays what it was."""

    def __init__(self) -> None:
        self._sent = Usage()
        self._told: Usage | None = None

    def take(self, new: Usage, *, begun: bool) -> Iterator[UsageReport]:
        old = self._sent
        clean = usage(
            new.prompt_tokens, new.completion_tokens, new.cached_tokens, new.reasoning_tokens
        )
        prompt = _later(clean.prompt_tokens, old.prompt_tokens)
        cached = _later(clean.cached_tokens, old.cached_tokens)
        if prompt is not None and cached is not None and prompt < cached:
            # Some servers leave the cached part out of later reports.
            prompt = old.prompt_tokens
        # These two grow, so that an earlier count is none of the whole.
        self._sent = usage(prompt, clean.completion_tokens, cached, clean.reasoning_tokens)
        yield from self._tell(_believed(self._sent, begun=begun))

    def corrected(self, *, begun: bool) -> Iterator[UsageReport]:
        """Yield the report again where text that came after it shows that it cannot be right."""
        if self._told is not None:
            believed = _believed(self._sent, begun=begun)
            if believed != self._told:
                yield from self._tell(believed)

    def _tell(self, counted: Usage) -> Iterator[UsageReport]:
        self._told = counted
        yield UsageReport(counted)


def _later(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


def _believed(counted: Usage, *, begun: bool) -> Usage:
    """Return a usage without zeros that stand beside a text: nobody answered with no tokens at all."""
    if not begun:
        return counted
    return Usage(
        prompt_tokens=counted.prompt_tokens or None,
        completion_tokens=counted.completion_tokens or None,
        cached_tokens=counted.cached_tokens if counted.prompt_tokens else None,
        reasoning_tokens=counted.reasoning_tokens if counted.completion_tokens else None,
    )
