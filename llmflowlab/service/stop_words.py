"""Texts at which an answer is to end, found in it as it comes; they are no part of it."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["StopWords"]


class StopWords:
    """Looks for the first of several texts, which may come in pieces.

    Args:
        words: What ends the answer; none: nothing does.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._longest = max(map(len, self._words), default=0)
        self._held = ""
        self.met = False
        """Whether one of them came."""

    def feed(self, text: str) -> str:
        """Take a piece; return what is surely no part of such a text."""
        if not self._words:
            return text
        if self.met:
            return ""
        self._held += text
        if (cut := self._place(self._held)) is not None:
            said, self._held, self.met = self._held[:cut], "", True
            return said
        keep = self._unsure()
        said = self._held[: len(self._held) - keep]
        self._held = self._held[len(self._held) - keep :]
        return said

    def rest(self) -> str:
        """Return what was held back at the end of an answer."""
        held, self._held = self._held, ""
        return held

    def whole(self, text: str) -> str:
        """Return a whole answer up to the first of them."""
        cut = self._place(text)
        return text if cut is None else text[:cut]

    def _place(self, text: str) -> int | None:
        return min((at for at in map(text.find, self._words) if at >= 0), default=None)

    def _unsure(self) -> int:
        """Count the characters at the end that one of the texts may begin with."""
        for length in range(min(self._longest - 1, len(self._held)), 0, -1):
            end = self._held[-length:]
            if any(word.startswith(end) for word in self._words):
                return length
        return 0
