"""Words of any script: as older scorers define them, and as Unicode does."""

from __future__ import annotations

from functools import cache
from typing import Any

from llmflowlab.loading import load

__all__ = ["graphemes", "unicode_words", "words"]

# Letters with the marks on them, and digits; scripts without spaces between words by character.
_WORD = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*"
    r"|[\p{L}\p{M}\p{N}--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]+"
)


def words(text: str) -> list[str]:
    """Return the runs of letters and digits of a text; on ASCII what `[A-Za-z0-9]+` finds."""
    return list(_pattern().findall(text))


@cache
def _pattern() -> Any:
    regex = load("regex")
    return regex.compile(_WORD, regex.V1)


def unicode_words(text: str) -> list[str]:
    """Return the words of a text between Unicode's word boundaries (UAX #29), without spaces and signs.

    "don't" and "3.14" are one word; Chinese characters and hiragana are one each, a run of katakana is
    one, and scripts whose boundaries need a dictionary (Thai, Lao, Khmer, Burmese) count by letter with
    its marks.
    """
    return [part for part in _boundary().split(text) if any(map(str.isalnum, part))]


def graphemes(text: str) -> int:
    """Return how many characters a reader sees (UAX #29): a letter and its accents are one."""
    regex = load("regex")

    return len(regex.findall(r"\X", text))


@cache
def _boundary() -> Any:
    regex = load("regex")

    return regex.compile(r"\b", regex.V1 | regex.WORD)
