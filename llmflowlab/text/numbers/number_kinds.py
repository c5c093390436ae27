"""What the words around a number say of it: negated, a bound, a year, an ordinal, a number of a list."""

from __future__ import annotations

import re
from dataclasses import replace

from llmflowlab.text.numbers.boxes import behind_box
from llmflowlab.text.numbers.cldr import base_of
from llmflowlab.text.numbers.dates import months_of, names_month
from llmflowlab.text.numbers.lexicon import (
    BOUND_AFTER,
    BOUND_BEFORE,
    CONFIDENT_AFTER,
    CONFIDENT_BEFORE,
    LABEL,
    NEGATED_AFTER,
    NEGATED_BEFORE,
    OF_ALL,
    ORDINAL,
    PART_OF,
    TOO_FAR,
    YEAR_AFTER,
    YEAR_ASKED,
    YEAR_BEFORE,
    YEAR_BOUND_BEFORE,
)
from llmflowlab.text.numbers.quantity import NumberRank, Quantity, between
from llmflowlab.text.numbers.unit_names import Noun
from llmflowlab.text.numbers.units import Unit

__all__ = ["ERAS", "asks_for_year", "could_be_year", "described"]

_NEAR = 40
"""Characters before a number that are looked at."""
_DENIES_FROM = 50
"""So far before it a denial may begin: `I do not believe that the correct answer is 4`."""
_NUMBERING = re.compile(
    r"(?m)^[ \u00a0]{0,8}(?:[-*#>][ ]{0,3}){0,3}\(?(\d{1,3})[.)]\)?(?=[ \u00a0]+\S)"
)
_YEAR_WORD = re.compile(r"[ \u00a0]?(?:年(?!間)|년(?!간)|г\.|год(?:у|а|ом)?(?!\w))")
ERAS = ((("years_bc", 1),), (("years_ad", 1),))
"""Dimensions of years before and after Christ."""
_NOUN = re.compile(r"[^\W\d_]{1,40}")
_SAYS = re.compile(r"[^\W\d_]|[<>≤≥≠±!#№]")
_SOURCE = re.compile(r"\[[ ]?\^?$")
_WORD_BEFORE = re.compile(r"([^\W\d_]+)\.?(?:[ \u00a0]de)?[ \u00a0]$")
_WORD_AFTER = re.compile(
    r"(?:\.|st|nd|rd|th|er|º)?[ \u00a0](?:(?:of|de|del|di)[ \u00a0])?([^\W\d_]+)|(月|日(?!間|间)|월|일(?!간))"
)


def described(text: str, found: list[Quantity], language: str | None) -> list[Quantity]:
    """Return numbers with what the words around them say."""
    numbering = _numbering(text)
    out: list[Quantity] = []
    for one in found:
        made = _described(text, one, language, numbering)
        # The Dutch "of" is an "or".
        whole = out and base_of(language) != "nl" and OF_ALL.fullmatch(between(text, out[-1], one))
        if whole:
            made = replace(made, rank=min(made.rank, NumberRank.LABEL))
            out[-1] = _part(out[-1], made)
        out.append(made)
    return out


def _part(one: Quantity, whole: Quantity) -> Quantity:
    """Return the 15 of `15 out of 60 km` with the unit of the whole; it is no percentage."""
    one = replace(one, whole=whole.first.value)
    if one.first.unit is not None:
        return one
    unit = whole.first.unit or Noun(("part",))
    return replace(one, readings=tuple(replace(r, unit=unit) for r in one.readings))


def could_be_year(one: Quantity) -> bool:
    """Whether it is a year before or after Christ, or a bare whole number of four digits."""
    reading = one.first
    if isinstance(reading.unit, Unit) and reading.unit.dimension in ERAS:
        return True
    return (
        reading.unit is None and reading.value.denominator == 1 and (1000 <= reading.value <= 2199)
    )


def asks_for_year(question: str) -> bool:
    return bool(YEAR_ASKED.search(question))


def _numbering(text: str) -> set[int]:
    """Return where the numbers of a list stand: from 1 (or 0) on, each one more than the last."""
    places: set[int] = set()
    last = None
    for match in _NUMBERING.finditer(text):
        n = int(match[1])
        if n in (0, 1) or (last is not None and n == last + 1):
            places.add(match.start(1))
            last = n
    return places


def _described(text: str, one: Quantity, language: str | None, numbering: set[int]) -> Quantity:
    before = text[max(one.start - _DENIES_FROM, 0) : one.start]
    one = _as_year(text, one)
    # Nothing is said where there are only digits; looking for it is slow.
    said = before if _SAYS.search(before) else ""
    words = said[-_NEAR:]
    number_end = _number_end(text, one)
    bound = BOUND_BEFORE.search(words) or _bound_after(text, one)
    if bound is None and could_be_year(one):
        bound = YEAR_BOUND_BEFORE.search(words)
    return replace(
        one,
        rank=_rank(text, one, before[-_NEAR:], number_end, language, numbering),
        negated=bool(NEGATED_BEFORE.search(said)) or _denied_after(text, one),
        operand=one.operand or bool(PART_OF.search(words)),
        bound=bound[0].strip(" \u00a0$€£¥₹-").casefold() if bound else "",
    )


def _bound_after(text: str, one: Quantity) -> re.Match[str] | None:
    return next(filter(None, (BOUND_AFTER.match(text, end) for end in _ends(text, one))), None)


def _denied_after(text: str, one: Quantity) -> bool:
    behind = behind_box(text, one.end)
    ends = _ends(text, one) if behind is None else (behind,)
    if any(NEGATED_AFTER.match(text, end) for end in ends):
        return True
    return one.first.unit is None and any(TOO_FAR.match(text, end) for end in ends)


def _ends(text: str, one: Quantity) -> tuple[int, ...]:
    """Return where what is said of a number may begin: `5 maximum`, `5 apples maximum`."""
    # What is taken for a noun may be part of it already.
    noun = isinstance(one.first.unit, Noun) and text[one.end - 1] in " \u00a0"
    return one.end, one.end - noun, _counted_end(text, one)


def _counted_end(text: str, one: Quantity) -> int:
    """Return where a number ends with the noun that it counts: `42 apples`."""
    unit = one.first.unit
    noun = _NOUN.match(text, one.end) if isinstance(unit, Noun) else None
    known = noun and isinstance(unit, Noun) and noun[0].casefold() == unit.words[0]
    return noun.end() if noun and known else one.end


def _as_year(text: str, one: Quantity) -> Quantity:
    """Return 1961 году and 2008年 without a unit: those are no 1961 years."""
    end = _number_end(text, one)
    digits = text[one.start : end]
    if len(digits) != 4 or not digits.isdigit() or not _YEAR_WORD.match(text, end):
        return one
    bare = replace(one, readings=(replace(one.first, unit=None),))
    return bare if could_be_year(bare) else one


def _number_end(text: str, one: Quantity) -> int:
    """Return where the digits end, before scale and unit."""
    match = re.compile(r"[^\d]*\d+(?:[.,]\d+)*").match(text, one.start, one.end)
    return match.end() if match else one.end


def _rank(
    text: str, one: Quantity, before: str, end: int, language: str | None, numbering: set[int]
) -> NumberRank:
    if one.start in numbering:
        return NumberRank.NUMBERING
    if (
        _SOURCE.search(before)
        and re.match(r"[ ]?[\],]", text[one.end :])
        and before.rstrip("[ ^")[-1:].isalnum()
    ):
        return NumberRank.NUMBERING
    if CONFIDENT_AFTER.match(text, end) or CONFIDENT_BEFORE.search(before):
        return NumberRank.LABEL
    whole = one.first.value.denominator == 1 and one.first.unit is None
    digits = text[one.start : end]
    if one.first.unit is not None and could_be_year(one):
        return NumberRank.YEAR
    is_year = digits.isdigit() and len(digits) == 4 and could_be_year(one)
    months = months_of(language)
    if is_year and (
        YEAR_BEFORE.search(before)
        or YEAR_AFTER.match(text, end)
        or _is_month(_WORD_BEFORE.search(before.rstrip(", \u00a0") + " "), months)
    ):
        return NumberRank.YEAR
    small = digits.isdigit() and len(digits) <= 2
    if small and (
        _is_month(_WORD_BEFORE.search(before), months)
        or _is_month(_WORD_AFTER.match(text, end), months)
    ):
        return NumberRank.LABEL
    if ORDINAL.match(text, end) and text[end : end + 1] not in " \u00a0" and digits.isdigit():
        return NumberRank.LABEL
    if whole or one.first.unit is not None:
        label = LABEL.search(before) if _SAYS.search(before) else None
        if label and digits.isdigit() and not re.search(r"[:=]", before[label.start() :]):
            return NumberRank.LABEL
    return NumberRank.PLAIN


def _is_month(match: re.Match[str] | None, months: frozenset[str]) -> bool:
    if match is None:
        return False
    groups = [group for group in match.groups() if group]
    if not groups:
        return False
    word = groups[0]
    if word in ("月", "日", "월", "일"):
        return True
    return names_month(word, months)
