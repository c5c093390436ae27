"""Searches with patterns that people give, in texts that models write, within bounded time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from llmflowlab.loading import load

__all__ = ["TooSlow", "compiled", "fits", "search_all", "wrong_pattern"]

SECONDS = 1.0
"""Longest search for a pattern; some patterns take for ever on some texts."""
_LONGEST_PATTERN = 10_000


class TooSlow(Exception):
    """A pattern, or a schema, took longer on an answer than is allowed."""

    def __init__(self, what: str = "pattern") -> None:
        super().__init__(f"The {what} takes longer than {SECONDS:g} s on this answer.")


def wrong_pattern(pattern: str) -> str | None:
    """Return why a pattern cannot be used, or None."""
    if len(pattern) > _LONGEST_PATTERN:
        return f"the pattern is too long ({len(pattern):,} characters)"
    try:
        compiled(pattern)
    except (ValueError, OverflowError, RecursionError, re.error) as exc:
        return f"the pattern {pattern!r} cannot be used ({exc})"
    except Exception as exc:
        # The package's own error is a plain Exception.
        if type(exc).__name__ != "error":
            raise
        return f"the pattern {pattern!r} cannot be used ({exc})"
    return None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """Return a pattern of the regex package."""
    regex = load("regex")

    return regex.compile(pattern)


def fits(pattern: str, text: str, *, whole: bool) -> bool:
    """Return whether a pattern is found in a text, or fits the whole of it.

    Raises:
        TooSlow: It takes too long.
    """
    form = compiled(pattern)
    find = form.fullmatch if whole else form.search
    try:
        # `concurrent`: other threads go on while a slow pattern is at work.
        return find(text, timeout=SECONDS, concurrent=True) is not None
    except TimeoutError:
        raise TooSlow from None


def search_all(pattern: str, text: str) -> Iterator[Any]:
    """Yield the matches of a pattern in order; all of them together within the time of one search.

    Raises:
        TooSlow: They take too long.
    """
    try:
        yield from compiled(pattern).finditer(text, timeout=SECONDS, concurrent=True)
    except TimeoutError:
        raise TooSlow from None
