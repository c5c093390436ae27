"""Puts neighbouring numbers together: ranges, margins, `5 ft 10 in`, `1億2000万`, sums not carried out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from llmflowlab.text.numbers.lexicon import CONJUNCTION, RANGE, RANGE_BEGINS
from llmflowlab.text.numbers.quantity import NumberReading, Quantity, between
from llmflowlab.text.numbers.unit_text import Noun
from llmflowlab.text.numbers.units import Unit, symbolised

__all__ = ["joined"]

_MARGIN = re.compile(r"[ \u00a0]?(?:±|\+/-|\+-|plus or minus)[ \u00a0]?")
_OPERATOR = re.compile(
    r"[ \u00a0]?(?:[+*×÷·/^]|\*\*)[ \u00a0]?(?:\([ \u00a0]?)?"
    r"|[ \u00a0](?:plus|minus|times|divided by|multiplied by|mal|geteilt durch|x|fois|divisé par|dividido por|diviso|più|vezes|умножить на|разделить на)[ \u00a0]",
    re.IGNORECASE,
)
_MINUS = re.compile(r"[ \u00a0]?[-−–][ \u00a0]?")
_BESIDE = re.compile(
    r"(?P<point>\.)?[ \u00a0]?(?:,[ \u00a0]?)?(?:(?:and|und|et|y|e|и|en)[ \u00a0])?", re.IGNORECASE
)
_DENSE_SCALE = re.compile(r"[百千万萬亿億兆만억조천백]$")
_SCALED = re.compile(r"[^\W\d_]+\.?[ \u00a0]?$")
_ADDED = frozenset({"length", "mass", "time", "months", "angle"})
"""What is said in several units at once: feet and inches, hours and minutes."""


def joined(text: str, found: list[Quantity]) -> list[Quantity]:
    """Return the numbers of a text with those put together that belong together."""
    for step in (_with_margins, _scaled_together, _added, _ranges, _operands):
        found = step(text, found)
    return found


def _pairwise(
    text: str, found: list[Quantity], join: Callable[[str, Quantity, Quantity], Quantity | None]
) -> list[Quantity]:
    out: list[Quantity] = []
    for one in found:
        made = join(text, out[-1], one) if out else None
        if made is not None:
            out[-1] = made
        else:
            out.append(one)
    return out


def _with_margins(text: str, found: list[Quantity]) -> list[Quantity]:
    def join(text: str, left: Quantity, right: Quantity) -> Quantity | None:
        if left.margin is not None or not _MARGIN.fullmatch(between(text, left, right)):
            return None
        if left.first.unit is None and right.first.unit is not None:
            left = replace(left, readings=_given_unit(left, right))
        return replace(left, margin=abs(right.first.value), end=right.end)

    return _pairwise(text, found, join)


def _scaled_together(text: str, found: list[Quantity]) -> list[Quantity]:
    """Add what a smaller scale continues: 1億2345万, 3万5千円, 2 crore 50 lakh."""

    def join(text: str, left: Quantity, right: Quantity) -> Quantity | None:
        said, gap = text[left.start : left.end], text[left.end : right.start]
        dense = not gap and bool(_DENSE_SCALE.search(said))
        both = not gap.strip(" \u00a0") and _SCALED.search(said) and _is_scaled(text, right)
        if left.first.unit is not None or left.operand or right.operand or not (dense or both):
            return None
        if not 0 < right.first.value < left.first.value or left.first.value.denominator != 1:
            return None
        if int(left.first.value) % 10 ** len(str(int(right.first.value))):
            return None
        total = tuple(replace(r, value=left.first.value + r.value) for r in right.readings)
        return replace(left, readings=total, end=right.end)

    return _pairwise(text, found, join)


def _is_scaled(text: str, one: Quantity) -> bool:
    return one.first.value >= 1000 and bool(
        re.search(r"\d[ \u00a0]?[^\W\d_]", text[one.start : one.end])
    )


def _added(text: str, found: list[Quantity]) -> list[Quantity]:
    def join(text: str, left: Quantity, right: Quantity) -> Quantity | None:
        beside = _BESIDE.fullmatch(between(text, left, right))
        if beside is None:
            return None
        a, b = left.first, _smaller(text, left, right)
        if not isinstance(a.unit, Unit) or not isinstance(b.unit, Unit):
            return None
        name = a.unit.dimension[0][0] if len(a.unit.dimension) == 1 else ""
        # "1 Std. 30 Min."; a point after a symbol ends the sentence.
        if beside["point"] and not (name == "time" and text[left.end - 2 : left.end].isalpha()):
            return None
        if a.unit.dimension != b.unit.dimension or not (name in _ADDED or name.isupper()):
            return None
        whole = a.value.denominator == 1 and b.value >= 0 and a.unit.offset == 0
        if not whole or b.unit.factor >= a.unit.factor or b.value * b.unit.factor >= a.unit.factor:
            return None
        sign = -1 if a.value < 0 else 1
        total = a.value + sign * b.value * b.unit.factor / a.unit.factor
        return replace(left, readings=(replace(a, value=total),), end=right.end)

    return _pairwise(text, found, join)


def _smaller(text: str, left: Quantity, right: Quantity) -> NumberReading:
    """Return the reading of a number; minutes right behind hours (`1h30`), cents behind `3 euros 50`."""
    unit, hour = left.first.unit, symbolised("h")[0]
    if not isinstance(unit, Unit):
        return right.first
    if right.first.unit is not None:
        # Cents are those of the euros before them.
        alike = (r for r in right.readings if getattr(r.unit, "dimension", None) == unit.dimension)
        return next(alike, right.first)
    if right.start == left.end and unit == hour:
        return replace(right.first, unit=symbolised("min")[0])
    money = len(unit.dimension) == 1 and unit.dimension[0][0].isupper()
    cents = re.fullmatch(r"[ \u00a0]\d\d", text[left.end : right.end])
    if money and cents and text[left.end - 3 : left.end].isalpha():
        return replace(right.first, unit=replace(unit, factor=unit.factor / 100))
    return right.first


def _ranges(text: str, found: list[Quantity]) -> list[Quantity]:
    def join(text: str, left: Quantity, right: Quantity) -> Quantity | None:
        begins = RANGE_BEGINS.search(text[max(left.start - 14, 0) : left.start])
        bounded = begins is not None and begins["between"] is not None
        plain = RANGE.fullmatch(between(text, left, right)) is not None
        if not plain and not (bounded and CONJUNCTION.fullmatch(between(text, left, right))):
            return None
        if left.operand or right.operand or left.first.upper is not None:
            return None
        dashed = bool(_MINUS.fullmatch(between(text, left, right)))
        low, high = _comparable(left, right)
        if (dashed and low >= high) or (not dashed and low >= high and begins is None):
            return None
        if (
            isinstance(left.first.unit, Unit)
            and left.first.unit != right.first.unit
            and right.first.unit
        ):
            return None
        readings = _given_unit(left, right) if left.first.unit is None else left.readings
        ends = tuple(replace(r, upper=right.first.value) for r in readings)
        loose = begins is not None and not bounded
        return replace(left, readings=ends, end=right.end, loose_range=loose, sources=(left, right))

    return _pairwise(text, found, join)


def _comparable(left: Quantity, right: Quantity) -> tuple[Fraction, Fraction]:
    return left.first.value, right.first.value


def _given_unit(left: Quantity, right: Quantity) -> tuple[NumberReading, ...]:
    """Return the left number's value with the right number's units: `5–10 km`."""
    return tuple(replace(r, value=left.first.value) for r in right.readings)


def _operands(text: str, found: list[Quantity]) -> list[Quantity]:
    """Mark numbers that stand in a sum or product; what it comes to was not said by them."""
    out = list(found)
    for n in range(1, len(out)):
        left, right = out[n - 1], out[n]
        sign = _OPERATOR.fullmatch(between(text, left, right))
        # A noun was looked at, not taken: "3 apples + 4".
        minus = _MINUS.fullmatch(between(text, left, right))
        if sign or minus:
            if isinstance(left.first.unit, Noun) and not sign:
                continue
            out[n - 1], out[n] = replace(left, operand=True), replace(right, operand=True)
    return out
