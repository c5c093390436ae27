r"""Formulas in a marked answer: the 3 of `\boxed{e^3}` and the 1 of `\boxed{x + 1}` are not what it says."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import replace

from llmflowlab.text.numbers.canonical import CLOSE, OPEN, OPEN_MACHINE
from llmflowlab.text.numbers.quantity import Quantity

__all__ = ["with_formulas"]

_MARKED = re.compile(f"[{OPEN}{OPEN_MACHINE}]([^{CLOSE}]{{0,500}}){CLOSE}")
_SEGMENT = re.compile(r"(?:(?![ \u00a0]and[ \u00a0])[^=≈,;\n])+")
"""What stands on one side of a sign of equality; `x + 1 = 4` says 4."""
_NUMBER = "0"
_VARIABLE = r"(?<![^\W\d_])[A-Za-zα-ω](?![^\W\d_])"
_OPERATOR = r"(?:[ \u00a0]{0,3}[+*·×÷/^][ \u00a0]{0,3}|[-−–])"
_DASH = r"[ \u00a0]{1,3}[-−–][ \u00a0]{1,3}"
_FORMULA = re.compile(
    rf"{_VARIABLE}{_OPERATOR}|{_OPERATOR}[({{]?[-−]?{_VARIABLE}"
    # An amount; a number in another base.
    r"|\||\d_\{?\d"
    r"|\\(?:[dt]?binom|ln|log|exp|sin|cos|tan|cot|sec|csc|arc(?:sin|cos|tan)|sum|prod|int|lim|b?mod|sqrt|[dt]?frac"
    r"|[lr]?vert|[lr]floor|[lr]ceil|infty|alpha|beta|gamma|theta|lambda|phi|omega)(?![A-Za-z])"
)
_DIFFERENCE = re.compile(rf"{_VARIABLE}{_DASH}|{_DASH}[({{]?{_VARIABLE}")
_WORD = re.compile(r"(?<![^\W\d_])(?<!\\)[^\W\d_]{2}")
"""Beside words, a dash is hardly a minus: `Option C - 5`."""


def with_formulas(text: str, found: list[Quantity]) -> list[Quantity]:
    """Return numbers with those marked that are only part of a formula, whose value was not said."""
    out = list(found)
    for marked in _MARKED.finditer(text):
        start = marked.start(1)
        first = bisect_left(found, start, key=_start)
        last = bisect_left(found, marked.end(1), key=_start)
        plain = marked[1]
        for one in found[first:last]:
            # A unit is no variable.
            end = min(one.end, marked.end(1))
            blank = _NUMBER * (end - one.start)
            plain = plain[: one.start - start] + blank + plain[end - start :]
        for segment in _SEGMENT.finditer(plain) if first < last else ():
            if not _is_formula(segment[0]):
                continue
            for n in range(first, last):
                if segment.start() <= found[n].start - start < segment.end():
                    out[n] = replace(found[n], operand=True)
    return out


def _is_formula(text: str) -> bool:
    if _FORMULA.search(text):
        return True
    return not _WORD.search(text) and _DIFFERENCE.search(text) is not None


def _start(one: Quantity) -> int:
    return one.start
