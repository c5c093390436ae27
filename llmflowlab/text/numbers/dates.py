"""Dates that name their month: `July 4, 1776`, `3. Oktober 1990`, `1990年10月3日`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from llmflowlab.text.numbers.cldr import base_of, month_names

__all__ = ["dates_in", "months_of", "names_month"]

_S = r"[ \u00a0]"
_OF = rf"(?:(?:of|de|del|di){_S})?"
_MONTH = r"(?<![^\W\d_])([^\W\d_]{3,20})\.?"
_DAY = r"(?<![\d.,/])\d{1,2}(?![\d/]|[.,]\d)"
_YEAR = r"(?P<year>\d{4})(?![\d/]|[.,]\d)"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"{_DAY}(?:\.|st|nd|rd|th|er|º)?{_S}{_OF}{_MONTH}(?:,?{_S}{_OF}{_YEAR})?",
        rf"{_MONTH}{_S}{_DAY}(?:st|nd|rd|th)?(?:,?{_S}{_YEAR})?",
        rf"{_MONTH},?{_S}{_OF}{_YEAR}",
    )
)
_DENSE = re.compile(
    rf"\d{{1,4}}[年년]{_S}?\d{{1,2}}[月월](?:{_S}?\d{{1,2}}[日號号일]?)?|\d{{1,2}}[月월]{_S}?\d{{1,2}}[日號号일]"
)
_WITHOUT_LANGUAGE = ("en", "de", "fr", "es", "it", "pt")
"""Whose months are understood in a text of no known language."""


def dates_in(text: str, language: str | None) -> list[tuple[int, int]]:
    """Return where dates stand in a canonical text."""
    return [*(m.span() for m in _DENSE.finditer(text)), *_spelled(text, language)]


def _spelled(text: str, language: str | None) -> Iterator[tuple[int, int]]:
    tongues = (language,) if base_of(language) else _WITHOUT_LANGUAGE
    months = frozenset[str]().union(*map(months_of, tongues))
    for form in _FORMS:
        for match in form.finditer(text):
            # Between day and year a word can be nothing else: "3 de mayo de 1990".
            whole = match["year"] and match[0][0].isdigit() and match[1].casefold() in months
            if whole or names_month(match[1], months):
                yield match.span()


@cache
def months_of(language: str | None) -> frozenset[str]:
    return month_names(language) | month_names("en")


def names_month(word: str, months: frozenset[str]) -> bool:
    # "5 may", "12 mar", "3 set": only with a capital where it is a word as well.
    return word.casefold() in months and (not word.isascii() or word[0].isupper() or len(word) > 4)
