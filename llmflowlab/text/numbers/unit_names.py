"""The unit that a name stands for, in the language of the text: CLDR's names, and those it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import TypeAlias

from llmflowlab.text.numbers.cldr import base_of, unit_phrases
from llmflowlab.text.numbers.currencies import money_named
from llmflowlab.text.numbers.lexicon import NO_UNIT, POINTS, TRANSPARENT
from llmflowlab.text.numbers.unit_table import ALSO
from llmflowlab.text.numbers.units import DEGREE, Unit, named, unit_of

__all__ = [
    "DENSE",
    "TOKEN",
    "Found",
    "Noun",
    "Readings",
    "by_name",
    "money",
    "named_units",
    "of_cldr",
]

_LONGEST_NAME = 6
"""Words of a unit's name at most: `метров на секунду в квадрате`."""
_LONGEST_SHORT = 3
_ENDINGS = ("n", "s", "en", "es", "e", "a", "u", "ов", "ах", "ам", "ами", "ом", "а", "у", "е", "ы")
"""Of cases and numbers that CLDR does not give."""
_WITHOUT_LANGUAGE = ("en", "de", "fr", "es", "it", "pt")
"""Whose names of units are understood in a text of no known language."""
DENSE = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts written without spaces, for a class of characters in a pattern."""
TOKEN = re.compile(r"[ \u00a0]?([^\s\u00a0\d,;:!?()\[\]{}<>=\ue000-\uf8ff\"|+~]{1,40})")


@dataclass(frozen=True, slots=True)
class Noun:
    """A word after a number that is no unit known; agrees with itself only, in any number or case."""

    words: tuple[str, ...]


Readings: TypeAlias = "tuple[tuple[Unit | Noun, bool], ...]"
"""Units that may be meant, the likeliest first, each with whether that is sure."""


@dataclass(frozen=True, slots=True)
class Found:
    """The units that may be meant, the likeliest first, each with whether that is sure."""

    readings: Readings
    end: int


def money(codes: tuple[str, ...]) -> Readings:
    """Return currencies as units; only the first is sure."""
    made: list[tuple[Unit | Noun, bool]] = []
    for n, code in enumerate(codes):
        whole, slash, _ = code.partition("/")
        unit = unit_of(whole)
        factor = Fraction(1, 100) if slash else Fraction(1)
        made.append((Unit(dimension=unit.dimension, factor=factor), n == 0))
    return tuple(made)


def by_name(text: str, start: int, language: str | None) -> Found | None:
    if re.match(f"[{DENSE}]", text[start : start + 1]):
        return _dense_name(text, start, language)
    ends: list[int] = []
    words: list[str] = []
    place = start
    while len(words) < _LONGEST_NAME and (match := TOKEN.match(text, place)):
        if not words and match.start(1) != start:
            break
        words.append(match[1].casefold())
        ends.append(match.end())
        place = match.end()
    for size in range(len(words), 0, -1):
        last = words[size - 1]
        bare = last.rstrip(".*_-–—/'")
        for form in dict.fromkeys((last, bare, last.partition("/")[0])):
            phrase = " ".join((*words[: size - 1], form))
            if (readings := named_units(phrase, language)) is not None:
                return Found(readings, ends[size - 1] - (len(last) - len(form)))
    if (
        len(words) > 1
        and words[0] in TRANSPARENT
        and (unit := named_units(words[1].rstrip("."), language))
    ):
        return Found(unit, ends[1])
    return None


def _dense_name(text: str, start: int, language: str | None) -> Found | None:
    run = re.match(f"[{DENSE}A-Za-z]{{1,16}}", text[start:])
    for size in range(len(run[0]) if run else 0, 0, -1):
        if run and (readings := named_units(run[0][:size].casefold(), language)) is not None:
            return Found(readings, start + size)
    return None


@lru_cache(maxsize=4096)
def named_units(phrase: str, language: str | None) -> Readings | None:
    if phrase in NO_UNIT:
        return None
    if phrase in POINTS:
        return ((_known("percentage point"), True),)
    if phrase in ("ton", "tons"):
        return tuple(
            (_known(name), name == "short ton") for name in ("short ton", "tonne", "long ton")
        )
    if phrase in ("pound", "pounds"):
        return ((_known("pound"), True), *money(("GBP", "EGP")))
    if codes := money_named(phrase, language):
        return money(codes)
    letter = re.fullmatch(r"[^\W\d_]", phrase)
    if letter is None and (unit := named(phrase)) is not None:
        return ((unit, True),)
    if phrase in ALSO:
        return ((_known(ALSO[phrase]), True),)
    known = base_of(language) in _languages()
    for one in (language,) if known else _WITHOUT_LANGUAGE:
        for form in _forms(phrase):
            # Short forms are understood in the text's own language only.
            long_enough = len(form) > (1 if known else _LONGEST_SHORT) or not form.isascii()
            if long_enough and (name := unit_phrases(one).get(form)) is not None:
                return ((of_cldr(name), True),)
    return None


@cache
def _languages() -> frozenset[str]:
    from babel.localedata import locale_identifiers

    return frozenset(locale_identifiers())


def _forms(phrase: str) -> Iterator[str]:
    yield phrase
    for ending in _ENDINGS:
        if phrase.endswith(ending) and len(phrase) > len(ending) + 3:
            yield phrase[: -len(ending)]


def _known(name: str) -> Unit:
    unit = named(name)
    assert unit is not None
    return unit


def of_cldr(name: str) -> Unit:
    if name == "generic":
        return DEGREE
    return named(name) or unit_of(f"unit {name}")
