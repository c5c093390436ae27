"""The value of a run of digits with separators; where a separator is ambiguous, each value it has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from llmflowlab.text.numbers.cldr import decimal_sign, groups_with_space

__all__ = ["MACHINE", "MOST_DIGITS", "RUN", "Convention", "convention_of", "values"]

MOST_DIGITS = 300
"""Longer runs of digits are no quantities, and slow to calculate with."""
MACHINE = "machine"
"""The language of JSON's numbers: a decimal point, no groups."""

RUN = r"\d+(?:[.,'٫٬\u00a0 ]\d+){0,40}|[.,٫]\d+"
"""Digits with separators; bounded, so that a page of digits is read in linear time."""
_GROUPED = {sign: re.compile(rf"\d{{1,3}}(?:{re.escape(sign)}\d{{3}})+") for sign in ".' \u00a0٬"}
# Only a comma groups as India does: 1,50,000.
_GROUPED[","] = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """How the numbers of a text are written."""

    decimal: str | None
    """The decimal sign; None where neither language nor text tells."""
    spaced: bool
    """A plain space groups thousands."""


def convention_of(text: str, language: str | None) -> Convention:
    """Return how a text writes numbers: as its own clear numbers do, else as its language does."""
    if language == MACHINE:
        return Convention(decimal=".", spaced=False)
    own = decimal_sign(language)
    strong: set[str] = set()
    weak: set[str] = set()
    for match in re.finditer(r"(?<![\w.,])\d+(?:[.,]\d+)+(?![\w]|[.,]\d)", text):
        run = match[0]
        marks = [c for c in run if c in ".,"]
        if len(set(marks)) == 2 and marks.count(marks[-1]) == 1:
            strong.add(marks[-1])
        elif len(marks) > 1 and len(set(marks)) == 1 and _GROUPED[marks[0]].fullmatch(run):
            strong.add("," if marks[0] == "." else ".")
        elif len(marks) == 1 and len(run) - run.index(marks[0]) != 4:
            weak.add(marks[0])
    for seen in (strong, weak if own is None else set()):
        if len(seen) == 1:
            return Convention(decimal=seen.pop(), spaced=groups_with_space(language))
    return Convention(decimal=own, spaced=groups_with_space(language))


def values(run: str, how: Convention) -> list[tuple[Fraction, bool]]:
    """Return the values of a run of digits and separators, each with whether it is sure.

    Empty where it is no number (a version, an address, a date). `1.234` and `1,234` have two values
    where nothing tells how decimals are written; the first is that of English.
    """
    if len(run) > MOST_DIGITS:
        return []
    plain = run
    for sign in "'\u00a0 ٬":
        if sign in plain:
            head, mark, tail = _partition(plain, ".,٫")
            if not _GROUPED[sign].fullmatch(head):
                return []
            plain = head.replace(sign, "") + mark + tail
    if "٫" in plain:
        head, _, tail = plain.partition("٫")
        return _one(head, tail) if tail.isdigit() and re.fullmatch(r"\d*", head) else []
    marks = [c for c in plain if c in ".,"]
    if not marks:
        return _one(plain, "")
    if len(set(marks)) == 2:
        return _split(plain, marks[-1]) if marks.count(marks[-1]) == 1 else []
    if len(marks) > 1:
        return _one(plain.replace(marks[0], ""), "") if _GROUPED[marks[0]].fullmatch(plain) else []
    head, sign, tail = _partition(plain, ".,")
    grouped = plain == run and _GROUPED[sign].fullmatch(plain) and not head.startswith("0")
    if not grouped:
        return _one(head, tail)
    decimal, whole = _one(head, tail), _one(head + tail, "")
    if how.decimal is not None:
        return decimal if how.decimal == sign else whole
    first, second = (decimal, whole) if sign == "." else (whole, decimal)
    return [*first, (second[0][0], False)]


def _partition(text: str, signs: Iterable[str]) -> tuple[str, str, str]:
    at = min((i for i in map(text.find, signs) if i >= 0), default=len(text))
    return text[:at], text[at : at + 1], text[at + 1 :]


def _split(plain: str, decimal: str) -> list[tuple[Fraction, bool]]:
    head, _, tail = plain.partition(decimal)
    group = "," if decimal == "." else "."
    if not _GROUPED[group].fullmatch(head):
        return []
    return _one(head.replace(group, ""), tail)


def _one(whole: str, tail: str) -> list[tuple[Fraction, bool]]:
    return [(Fraction(f"{whole or '0'}.{tail or '0'}"), True)]
