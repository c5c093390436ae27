"""What a chat tells whoever shows it: the pieces of an answer, waits, and notices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from llmflowlab.asking.calling import WaitNotice
from llmflowlab.providers.base import StreamEvent

__all__ = [
    "AnswerView",
    "ChatNotice",
    "ExchangesDropped",
    "Guarded",
    "PromptMoved",
    "PromptShortened",
    "RegisteredAlready",
    "RequestChanged",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangesDropped:
    """The oldest exchanges are no longer sent, so that the rest fits."""

    number: int
    window: int | None
    """The model's window in tokens; None where only the provider knows it."""


@dataclass(frozen=True, slots=True)
class RegisteredAlready:
    """The session becomes a run and no new version: the model is the registry's."""


@dataclass(frozen=True, slots=True)
class RequestChanged:
    """The server did not take a part of the request, which is sent otherwise from now on."""

    sentence: str


@dataclass(frozen=True, slots=True)
class PromptShortened:
    """The server left a part of the conversation out before the model read it."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """The guardrails found something that passes all the same, or that was masked."""

    sentence: str


@dataclass(frozen=True, slots=True)
class PromptMoved:
    """The prompt's alias points to another version, which is used from here on in a new session."""

    asked: str
    """`NAME@ALIAS`."""
    reference: str
    """`NAME@VERSION`."""


ChatNotice: TypeAlias = (
    ExchangesDropped | Guarded | PromptMoved | PromptShortened | RegisteredAlready | RequestChanged
)
"""What a person should know of a turn beside its answer."""


class AnswerView(Protocol):
    """Where one answer and what happens around it are shown."""

    def event(self, event: StreamEvent) -> None:
        """Show a piece of the answer."""
        ...

    def wait(self, notice: WaitNotice) -> None:
        """Say what is waited for before the next try."""
        ...

    def notice(self, notice: ChatNotice) -> None:
        """Say something about the turn; before the answer, or after it was closed."""
        ...

    def close(self) -> None:
        """Finish the display; the cursor stands at the beginning of a line."""
        ...
