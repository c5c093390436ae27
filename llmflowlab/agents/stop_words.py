"""Ends an answer where one of a request's stop words begins; the word itself is no part of the answer.

Done here and not by the providers: some models refuse stop words, and each vendor allows another number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmflowlab.asking.calling import Cancellation
from llmflowlab.providers.base import StreamEvent, TextDelta

__all__ = ["StopWords", "cut"]


def cut(text: str, words: Sequence[str]) -> str:
    """Return a text up to the first of some words."""
    return text[: min((at for at in map(text.find, words) if at >= 0), default=len(text))]


class StopWords:
    """Passes an answer's events on up to the first stop word, and ends the call there.

    What may be the beginning of a word is held back until more is known.

    Args:
        words: None of them empty.
        cancelled: Set at the first one.
        tell: Gets the events.
    """

    def __init__(
        self,
        words: Sequence[str],
        cancelled: Cancellation,
        tell: Callable[[StreamEvent], None],
    ) -> None:
        self.found = False
        self._words = words
        self._cancelled = cancelled
        self._tell = tell
        self._held = ""

    def event(self, event: StreamEvent) -> None:
        if not isinstance(event, TextDelta):
            self._tell(event)
        elif not self.found:
            text = self._held + event.text
            kept = cut(text, self._words)
            self.found = kept != text
            sure = len(kept) if self.found else len(text) - self._doubtful(text)
            self._held = kept[sure:]
            if sure:
                self._tell(TextDelta(kept[:sure]))
            if self.found:
                self._cancelled.set()

    def finish(self) -> None:
        """Pass on what was held back, once there is no more."""
        if self._held:
            self._tell(TextDelta(self._held))
            self._held = ""

    def _doubtful(self, text: str) -> int:
        """Return how many characters at the end may begin a stop word."""
        longest = max(map(len, self._words), default=1) - 1
        return next(
            (
                size
                for size in range(min(longest, len(text)), 0, -1)
                if any(word.startswith(text[-size:]) for word in self._words)
            ),
            0,
        )
