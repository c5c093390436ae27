"""Numbers in prose: separators by language, scale words, fractions, units and currencies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from llmflowlab.text.normalise import base_language

__all__ = ["Quantity", "quantities"]

_MOST_DIGITS = 300
"""Longer runs of digits are no quantities, and slow to calculate with."""

# Languages whose decimal sign is the comma.
_COMMA = frozenset(
    re.findall(
        r"\w+",
        "bg bs ca cs da de el es et eu fi fr gl hr hu id is it lt lv nb nl nn no pl pt ro ru sk sl sr "
        "sv tr uk vi",
    )
)
# Languages that group thousands with a plain space.
_SPACED = frozenset(re.findall(r"\w+", "bg cs et fi fr hu lt lv nb nn no pl pt ru sk sv uk"))

_SCALES: dict[str, dict[str, int]] = {
    "en": {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "bn": 9},
    "de": {
        "tausend": 3,
        "million": 6,
        "millionen": 6,
        "mio": 6,
        "milliarde": 9,
        "milliarden": 9,
        "mrd": 9,
        "billion": 12,
        "billionen": 12,
    },
    "fr": {
        "mille": 3,
        "million": 6,
        "millions": 6,
        "milliard": 9,
        "milliards": 9,
        "billion": 12,
        "billions": 12,
    },
    "es": {"mil": 3, "millón": 6, "millones": 6, "billón": 12, "billones": 12},
    "it": {
        "mila": 3,
        "milione": 6,
        "milioni": 6,
        "miliardo": 9,
        "miliardi": 9,
    },
    "pt": {
        "mil": 3,
        "milhão": 6,
        "milhões": 6,
        "bilhão": 9,
        "bilhões": 9,
        "mil milhões": 9,
    },
}

# Unit → what it measures and how many of that dimension's base unit it is.
_UNITS: dict[str, tuple[str, Fraction]] = {}


def _units(dimension: str, **names: tuple[str, str]) -> None:
    for factor, words in names.values():
        for word in words.split():
            _UNITS[word] = (dimension, Fraction(factor))


_units(
    "length",
    mm=("1/1000", "mm millimetre millimetres millimeter millimeters"),
    cm=("1/100", "cm centimetre centimetres centimeter centimeters zentimeter"),
    m=("1", "m metre metres meter meters metern mètre mètres metro metros metri"),
    km=(
        "1000",
        "km kilometre kilometres kilometer kilometers kilometern kilomètre kilomètres kilómetro "
        "kilómetros chilometro chilometri quilômetro quilômetros",
    ),
    inch=("0.0254", "inch inches"),
    ft=("0.3048", "ft foot feet"),
    yd=("0.9144", "yd yard yards"),
    mi=("1609.344", "mi mile miles meile meilen"),
)
_units(
    "mass",
    mg=("1/1000", "mg milligram milligrams milligramm"),
    g=("1", "g gram grams gramm gramme grammes gramo gramos grammo grammi grama gramas"),
    kg=("1000", "kg kilogram kilograms kilogramm kilogramme kilogrammes kilo kilos"),
    t=("1000000", "t tonne tonnes tonnen"),
    lb=("453.59237", "lb lbs pound-mass"),
    oz=("28.349523125", "oz ounce ounces"),
)
_units(
    "time",
    ms=("1/1000", "ms millisecond milliseconds millisekunden"),
    s=("1", "s sec second seconds sekunde sekunden seconde secondes segundo segundos secondi"),
    min=("60", "min minute minutes minuten minuto minutos minuti"),
    h=("3600", "h hr hour hours stunde stunden heure heures hora horas ora ore"),
    d=("86400", "day days tag tage tagen jour jours día días giorno giorni dia dias"),
)
_units("volume", ml=("1/1000", "ml millilitre millilitres milliliter milliliters"))
_units("volume", l=("1", "l litre litres liter liters litro litros litri"))
_units("speed", ms=("1", "m/s"), kmh=("5/18", "km/h kph"), mph=("0.44704", "mph"))
_units("area", m2=("1", "m²"), km2=("1000000", "km²"), ha=("10000", "ha hectare hectares hektar"))
_units("percent", p=("1", "% percent prozent pourcent"))
_units("°C", c=("1", "°c"))
_units("°F", f=("1", "°f"))
_CURRENCIES = {
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "usd": "USD",
    "eur": "EUR",
    "gbp": "GBP",
    "jpy": "JPY",
    "inr": "INR",
    "chf": "CHF",
    "euro": "EUR",
    "euros": "EUR",
    "dollar": "USD",
    "dollars": "USD",
    "us-dollar": "USD",
    "yen": "JPY",
}
for _word, _code in _CURRENCIES.items():
    _UNITS[_word] = (_code, Fraction(1))

_SPACE = "\u00a0\u202f\u2009"
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_NUMBER = re.compile(
    rf"""
    (?P<before>[$€£¥₹]|\b(?:usd|eur|gbp|jpy|inr|chf)\b)?\s?
    (?P<sign>[-+\u2212])?(?P<inner>[$€£¥₹])?
    (?P<digits>\d+(?:[.,'’{_SPACE}\ ]\d+)*|\.\d+)
    (?:(?:e(?P<exponent>[-+]?\d{{1,3}})|\s?[x×·*]\s?10\^(?P<power>[-+\u2212]?\d{{1,3}}))(?![\d\w]))?
    (?:\s?/\s?(?P<over>\d+)(?![\d/.,]*/)(?!\w))?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_AFTER_UNIT = re.compile(rf"[\s-]?(?:\s?)(?P<unit>{_UNIT})(?![\w²³/])", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
# Scripts that put numbers next to letters without a space.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, in the base unit of what it measures."""

    value: Fraction
    """As it stands in the text."""
    dimension: str | None = None
    """`length`, `USD`, ...; None for a bare number."""
    factor: Fraction = Fraction(1)
    """How many base units one of its units is."""

    @property
    def base(self) -> Fraction:
        return self.value * self.factor


def quantities(text: str, *, language: str | None = None) -> list[Quantity]:
    """Return the numbers of a text in order; never raises.

    Dates, times, versions, and digits inside names (`COVID-19`, `H2O`) are no numbers. A single sign
    before exactly three digits (`1.234`) is read by the language's own convention.
    """
    return list(_found(text, base_language(language)))


def _found(text: str, language: str) -> Iterator[Quantity]:
    place = 0
    while match := _NUMBER.search(text, place):
        digits, end = match["digits"], match.end()
        if " " in digits and not _is_grouped(digits, language):
            # Two numbers beside each other.
            digits = digits.partition(" ")[0]
            end = match.start("digits") + len(digits)
        place = end
        value = _read(digits, language) if _stands_alone(text, match, end) else None
        if value is None:
            continue
        whole = end == match.end()
        if whole and (exponent := match["exponent"] or match["power"]):
            value *= Fraction(10) ** int(exponent.replace("\u2212", "-"))
        if whole and match["over"]:
            below = int(match["over"]) if len(match["over"]) < _MOST_DIGITS else 0
            if below == 0:
                continue
            value /= below
        if match["sign"] in ("-", "\u2212") and not _is_dash(text, match.start("sign")):
            value = -value
        yield _with_unit(text, end, value, match, language)


def _is_dash(text: str, at: int) -> bool:
    """Whether a minus belongs to the word or number before it."""
    return at > 0 and (text[at - 1].isalnum() or text[at - 1] in ")%")


def _stands_alone(text: str, match: re.Match[str], end: int) -> bool:
    """Whether digits are a number and no part of a name, date, time or version."""
    start = match.start("digits")
    before = text[:start][-2:]
    if before and (_is_letter(before[-1]) or before[-1] in "_:/"):
        return False
    if len(before) == 2 and before[-1] == "-" and _is_letter(before[0]):
        return False
    after = text[end : end + 2]
    if len(after) == 2 and after[0] in ":./" and after[1].isdigit():
        return False
    return after[:1] != "_"


def _is_letter(char: str) -> bool:
    return bool(_LETTER.match(char)) and not _UNSPACED.match(char)


def _is_grouped(digits: str, language: str) -> bool:
    return language in _SPACED and bool(re.fullmatch(r"\d{1,3}(?: \d{3})+(?:[.,]\d+)?", digits))


def _read(digits: str, language: str) -> Fraction | None:
    """Return the value of digits with separators; None where they are no number."""
    if len(digits) > _MOST_DIGITS:
        return None
    plain = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in digits)
    grouped = re.sub(rf"(?<=\d)[ '’{_SPACE}](?=\d{{3}}(?!\d))", "", plain)
    if not re.fullmatch(r"[\d.,]+", grouped, re.ASCII):
        return None
    points, commas = grouped.count("."), grouped.count(",")
    decimal = _decimal_sign(grouped, points, commas, language)
    if decimal is None:
        return None
    thousands = "," if decimal == "." else "."
    head, _, tail = grouped.partition(decimal)
    if thousands in tail or decimal in tail:
        return None
    if thousands in head and not re.fullmatch(
        rf"\d{{1,3}}(?:[{thousands}]\d{{2,3}})*[{thousands}]\d{{3}}", head
    ):
        return None
    return Fraction(f"{head.replace(thousands, '') or '0'}.{tail or '0'}")


def _decimal_sign(text: str, points: int, commas: int, language: str) -> str | None:
    if points and commas:
        return max(".,", key=text.rfind)
    if not points and not commas:
        return "."
    sign, count = (".", points) if points else (",", commas)
    other = "," if sign == "." else "."
    if count > 1:
        return other
    head, _, tail = text.partition(sign)
    if len(tail) != 3 or not 1 <= len(head) <= 3 or head.startswith("0"):
        return sign
    return "," if language in _COMMA else "."


def _with_unit(
    text: str, end: int, value: Fraction, match: re.Match[str], language: str
) -> Quantity:
    rest = text[end : end + 40]
    scales = {**_SCALES["en"], **_SCALES.get(language, {})}
    scale = re.match(r"\s?([^\W\d_]+)\.?(?!\w)", rest)
    if scale and scale[1].lower() in scales:
        value *= 10 ** scales[scale[1].lower()]
        rest = rest[scale.end() :]
    elif scale and rest[:1] in "kK" and len(scale[1]) == 1:
        value *= 1000
        rest = rest[1:]
    sign = match["before"] or match["inner"]
    if sign:
        return Quantity(value, _CURRENCIES[sign.lower()])
    unit = _AFTER_UNIT.match(re.sub(r"^\s?(?:of|de)\s", " ", rest))
    if unit is None:
        return Quantity(value)
    dimension, factor = _UNITS[unit["unit"].lower()]
    return Quantity(value, dimension, factor)
