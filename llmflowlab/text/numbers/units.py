"""Units as powers of base dimensions, and the unit that a symbol, a name or a formula stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import prod

from llmflowlab.text.numbers.unit_table import BINARY, SI, TABLE, UnitEntry

__all__ = ["DEGREE", "Unit", "combined", "named", "symbolised", "unit_of"]

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """So many of the base units of a dimension."""

    dimension: Dimension
    """Base dimensions with their powers, in order; a unit that is not known is a base dimension."""
    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    """Where its zero lies, in base units: 273.15 for °C."""

    def base(self, value: Fraction) -> Fraction:
        return value * self.factor + self.offset

    def power(self, exponent: int) -> Unit:
        if exponent == 1:
            return self
        raised = tuple((name, n * exponent) for name, n in self.dimension)
        return Unit(dimension=raised, factor=self.factor**exponent)


def unit_of(name: str) -> Unit:
    """Return the unit of a dimension of its own: a currency, or what is not known."""
    return Unit(dimension=((name, 1),))


def combined(factors: Iterable[tuple[Unit, int]]) -> Unit:
    """Return the product of units, each raised to a power."""
    parts = list(factors)
    if len(parts) == 1 and parts[0][1] == 1:
        return parts[0][0]
    powers: dict[str, int] = {}
    factor = Fraction(1)
    for unit, exponent in parts:
        factor *= unit.factor**exponent
        for name, n in unit.dimension:
            powers[name] = powers.get(name, 0) + n * exponent
    return Unit(dimension=tuple(sorted((k, n) for k, n in powers.items() if n)), factor=factor)


def symbolised(symbol: str, *, exact: bool = False) -> tuple[Unit, ...]:
    """Return the units that a symbol may stand for, the likeliest first; upper and lower case count.

    A symbol in another case (`KM`, `kwh`) is understood where only one unit is written so.
    """
    if found := _symbols().get(symbol):
        return found
    if exact:
        return ()
    loose = _loose_symbols().get(symbol.casefold(), ())
    return loose if len(loose) == 1 or symbol.casefold() in _BYTES_FIRST else ()


def named(phrase: str) -> Unit | None:
    """Return the unit of an English name in any number: `square metres`, `kilowatt-hours per day`."""
    words = phrase.casefold().replace("-", " ").split()
    if (whole := _names().get(" ".join(words))) is not None:
        return whole
    if "per" in words[1:-1]:
        at = words.index("per")
        over, under = _product(words[:at]), _product(words[at + 1 :])
        return None if over is None or under is None else combined([(over, 1), (under, -1)])
    return _product(words)


def _product(words: list[str]) -> Unit | None:
    found: list[tuple[Unit, int]] = []
    place = 0
    while place < len(words):
        exponent = {"square": 2, "sq": 2, "sq.": 2, "cubic": 3, "cu": 3}.get(words[place], 1)
        place += exponent != 1
        for size in (5, 4, 3, 2, 1):
            unit = _names().get(" ".join(words[place : place + size]))
            if unit is not None and len(words[place : place + size]) == size:
                place += size
                break
        else:
            known = symbolised(words[place]) if exponent != 1 and place < len(words) else ()
            if not known:
                return None
            unit, place = known[0], place + 1
        if place < len(words) and words[place] in ("squared", "cubed"):
            exponent, place = {"squared": 2, "cubed": 3}[words[place]], place + 1
        found.append((unit, exponent))
    return combined(found) if found else None


_BYTES_FIRST = frozenset(p.casefold() + "b" for p, _, _ in (*SI, *BINARY) if len(p) <= 2)


@cache
def _symbols() -> Mapping[str, tuple[Unit, ...]]:
    made: dict[str, tuple[Unit, ...]] = {}
    for entry in TABLE:
        for prefix, factor in _prefixes(entry, symbols=True):
            for symbol in entry.symbols.split():
                if prefix:
                    made.setdefault(prefix + symbol, (_unit(entry, factor),))
    for entry in TABLE:
        for symbol in entry.symbols.split():
            alone = _unit(entry, Fraction(1))
            twins = [
                u
                for e in TABLE
                if e is not entry and symbol in e.symbols.split()
                for u in [_unit(e, Fraction(1))]
            ]
            made[symbol] = (alone, *twins)
    return made


@cache
def _loose_symbols() -> Mapping[str, tuple[Unit, ...]]:
    made: dict[str, tuple[Unit, ...]] = {}
    # Bytes before bits: what "20 mb" nearly always means.
    for symbol, units in sorted(_symbols().items(), key=lambda item: not item[0].endswith("B")):
        known = made.get(symbol.casefold(), ())
        made[symbol.casefold()] = (*known, *(unit for unit in units if unit not in known))
    return made


@cache
def _names() -> Mapping[str, Unit]:
    made: dict[str, Unit] = {}
    for entry in TABLE:
        for prefix, factor in ((("", Fraction(1))), *_prefixes(entry, symbols=False)):
            unit = _unit(entry, factor)
            for name in filter(None, entry.names.split(",")):
                one, _, many = name.casefold().replace("-", " ").partition("/")
                for form in (one, many or one + "s"):
                    made.setdefault(prefix + form, unit)
    made.update({"mmhg": _symbols()["mmHg"][0], "millimeter ofhg": _symbols()["mmHg"][0]})
    made.update(
        {
            "inch ofhg": _symbols()["inHg"][0],
            "acre foot": combined([(made["acre"], 1), (made["foot"], 1)]),
        }
    )
    return made


def _prefixes(entry: UnitEntry, *, symbols: bool) -> list[tuple[str, Fraction]]:
    if not entry.prefixes:
        return []
    large = entry.prefixes == "large"
    decimal = [p for p in SI if not large or p[2] >= 3]
    made = [((p[0] if symbols else p[1]), Fraction(10) ** p[2]) for p in decimal]
    if large:
        made += [((p[0] if symbols else p[1]), Fraction(2) ** p[2]) for p in BINARY]
        if symbols:
            made.append(("K", Fraction(1000)))
    return made


@cache
def _unit(entry: UnitEntry, factor: Fraction) -> Unit:
    powers = (re.fullmatch(r"(\D+?)(-?\d+)?", part) for part in entry.dimension.split())
    dimension = tuple(sorted((m[1], int(m[2] or 1)) for m in powers if m))
    return Unit(
        dimension=dimension, factor=_number(entry.factor) * factor, offset=_number(entry.offset)
    )


def _number(text: str) -> Fraction:
    """Return the value of factors joined by `*` and `/`."""
    values = (part.split("/") for part in text.split("*"))
    return prod(
        (Fraction(v[0]) / prod(map(Fraction, v[1:]), start=Fraction(1)) for v in values),
        start=Fraction(1),
    )


DEGREE = _unit(next(e for e in TABLE if "degree" in e.names.split(",")), Fraction(1))
"""The degree alone: of an angle, or of a temperature whose scale was not said."""
