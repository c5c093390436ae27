"""How a number stands to its neighbour: of one kind, the same said twice, a mere range or bound."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from llmflowlab.text.numbers.number_kinds import ERAS
from llmflowlab.text.numbers.quantity import NumberReading, Quantity
from llmflowlab.text.numbers.units import Unit

__all__ = ["is_converted", "is_near", "is_vague", "of_other_kind", "same_kind", "with_both_signs"]


def same_kind(left: Quantity, right: Quantity, gap: str) -> bool:
    a, b = left.first.unit, right.first.unit
    if a is None or b is None:
        # "3 and 4 km", but not "4, 7 steps later".
        return a is b or not gap.strip(" \u00a0").startswith((",", ";", "、"))
    return isinstance(a, Unit) == isinstance(b, Unit) and (
        not isinstance(a, Unit) or not isinstance(b, Unit) or a.dimension == b.dimension
    )


def is_near(left: Quantity, right: Quantity) -> bool:
    """Whether two neighbours may be the same quantity, one of them rounded."""
    a, b = left.first, right.first
    if isinstance(a.unit, Unit) and isinstance(b.unit, Unit):
        if a.unit.dimension != b.unit.dimension:
            return False
        one, two = a.unit.base(a.value), b.unit.base(b.value)
    else:
        one, two = _as_share(a), _as_share(b)
    return abs(one - two) * 20 <= max(abs(one), abs(two))


def is_converted(left: Quantity, right: Quantity) -> bool:
    """Whether two alternatives are one quantity in two units: `160 minutes, or 2 hours 40 minutes`."""
    a, b = left.first.unit, right.first.unit
    if not isinstance(a, Unit) or not isinstance(b, Unit) or a == b or a.dimension != b.dimension:
        return False
    one, two = a.base(left.first.value), b.base(right.first.value)
    return abs(one - two) * 100 <= max(abs(one), abs(two))


def _as_share(reading: NumberReading) -> Fraction:
    """Return 0.667 for 66.7 %, which 2/3 may be rounded to."""
    unit = reading.unit
    shares = isinstance(unit, Unit) and unit.dimension == (("share", 1),)
    return unit.base(reading.value) if isinstance(unit, Unit) and shares else reading.value


def is_vague(one: Quantity) -> bool:
    """Whether a number leaves open what is meant: a range, a bound, a sum not carried out."""
    return one.first.upper is not None or bool(one.bound) or one.operand


def of_other_kind(one: Quantity, like: Unit) -> bool:
    """Whether a number measures something else than what is asked for."""
    units = [r.unit for r in one.readings if isinstance(r.unit, Unit)]
    if like.dimension in ERAS:
        return not any(unit.dimension in ERAS for unit in units)
    if not units or any(u.dimension == like.dimension for u in units):
        return False
    return not any(_is_money(u) and _is_money(like) for u in units)


def _is_money(unit: Unit) -> bool:
    return any(name.isupper() and len(name) == 3 for name, _ in unit.dimension)


def with_both_signs(one: Quantity) -> tuple[Quantity, ...]:
    """Return ±3 as 3 and −3."""
    if one.bound != "±":
        return (one,)
    minus = tuple(replace(r, value=-r.value) for r in one.readings)
    return (replace(one, bound=""), replace(one, bound="", readings=minus))
