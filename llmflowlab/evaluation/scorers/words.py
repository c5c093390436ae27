"""Words of any script, for scorers whose definition is older than our normalisation."""

from __future__ import annotations

from functools import cache
from typing import Any

from llmflowlab.loading import load

__all__ = ["words"]

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
