"""A provider that answers from a script: for tests of everything above the providers.

It never touches the network, remembers every request, and can play every way an answer goes wrong.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from llmflowlab.messages import Request
from llmflowlab.providers.base import (
    Finished,
    ModelInfo,
    Provider,
    Readiness,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.settings import Settings

__all__ = ["Script", "ScriptExhausted", "ScriptedProvider", "Step", "text_events"]

Step: TypeAlias = "StreamEvent | BaseException | Callable[[], None]"
"""One step of an answer: an event, an exception to raise there, or something to do there."""
Script: TypeAlias = "str | BaseException | Sequence[Step] | Callable[[Request], Script]"
"""One answer: text, a failure, steps, or a function of the request that returns one of these."""


class ScriptExhausted(BaseException):
    """More was asked than the script answers: a mistake of the test's, which nothing may handle."""


class ScriptedProvider(Provider):
    """Answers requests in turn from a queue; safe to call from several threads at once.

    Args:
        answers: The first answers; `queue` adds more. Text is streamed word by word, with usage that
            counts words as tokens, and finishes with "stop".
        default: Answers every request that comes when the queue is empty.
        model: The name in its reference, `scripted:<model>`.
        settings: The configuration; an empty one by default.
        window: What `context_window` returns.
        latency: Seconds before the first step of each answer.
        sleep: Waits out `latency`.
    """

    name = "scripted"
    display_name = "Scripted"
    supplier = "LLMFlowLab"
    default_model = "model"
    free = True

    def __init__(
        self,
        answers: Iterable[Script] = (),
        *,
        default: Script | None = None,
        model: str = "model",
        settings: Settings | None = None,
        window: int | None = None,
        latency: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(model, settings or Settings(home=Path.cwd(), environment={}))
        self.requests: list[Request] = []
        """Every request, in the order of arrival."""
        self.closed = False
        self._answers = deque(answers)
        self._default = default
        self._window = window
        self._latency = latency
        self._sleep = sleep
        self._lock = threading.Lock()

    def queue(self, *answers: Script) -> None:
        """Add answers to the end of the script."""
        with self._lock:
            self._answers.extend(answers)

    @property
    def unanswered(self) -> int:
        """Answers that nobody has asked for yet."""
        return len(self._answers)

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        return Readiness(True, "answers from a script")

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        """Play the next answer.

        Raises:
            ScriptExhausted: The queue is empty and there is no default.
        """
        script: Script | None
        with self._lock:
            self.requests.append(request)
            script = self._answers.popleft() if self._answers else self._default
            number = len(self.requests)
        if script is None:
            raise ScriptExhausted(f"The script has no answer to request {number}.")
        if self._latency > 0:
            self._sleep(self._latency)
        while callable(script):
            script = script(request)
        if isinstance(script, BaseException):
            raise script
        steps = text_events(script, request, self.model) if isinstance(script, str) else script
        for step in steps:
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                step()
            else:
                yield step

    def list_models(self) -> list[ModelInfo]:
        return [ModelInfo(self.model, self._window, "answers from a script")]

    def context_window(self) -> int | None:
        return self._window

    def close(self) -> None:
        self.closed = True


def text_events(text: str, request: Request, model_version: str | None = None) -> list[StreamEvent]:
    """Return the events of an ordinary answer: its words, usage in words, the end."""
    sent = [request.system or "", *(message.content for message in request.messages)]
    pieces = re.findall(r"\s*\S+\s*", text) or ([text] if text else [])
    usage = Usage(
        prompt_tokens=sum(len(part.split()) for part in sent),
        completion_tokens=len(text.split()),
    )
    deltas: list[StreamEvent] = [TextDelta(piece) for piece in pieces]
    return [*deltas, UsageReport(usage), Finished("stop", model_version)]
