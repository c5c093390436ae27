"""What was said so far, and the part of it that fits into the model's window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmflowlab.messages import Message

__all__ = ["ChatHistory", "Exchange", "Fitted"]

_PER_MESSAGE = 4
"""Tokens a message costs beside its text (role and separators), as chat formats commonly spend."""
_ROOM_FOR_ANSWER = 1024
"""Tokens kept free for the answer where no `max_tokens` is set."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and its answer."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is sent for a prompt."""

    messages: tuple[Message, ...]
    newly_dropped: int
    """Exchanges that are left out now and were still sent the time before."""


class ChatHistory:
    """The exchanges in their order; the oldest ones may have been dropped from what is sent.

    Args:
        count: Returns the number of tokens of a text; quick, because it runs before each turn.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self.exchanges: list[Exchange] = []
        self._count = count
        self._sent_from = 0

    @property
    def dropped(self) -> int:
        """How many of the oldest exchanges are no longer sent."""
        return self._sent_from

    def add(self, prompt: str, answer: str) -> None:
        self.exchanges.append(Exchange(prompt, answer))

    def undo(self) -> Exchange | None:
        """Take the last exchange back; None where there is none."""
        if not self.exchanges:
            return None
        last = self.exchanges.pop()
        self._sent_from = min(self._sent_from, len(self.exchanges))
        return last

    def replace(self, exchanges: list[Exchange]) -> None:
        """Put a loaded conversation in this one's place."""
        self.exchanges = list(exchanges)
        self._sent_from = 0

    def reconsider(self) -> None:
        """Send everything again; another model may have a larger window."""
        self._sent_from = 0

    def fit(
        self, prompt: str, *, system: str | None, window: int | None, max_tokens: int | None
    ) -> Fitted:
        """Return what is sent for a prompt.

        Args:
            prompt: The new prompt; it is sent even where it alone is too long.
            system: The system prompt, which takes room as well.
            window: The model's window in tokens; None leaves nothing out.
            max_tokens: Room for the answer; a default is kept where it is None.
        """
        before = self._sent_from
        if window is not None:
            # A ceiling as large as the window itself must not leave the prompt without room.
            room = min(max_tokens or _ROOM_FOR_ANSWER, window // 2)
            budget = window - room - self._size(prompt) - self._size(system or "")
            sizes = [self._size(e.prompt) + self._size(e.answer) for e in self.exchanges]
            while self._sent_from < len(sizes) and sum(sizes[self._sent_from :]) > budget:
                self._sent_from += 1
        return Fitted(self._messages(prompt), self._sent_from - before)

    def drop_half(self, prompt: str) -> Fitted | None:
        """Leave out the older half of what was sent, after a provider called it too long.

        Returns:
            None where nothing is left that could be dropped.
        """
        sent = len(self.exchanges) - self._sent_from
        if sent == 0:
            return None
        dropping = (sent + 1) // 2
        self._sent_from += dropping
        return Fitted(self._messages(prompt), dropping)

    def _messages(self, prompt: str) -> tuple[Message, ...]:
        messages: list[Message] = []
        for exchange in self.exchanges[self._sent_from :]:
            messages.append(Message("user", exchange.prompt))
            messages.append(Message("assistant", exchange.answer))
        return (*messages, Message("user", prompt))

    def _size(self, text: str) -> int:
        return self._count(text) + _PER_MESSAGE if text else 0
