"""What was said so far, and the part of it that fits into the model's window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from llmflowlab.messages import Message

__all__ = ["ChatHistory", "Exchange", "Fitted"]

_PER_MESSAGE = 4
"""Tokens a message costs beside its text (role and separators), as chat formats commonly spend."""
_UNKNOWN_WINDOW = 32_768
"""Tokens sent at most to a model whose window nobody says; one that has less says so, and gets less."""
_ROOM_FOR_ANSWER = 1024
"""Tokens kept free for the answer where no `max_tokens` is set."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and its answer."""

    prompt: str
    answer: str
    trace_id: str | None = field(default=None, compare=False)
    """The trace that holds its text; None where none does yet, as of a conversation that was loaded."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is sent for a prompt."""

    prompt: str
    exchanges: tuple[Exchange, ...]
    """Those that are sent before it."""
    newly_dropped: int
    """Exchanges that are left out now and were still sent the time before."""

    @property
    def messages(self) -> tuple[Message, ...]:
        return (*_messages(self.exchanges), Message("user", self.prompt))

    @property
    def untraced(self) -> tuple[Message, ...]:
        """The part of the messages whose text no trace holds yet, this prompt included."""
        new = [each for each in self.exchanges if each.trace_id is None]
        return (*_messages(new), Message("user", self.prompt))

    @property
    def traced(self) -> tuple[str, ...]:
        """The traces of the others, in their order."""
        return tuple(each.trace_id for each in self.exchanges if each.trace_id is not None)


def _messages(exchanges: Iterable[Exchange]) -> Iterator[Message]:
    for exchange in exchanges:
        yield Message("user", exchange.prompt)
        yield Message("assistant", exchange.answer)


class ChatHistory:
    """The exchanges in their order; the oldest ones may have been dropped from what is sent.

    Args:
        count: Returns the number of tokens of a text; quick, because it runs before each turn.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self.exchanges: list[Exchange] = []
        self._count = count
        self._sizes: list[int] = []
        """Tokens of the exchanges so far, the later ones still to be counted."""
        self._sent_from = 0

    @property
    def dropped(self) -> int:
        """How many of the oldest exchanges are no longer sent."""
        return self._sent_from

    def add(self, prompt: str, answer: str) -> None:
        self.exchanges.append(Exchange(prompt, answer))

    def traced_by(self, trace_id: str) -> None:
        """Note the trace that holds what was said and stood in no other one."""
        for place in range(self._sent_from, len(self.exchanges)):
            if self.exchanges[place].trace_id is None:
                self.exchanges[place] = replace(self.exchanges[place], trace_id=trace_id)

    def undo(self) -> Exchange | None:
        """Take the last exchange back; None where there is none."""
        if not self.exchanges:
            return None
        last = self.exchanges.pop()
        del self._sizes[len(self.exchanges) :]
        self._sent_from = min(self._sent_from, len(self.exchanges))
        return last

    def replace(self, exchanges: list[Exchange]) -> None:
        """Put a loaded conversation in this one's place."""
        self.exchanges = list(exchanges)
        self.reconsider()

    def reconsider(self) -> None:
        """Send everything again; another model may have a larger window, and counts otherwise."""
        self._sizes.clear()
        self._sent_from = 0

    def fit(
        self, prompt: str, *, system: str | None, window: int | None, max_tokens: int | None
    ) -> Fitted:
        """Return what is sent for a prompt.

        Args:
            prompt: The new prompt; it is sent even where it alone is too long.
            system: The system prompt, which takes room as well.
            window: The model's window in tokens; None where nobody says.
            max_tokens: Room for the answer; a default is kept where it is None.
        """
        before = self._sent_from
        window = _UNKNOWN_WINDOW if window is None else window
        # A ceiling as large as the window itself must not leave the prompt without room.
        room = min(max_tokens or _ROOM_FOR_ANSWER, window // 2)
        budget = window - room - self._size(prompt) - self._size(system or "")
        for exchange in self.exchanges[len(self._sizes) :]:
            self._sizes.append(self._size(exchange.prompt) + self._size(exchange.answer))
        sent = sum(self._sizes[self._sent_from :])
        while self._sent_from < len(self._sizes) and sent > budget:
            sent -= self._sizes[self._sent_from]
            self._sent_from += 1
        return self._fitted(prompt, self._sent_from - before)

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
        return self._fitted(prompt, dropping)

    def _fitted(self, prompt: str, dropped: int) -> Fitted:
        return Fitted(prompt, tuple(self.exchanges[self._sent_from :]), dropped)

    def _size(self, text: str) -> int:
        return self._count(text) + _PER_MESSAGE if text else 0
