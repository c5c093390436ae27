"""A number in a text with all that its neighbours say of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

from llmflowlab.text.numbers.unit_text import Noun
from llmflowlab.text.numbers.units import Unit

__all__ = ["NumberRank", "NumberReading", "Quantity", "between"]


class NumberRank(IntEnum):
    """How likely a number answers a question; the likeliest of a text are looked at alone."""

    NUMBERING = 0
    """The number of a line in a list, or of a source in brackets."""
    LABEL = 1
    """An ordinal, part of a date, or the number of a step, figure or page."""
    YEAR = 2
    PLAIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberReading:
    """One way to understand a number."""

    value: Fraction
    """As it stands in the text, in its own unit."""
    upper: Fraction | None = None
    """The end of a range whose beginning is `value`; None for a single number."""
    unit: Unit | Noun | None = None
    sure: bool = True
    """Whether nothing else would be understood; what is not sure decides nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number and its unit, where it stands, and what is said of it."""

    readings: tuple[NumberReading, ...]
    """Never empty; the likeliest first. The sure ones differ in dimension only (`5 M`: million, molar)."""
    start: int
    end: int
    """Behind the unit, in the canonical text."""
    rank: NumberRank = NumberRank.PLAIN
    negated: bool = False
    """`not 5`."""
    bound: str = ""
    """The words of `more than 5`, `at least 5`, `< 5`, which say no number but one side of it."""
    operand: bool = False
    """Part of a sum or product that was not carried out, or of a root or another symbol."""
    loose_range: bool = False
    """`from 5 to 10` may be a range or a change, of which the last number counts."""
    margin: Fraction | None = None
    """What stands after ±, in the same unit."""
    whole: Fraction | None = None
    """The 20 of `5 out of 20`."""
    sources: tuple[Quantity, ...] = ()
    """The numbers that it was put together from."""

    @property
    def first(self) -> NumberReading:
        return self.readings[0]


def between(text: str, left: Quantity, right: Quantity) -> str:
    """Return what stands between two numbers, without the noun that the first one counts."""
    gap = text[left.end : right.start]
    unit = left.first.unit
    if not isinstance(unit, Noun):
        return gap
    noun = re.match(r"[^\W\d_]+", gap)
    return gap[noun.end() :] if noun and noun[0].casefold() == unit.words[0] else gap
