"""What Unicode's CLDR says of a language: separators, scale words, months, units and currencies.

The data come with Babel, which is imported at the first number (3 ms, and 5 to 20 ms a language). A
language that CLDR does not know has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from llmflowlab.text.language_codes import base_language

__all__ = [
    "base_of",
    "compact_scales",
    "currency_codes",
    "currency_of_sign",
    "currency_phrases",
    "decimal_sign",
    "groups_with_space",
    "month_names",
    "unit_phrases",
]

_SPACES = "\u00a0\u202f\u2009 "


def base_of(language: str | None) -> str | None:
    """Return `pt` of `pt-BR`; None where there is no language."""
    return base_language(language) if language else None


@cache
def _data(language: str | None) -> Mapping[str, Any]:
    from babel import Locale, UnknownLocaleError
    from babel.localedata import LocaleDataDict, load

    for code in (language or "", base_of(language) or ""):
        try:
            locale = Locale.parse(code.strip().replace("-", "_"))
        except (ValueError, UnknownLocaleError):
            continue
        data: Mapping[str, Any] = LocaleDataDict(load(str(locale)))  # type: ignore[arg-type]  # babel types its own loader otherwise
        return data
    return {}


def decimal_sign(language: str | None) -> str | None:
    """Return `.` or `,` as it is written between European digits; None for an unknown language."""
    symbols = _data(language).get("number_symbols", {}).get("latn", {})
    sign = symbols.get("decimal") if symbols else None
    return sign if sign in (".", ",") else ("." if sign else None)


@cache
def groups_with_space(language: str | None) -> bool:
    symbols = _data(language).get("number_symbols", {}).get("latn", {})
    return bool(symbols) and symbols.get("group") in tuple(_SPACES)


@cache
def compact_scales(language: str | None) -> Mapping[str, int]:
    """Return the words of CLDR's short forms and the power of ten each stands for (`Mio.`: 6)."""
    found: dict[str, int] = {}
    for forms in _data(language).get("compact_decimal_formats", {}).values():
        for powers in forms.values():
            for power, pattern in powers.items():
                shape = re.fullmatch(r"(0+)(\D+)", str(pattern.pattern).replace("'", ""))
                word = shape[2].strip(_SPACES).casefold().rstrip(".") if shape else ""
                if shape and word:
                    found.setdefault(word, len(power) - len(shape[1]))
    return found


@cache
def month_names(language: str | None) -> frozenset[str]:
    months = _data(language).get("months", {})
    widths = [months[form][width] for form in months for width in ("wide", "abbreviated")]
    names = {name.casefold().rstrip(".") for width in widths for name in width.values()}
    return frozenset(name for name in names if not re.search(r"\d", name))


@cache
def unit_phrases(language: str | None) -> Mapping[str, str]:
    """Return how a language names units after a number, each with CLDR's name of the unit."""
    found: dict[str, str] = {}
    # A minute of time before a minute of arc.
    units = sorted(_data(language).get("unit_patterns", {}).items(), key=lambda u: "arc-" in u[0])
    for unit, lengths in units:
        for length in ("long", "short"):
            for count, pattern in lengths.get(length, {}).items():
                phrase = _after_number(pattern) if count != "per" else None
                if phrase:
                    found.setdefault(phrase, unit.partition("-")[2])
    return found


def _after_number(pattern: object) -> str | None:
    text = str(pattern)
    if not text.startswith("{0}"):
        return None
    return " ".join(text[3:].strip(_SPACES).casefold().split()) or None


@cache
def currency_codes() -> frozenset[str]:
    from babel.core import get_global

    return frozenset(get_global("all_currencies"))


@cache
def currency_phrases(language: str | None) -> Mapping[str, str]:
    """Return the names of today's currencies in a language, each with its ISO 4217 code."""
    from babel.core import get_global

    data, today = _data(language), set(_current(get_global("territory_currencies")))
    found: dict[str, str] = {}
    plural: Mapping[str, Mapping[str, str]] = data.get("currency_names_plural", {})
    for code in sorted(today):
        names = [*plural.get(code, {}).values(), data.get("currency_names", {}).get(code)]
        for name in filter(None, names):
            found.setdefault(" ".join(str(name).casefold().split()), code)
    return found


@cache
def currency_of_sign(sign: str, language: str | None) -> str | None:
    """Return the currency that a plain sign means in a language; None where CLDR does not say."""
    symbols = _data(language).get("currency_symbols", {})
    return next((code for code, symbol in sorted(symbols.items()) if symbol == sign), None)


def _current(territories: Mapping[str, Any]) -> Iterator[str]:
    """Yield the codes that a territory still pays with: no end, and legal tender."""
    for entries in territories.values():
        for code, _, end, tender in entries:
            if end is None and tender:
                yield code
