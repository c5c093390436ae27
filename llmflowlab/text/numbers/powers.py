"""Powers, exponents and fractions behind a run of digits: `1e6`, `× 10^3`, `²`, `/4`, `2 1/2`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TypeAlias

from llmflowlab.text.numbers.digits import MOST_DIGITS

__all__ = ["OVER", "Values", "grown", "has_power"]

Values: TypeAlias = "list[tuple[Fraction, bool]]"
"""What a number may be, each with whether it is sure."""

_S = r"[ \u00a0]"
_LARGEST_POWER = 400
_EXPONENT = re.compile(r"[eE]([-+]?\d{1,4})(?![\w.]|,\d)")
_TIMES_TEN = re.compile(
    rf"{_S}?[x×·*]{_S}?10{_S}?(?:\^|\*\*){_S}?[({{]?{_S}?([-+−–]?{_S}?\d{{1,4}})(?!\d){_S}?[)}}]?"
)
_RAISED = re.compile(rf"{_S}?(?:\^|\*\*){_S}?[({{]?([-+−]?\d{{1,4}})(?!\d)[)}}]?")
_IN_WORDS = re.compile(
    rf"{_S}(?:(squared|cubed)(?!\w)|(?:to the power of|hoch|elevado a|elevato a|в степени){_S}(\d{{1,3}})(?!\d))",
    re.IGNORECASE,
)
OVER = re.compile(
    rf"{_S}?/{_S}?(\d{{1,{MOST_DIGITS}}}(?:\.\d{{1,20}})?)(?![\d/]|[.,]\d)(?![^\W_]*/\d)(?!\w)"
)
_MIXED = re.compile(rf"{_S}{{1,2}}(\d{{1,4}}){_S}?/{_S}?(\d{{1,4}})(?![\d/]|[.,]\d)")


def has_power(text: str, end: int) -> bool:
    return bool(_EXPONENT.match(text, end) or _TIMES_TEN.match(text, end))


def grown(text: str, end: int, read: Values) -> tuple[Values, int] | None:
    """Apply power, exponent and fraction; None where that is no number."""
    if power := _EXPONENT.match(text, end) or _TIMES_TEN.match(text, end):
        n = int(re.sub(r"[ \u00a0]", "", power[1]).replace("−", "-").replace("–", "-"))
        if abs(n) > _LARGEST_POWER:
            return None
        return [(value * Fraction(10) ** n, sure) for value, sure in read], power.end()
    if power := _RAISED.match(text, end):
        n = int(power[1].replace("−", "-"))
        sizes = [len(str(v.numerator)) + len(str(v.denominator)) for v, _ in read]
        if abs(n) * max(sizes) > 2 * _LARGEST_POWER or (n < 0 and not all(v for v, _ in read)):
            return None
        return [(value**n, sure) for value, sure in read], power.end()
    if power := _IN_WORDS.match(text, end):
        n = int(power[2] or {"squared": 2, "cubed": 3}.get((power[1] or "").casefold(), 1))
        if (
            abs(n) * max(len(str(v.numerator)) + len(str(v.denominator)) for v, _ in read)
            < _LARGEST_POWER
        ):
            return [(value**n, sure) for value, sure in read], power.end()
        return None
    if mixed := _MIXED.match(text, end):
        above, below = int(mixed[1]), int(mixed[2])
        if 0 < above < below and all(value.denominator == 1 for value, _ in read):
            return [(value + Fraction(above, below), s) for value, s in read], mixed.end()
    if over := OVER.match(text, end):
        divisor = Fraction(over[1])
        return ([(value / divisor, s) for value, s in read], over.end()) if divisor else None
    return read, end
