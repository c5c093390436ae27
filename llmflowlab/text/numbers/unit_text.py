"""The unit that stands at a place in a text: a name, a symbol, a formula of symbols, or a word not known."""

from __future__ import annotations

import re
from functools import lru_cache

from llmflowlab.text.numbers.cldr import base_of, unit_phrases
from llmflowlab.text.numbers.currencies import SIGNS, coded, signed
from llmflowlab.text.numbers.lexicon import NO_UNIT
from llmflowlab.text.numbers.unit_names import (
    DENSE,
    TOKEN,
    Found,
    Noun,
    Readings,
    by_name,
    money,
    named_units,
    of_cldr,
)
from llmflowlab.text.numbers.units import Unit, combined, symbolised, unit_of

__all__ = ["Found", "Noun", "money", "unit_at"]

_GAP = re.compile(r"[ \u00a0]{0,2}-?[ \u00a0]?")
_SIGN = "|".join(map(re.escape, SIGNS))
_FACTOR = re.compile(
    rf"(?P<name>°[ \u00a0]?[CFKR](?![^\W\d_])|[%‰‱°'\"]|{_SIGN}|FLOP/s|dB\(A\)|[lL](?:it(?:er|re|res|ers|ros|ri))?[ \u00a0]?(?:/|per|pro|auf|por|aux|alle)[ \u00a0]?(?:los )?100[ \u00a0]?(?:km|[kKcq][uh]?[ií]l[oóò]m\w+)|[^\W\d_{DENSE}]+)"
    r"(?:(?:\^(?:\((?P<bracketed>[-+]?\d)\)|(?P<raised>[-+]?\d))|(?P<exponent>\d)|(?P<below>-\d))(?![\d.,]*\d))?"
)
_TIMES = re.compile(
    r"[ \u00a0]?[·*×][ \u00a0]?(?!\d)|[ \u00a0](?=[^\W\d_]+\^?-?\d(?!\d))|-(?=[^\W\d_])"
    r"|(?<=\d)(?=[A-Za-zΩμ])|[ \u00a0](?=(?:kg|m|s|K|A|mol|cd|N|J|W|V|Pa)(?:[·/^]|[ \u00a0](?:kg|m|s|K|A|mol)\^?-?\d))|(?<=N)[ \u00a0](?=m(?!\w))|(?<=W)[ \u00a0](?=h(?!\w))|(?<=A)[ \u00a0](?=h(?!\w))"
)
# What SI's prefixes would make of common words: "us" is no microsecond, "das" no decasecond.
_WORDS_NOT_SYMBOLS = frozenset(
    {"a", "I", "as", "das", "x", "y", "us", "dem", "des", "dt", "Us", "Des"}
)
_MOST_FACTORS = 8
_IS_DENSE = re.compile(f"[{DENSE}]")
_OVER = re.compile(
    r"[ \u00a0]?/[ \u00a0]?(?!\d)|[ \u00a0](?:per|pro|par|por|je)[ \u00a0](?=[^\W\d_])"
)
_LETTER = re.compile(r"[^\W\d_]")


def unit_at(text: str, place: int, language: str | None) -> Found | None:
    """Return the unit that begins at a place, after at most a space or hyphen; None if there is none."""
    gap = _GAP.match(text, place)
    start = gap.end() if gap else place
    spaced = start > place
    symbol = _by_symbol(text, start, language, spaced)
    name = by_name(text, start, language)
    if symbol and name and text[symbol.end : name.end] == ".":
        # The point of the sentence: "1 s." is no Italian century.
        name = None
    found = [_compound(text, f, language) for f in (symbol, name) if f]
    if found:
        return max(found, key=lambda f: f.end)
    return _unknown(text, start, language)


def _by_symbol(text: str, start: int, language: str | None, spaced: bool) -> Found | None:
    first = _factor(text, start, language, spaced=spaced, alone=True)
    if first is None:
        return None
    readings, exponent, end = first
    if exponent != 1:
        raised = ((u.power(exponent), sure) for u, sure in readings if isinstance(u, Unit))
        readings = tuple(raised)
    found = _compound(text, Found(readings, end), language) if readings else None
    if found is None or (
        _LETTER.match(text[found.end :]) and not _IS_DENSE.match(text[found.end :])
    ):
        return None
    return found


def _compound(text: str, first: Found, language: str | None) -> Found:
    """Return a unit with the factors that `·`, `/` or a word like it join to it."""
    rest: list[tuple[Unit, int]] = []
    place, under = first.end, False
    while len(rest) < _MOST_FACTORS:
        over, times = _OVER.match(text, place), _TIMES.match(text, place)
        joint = over or times
        if joint is None:
            break
        # In W/m²K and J/kg·K the kelvin stands below as well.
        under = bool(over) or under
        bracket = text.startswith("(", joint.end())
        group = _group(text, joint.end() + bracket, language, bracket, below=under)
        if group is None:
            break
        factors, place = group
        rest += [(unit, -n if under and n > 0 else n) for unit, n in factors]
    if not rest:
        return first
    made = tuple((combined([(_as_unit(unit), 1), *rest]), sure) for unit, sure in first.readings)
    return Found(made, place)


def _as_unit(unit: Unit | Noun) -> Unit:
    return unit if isinstance(unit, Unit) else unit_of("unit " + _stem(unit.words[-1]))


def _group(
    text: str, place: int, language: str | None, bracket: bool, *, below: bool
) -> tuple[list[tuple[Unit, int]], int] | None:
    """Return the factors after `/` or `·`: one, or those in brackets."""
    name = by_name(text, place, language) if below and not bracket else None
    if (
        name is not None
        and isinstance(name.readings[0][0], Unit)
        and (" " in text[place : name.end] or _IS_DENSE.match(text[place:]))
    ):
        return [(name.readings[0][0], 1)], name.end
    found: list[tuple[Unit, int]] = []
    while (factor := _factor(text, place, language, spaced=False, alone=False)) is not None:
        alternatives, exponent, place = factor
        unit = alternatives[0][0]
        if isinstance(unit, Noun) and not below:
            return None
        found.append((_as_unit(unit), exponent))
        if not bracket:
            return found, place
        if text.startswith(")", place):
            return found, place + 1
        joint = re.compile(r"[ \u00a0]?[·*×][ \u00a0]?|[ \u00a0]").match(text, place)
        if joint is None:
            return None
        place = joint.end()
    return None


def _factor(
    text: str, place: int, language: str | None, *, spaced: bool, alone: bool
) -> tuple[Readings, int, int] | None:
    match = _FACTOR.match(text, place)
    if match is None:
        return None
    name = match["name"]
    if "100" in name:
        name = "l/100km"
    readings = _of_symbol(name.replace(" ", "").replace("\u00a0", ""), language, spaced and alone)
    if name == "in" and not re.match(r"\s*(?:[.,;:)\ue002]|$|\^|\d|/)", text[match.end("name") :]):
        readings = ()
    if not readings and not alone and name.casefold() not in NO_UNIT:
        readings = named_units(name.casefold(), language) or ((Noun((name.casefold(),)), True),)
    if not readings:
        return None
    exponent = match["raised"] or match["bracketed"] or match["exponent"] or match["below"]
    # 8'6" are feet and inches, no power.
    if (match["below"] and alone) or name in ("'", '"'):
        return readings, 1, match.end("name")
    return readings, int(exponent or 1), match.end()


@lru_cache(maxsize=4096)
def _of_symbol(name: str, language: str | None, spaced: bool) -> Readings:
    if codes := signed(name, language):
        return money(codes)
    if name in ("'", '"'):
        name = {"'": "ft", '"': "in"}[name]
        return () if spaced else tuple((unit, True) for unit in symbolised(name))
    small = name.casefold()
    also_unit = small in ("am", "in") or (small == "au" and base_of(language) != "fr")
    if small in NO_UNIT and name == small and not also_unit and len(name) > 1:
        return ()
    if small in ("am", "pm"):
        return ((unit_of(f"clock {small}"), True), *((u, True) for u in symbolised(name)))
    if name in _WORDS_NOT_SYMBOLS:
        return ()
    own = symbolised(name, exact=True)
    if not own and len(name) == 3 and (codes := coded(name)):
        return money(codes)
    own = own or symbolised(name)
    if not own and small != name and small in NO_UNIT:
        return ()
    found: list[tuple[Unit | Noun, bool]] = [
        (unit, n == 0 or unit.dimension != own[0].dimension) for n, unit in enumerate(own)
    ]
    if name in ("KB", "kb", "Kb", "K"):
        found += [
            (unit, False)
            for unit in symbolised({"KB": "KiB", "kb": "kB", "Kb": "kB"}.get(name, name))
        ]
    if not found and base_of(language) and len(name) > 1 and not name.isascii():
        phrase = unit_phrases(language).get(small)
        found = [(of_cldr(phrase), True)] if phrase else []
    return tuple(found)


def _unknown(text: str, start: int, language: str | None) -> Found | None:
    """Return the words after a number, up to a word or sign that ends a phrase."""
    dense = re.match(f"[{DENSE}]{{1,12}}", text[start:])
    if dense is not None:
        return None if _PARTICLE.match(dense[0]) else Found(((Noun((dense[0],)), True),), start)
    words: list[str] = []
    place = start
    while len(words) < 4 and (match := TOKEN.match(text, place)):
        # Of `people/km2` only the first word.
        word = match[1].partition("/")[0].casefold().strip("*_-–—'’")
        bare = word.rstrip(".。")
        if not _LETTER.search(bare) or bare in NO_UNIT or "\\" in bare:
            break
        words.append(bare)
        place = match.start(1) + len(word)
        if bare != word or "/" in match[1]:
            break
    if not words:
        return None
    noun = Found(((Noun(tuple(words)), True),), place)
    compound = _compound(text, noun, language)
    return compound if compound is not noun else Found(noun.readings, start)


_PARTICLE = re.compile(
    r"(?:です|でした|である|だ|は|が|を|で|に|の|と|も|か|から|まで|より|〜|という|となり|になり|な|"
    r"到|至|是|的|了|在|和|为|為|或|与|而|不|就|也|，|等|个答|"
    r"에서|부터|까지|입니다|이다|이며|이고|이라|예요|이에요|은|는|이|가|을|를|의|에|로|으로|와|과|라|"
    r"ค|คือ|และ)"
)


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 else word
