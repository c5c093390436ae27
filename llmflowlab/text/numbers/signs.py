"""What stands before a number: its sign, in signs or words, and the sign or code of a currency."""

from __future__ import annotations

import re

from llmflowlab.text.numbers.currencies import SIGNS, coded, signed
from llmflowlab.text.numbers.lexicon import MINUS

__all__ = ["booked", "follows_money", "prefix"]

_NEAR = 12
"""Characters before a number that are looked at."""
_S = r"[ \u00a0]"
_BEFORE = re.compile(
    rf"(?P<lead>[-−–+]?{_S}?)(?P<money>(?:{'|'.join(map(re.escape, SIGNS))})|(?<![^\W\d_])[A-Z]{{3}}){_S}{{0,2}}$"
)
_BOOKED = re.compile(rf"({'|'.join(map(re.escape, SIGNS))})\($")
_SIGN = re.compile(rf"(?P<sign>[-+−–]){_S}{{0,2}}$")


def prefix(
    text: str, start: int, left: int, language: str | None
) -> tuple[int, int, tuple[str, ...]]:
    """Return where a number begins with sign and currency, its sign, and the currency's codes."""
    codes: tuple[str, ...] = ()
    left = max(left, start - _NEAR)
    sign, start = _sign(text, start, left)
    found = _BEFORE.search(text[left:start])
    if found and (codes := _codes_of(found["money"], language)):
        start = left + found.start("money")
        if sign == 1:
            sign, start = _sign(text, start, left)
    return start, sign, codes


def _sign(text: str, start: int, left: int) -> tuple[int, int]:
    if word := MINUS.search(text[max(left, start - 10) : start]):
        place = start - len(word[0])
        # "10 minus 5" takes away; it is no negative number.
        return (1, start) if _ends_number(text[:place]) else (-1, place)
    mark = _SIGN.search(text[left:start])
    if mark is None:
        return 1, start
    place = left + mark.start()
    if mark["sign"] == "+":
        return 1, start
    spaced = mark.end() - mark.start() > 1
    before = text[max(place - 3, 0) : place]
    if _ends_number(before) or before[-1:].isalpha():
        return 1, start
    if spaced and (mark["sign"] == "–" or re.search(r"[^\W_][.,:;!?)]*[ \u00a0]$", before)):
        # A dash between words, unless it is a true minus sign.
        return (
            (-1, place)
            if mark["sign"] == "−" and not re.search(r"\d\S*[ \u00a0]$", before)
            else (1, start)
        )
    if spaced and _is_bullet(text, place):
        return 1, start
    return -1, place


def _is_bullet(text: str, place: int) -> bool:
    """Whether a dash begins a line, and other lines stand in the text."""
    line = text.rfind("\n", 0, place) + 1
    return not text[line:place].strip() and bool(
        text[:line].strip() or re.search(r"\n\s*\S", text[place:])
    )


def follows_money(text: str, start: int, language: str | None) -> bool:
    """Whether what stands right before a number is a currency, not a word: `USD5`."""
    found = _BEFORE.search(text[max(start - 8, 0) : start])
    return found is not None and bool(_codes_of(found["money"], language))


def booked(text: str, start: int, language: str | None) -> tuple[str, ...]:
    """Return the currency of an accountant's minus, `$(50)`, before a number; none if it is none."""
    found = _BOOKED.search(text[max(start - 6, 0) : start])
    return _codes_of(found[1], language) if found else ()


def _codes_of(text: str, language: str | None) -> tuple[str, ...]:
    return signed(text, language) or (coded(text) if len(text) == 3 and text.isascii() else ())


def _ends_number(before: str) -> bool:
    return bool(re.search(r"[\d)%°²³][ \u00a0]{0,2}$", before))
