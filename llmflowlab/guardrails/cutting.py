"""Where a text is cut into sentences, so that however it arrives it is read in the same pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["cuts"]

SHORTEST = 240
"""Characters of a unit at least; what a rule finds is hardly longer, and lies in two units at most."""
LONGEST = 1_000
"""Characters after which a unit ends at the next space."""
HARDEST = 4_096
"""Characters after which it ends wherever it is, or twice that within a key that has several lines."""

_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n|[。！？]")
_SPACE = re.compile(r"\s")


def cuts(text: str, start: int, *, final: bool) -> Iterator[int]:
    """Yield where units end, from `start` on.

    What is yielded does not depend on how much of the text is there yet.

    Args:
        text: As much of it as there is.
        start: Where the last unit ended.
        final: Whether it is all there; then the last unit ends with it.
    """
    while start < len(text):
        end = _end(text, start)
        if end is None:
            if final:
                yield len(text)
            return
        yield end
        start = end


def _end(text: str, start: int) -> int | None:
    end = _sentence_end(text, start, start)
    if end is None:
        return None
    begun = text.rfind("-----BEGIN", start, end)
    if begun >= 0 and "-----END" not in text[begun:end]:
        limit = start + 2 * HARDEST
        closed = text.find("-----END", begun, limit)
        if closed < 0:
            return limit if len(text) >= limit else None
        return _sentence_end(text, start, closed)
    return end


def _sentence_end(text: str, start: int, after: int) -> int | None:
    least, most = max(start + SHORTEST, after), max(start + LONGEST, after + SHORTEST)
    # Up to a fixed place, and only what is followed by something: more text must not change it.
    found = _END.search(text, least, most)
    if found is not None:
        return found.end()
    if len(text) <= most:
        return None
    hard = max(start + HARDEST, most + 1)
    space = _SPACE.search(text, most, hard)
    if space is not None:
        return space.end()
    return hard if len(text) >= hard else None
