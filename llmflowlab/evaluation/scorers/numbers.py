"""When two numbers with their units are the same, within a tolerance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

from llmflowlab.text.numbers import DEGREE, Noun, NumberReading, Quantity, Unit

__all__ = ["NumberMatch", "Tolerance"]


class NumberMatch(IntEnum):
    """Whether two numbers are the same; `OPEN` where they may be, as one is understood or another."""

    NO = 0
    OPEN = 1
    YES = 2


_SHARE = (("share", 1),)
_BASIS_POINTS = (("basis_points", 1),)
_OF_BASIS_POINTS = (_SHARE, (("points", 1),))
_BEFORE_CHRIST = (("years_bc", 1),)
_TEMPERATURE = (("temperature", 1),)
# Endings of number and case; what is left is compared.
_ENDINGS = (
    *("s", "es", "en", "n", "e", "er", "x", "i", "a", "o"),
    *("а", "о", "ы", "и", "у", "е", "ов", "ев", "ей", "ь", "я", "ам", "ами", "ом"),
)
_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
}
_LEAST_STEM = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far apart numbers may be, and what their units have to do with it."""

    absolute: Fraction
    """In the expected number's unit."""
    relative: Fraction
    units: str
    """`check`, `strict` or `ignore`."""

    def agreement(self, given: Quantity, wanted: Quantity) -> NumberMatch:
        """Return whether a given number is the wanted one."""
        if given.operand:
            return NumberMatch.OPEN
        if given.whole is not None and wanted.whole not in (None, given.whole):
            return NumberMatch.NO
        found = max(self._by_reading(given, wanted), default=NumberMatch.NO)
        if given.bound != wanted.bound and found > NumberMatch.NO:
            return NumberMatch.OPEN if given.bound and wanted.bound else NumberMatch.NO
        if given.loose_range and wanted.first.upper is None:
            ends = (self.agreement(end, wanted) for end in given.sources)
            return min(max(ends, default=NumberMatch.NO), NumberMatch.OPEN)
        return found

    def _by_reading(self, given: Quantity, wanted: Quantity) -> Iterator[NumberMatch]:
        # How the expected number writes its decimals is not open: English, where no language tells.
        meant = [r for r in wanted.readings if r.sure or r.value == wanted.first.value]
        for one in given.readings:
            for other in meant:
                first = one.unit == given.first.unit and other.unit == wanted.first.unit
                found = self._same(one, other, first=first, margin=wanted.margin)
                yield found if one.sure and other.sure else min(found, NumberMatch.OPEN)

    def _same(
        self, given: NumberReading, wanted: NumberReading, *, first: bool, margin: Fraction | None
    ) -> NumberMatch:
        if (given.upper is None) != (wanted.upper is None):
            return NumberMatch.NO
        if self.units == "ignore":
            return self._near(given, wanted, None, None, margin)
        a, b = given.unit, wanted.unit
        if isinstance(a, Unit) and isinstance(b, Unit):
            if _convertible(a, b):
                return self._near(given, wanted, a, b, margin)
            # "20 degrees" leave the scale open.
            open_scale = DEGREE in (a, b) and _TEMPERATURE in (a.dimension, b.dimension)
            return self._near(given, wanted, None, None, margin) if open_scale else NumberMatch.NO
        if isinstance(a, Noun) and isinstance(b, Noun):
            same = _same_noun(a.words, b.words)
            return self._near(given, wanted, None, None, margin) if same else NumberMatch.NO
        if isinstance(a, Unit) and a.dimension == _BEFORE_CHRIST:
            # A year without a word for it is one of our era.
            return NumberMatch.NO
        if a is None and b is None:
            return self._near(given, wanted, None, None, margin)
        if (a is not None and b is not None) or self.units == "strict" or not first:
            return NumberMatch.NO
        return self._without_unit(given, wanted, margin)

    def _without_unit(
        self, given: NumberReading, wanted: NumberReading, margin: Fraction | None
    ) -> NumberMatch:
        """Compare where one number has a unit and the other none."""
        plain = self._near(given, wanted, None, None, margin)
        shares = [
            u for u in (given.unit, wanted.unit) if isinstance(u, Unit) and u.dimension == _SHARE
        ]
        if not shares:
            return plain
        one = Unit(dimension=_SHARE)
        if self._near(given, wanted, _unit_or(given, one), _unit_or(wanted, one), margin):
            return NumberMatch.YES
        # 0.45 % and 0.45 may be the same said twice, or 0.45 % and 45 %.
        bare = given if given.unit is None else wanted
        return min(plain, NumberMatch.OPEN) if 0 < abs(bare.value) < 1 else plain

    def _near(
        self,
        given: NumberReading,
        wanted: NumberReading,
        a: Unit | None,
        b: Unit | None,
        margin: Fraction | None,
    ) -> NumberMatch:
        unit = b.factor if b else Fraction(1)
        pairs = [(given.value, wanted.value)]
        if given.upper is not None and wanted.upper is not None:
            pairs.append((given.upper, wanted.upper))
        for one, other in pairs:
            left, right = (a.base(one) if a else one), (b.base(other) if b else other)
            allowed = max(
                max(self.absolute, margin or Fraction(0)) * unit,
                # Of what the number says, not of its distance from absolute zero.
                self.relative * abs(other) * unit,
            )
            if abs(left - right) > allowed:
                return NumberMatch.NO
        return NumberMatch.YES


def _unit_or(reading: NumberReading, bare: Unit) -> Unit:
    return reading.unit if isinstance(reading.unit, Unit) else bare


def _convertible(a: Unit, b: Unit) -> bool:
    if a.dimension == b.dimension:
        return True
    # A basis point is said of shares and of differences between them.
    return any(
        one.dimension == _BASIS_POINTS and other.dimension in _OF_BASIS_POINTS
        for one, other in ((a, b), (b, a))
    )


def _same_noun(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the shorter phrase stands in the longer: `apples` in `red apples left`."""
    short, long = sorted((one, other), key=len)
    if len(one) == len(other) == 1 and _is_dense(one[0]):
        a, b = sorted((one[0], other[0]), key=len)
        return b.startswith(a)
    places = iter(range(len(long)))
    return all(any(_same_at(word, long, n) for n in places) for word in short)


def _same_at(word: str, phrase: Sequence[str], n: int) -> bool:
    # Of "apple trees" the apple is no noun of its own.
    modifies = n + 1 < len(phrase) and word != phrase[n] and word.isascii()
    return not modifies and _same_word(word, phrase[n])


def _is_dense(word: str) -> bool:
    return bool(re.match("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", word))


def _same_word(one: str, other: str) -> bool:
    return bool(_stems(_IRREGULAR.get(one, one)) & _stems(_IRREGULAR.get(other, other)))


def _stems(word: str) -> set[str]:
    if word.endswith("ies"):
        word = word[:-3] + "y"
    cut = {
        word[: -len(e)] for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= _LEAST_STEM
    }
    return {word, *cut}
