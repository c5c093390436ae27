"""What makes two texts the same question, and the words by which they are compared."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["contains_words", "same_text", "words"]

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
_WORDS = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|\w+|[^\w\s.,;:?!'\"()]"
)


def same_text(text: str) -> str:
    """Return a text in the form in which copies are alike.

    Case, white space, kinds of quotation marks, Unicode forms and the marks at the end do not count;
    every other character does, so that C++ and C# stay two things.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    plain = " ".join(text.casefold().split())
    return plain.rstrip(" .?!:") or plain


def words(text: str) -> tuple[str, ...]:
    """Return the words, numbers and mathematical signs of a text, in the form of `same_text`."""
    return tuple(_WORDS.findall(same_text(text)))


def contains_words(whole: tuple[str, ...], part: tuple[str, ...]) -> bool:
    """Say whether `part` stands in `whole`, in one piece."""
    n = len(part)
    return 0 < n <= len(whole) and any(
        whole[i : i + n] == part for i in range(len(whole) - n + 1) if whole[i] == part[0]
    )
