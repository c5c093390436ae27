"""Finds the numbers of a canonical text, each with sign, power, scale word, currency and unit."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from math import isqrt

from llmflowlab.text.numbers.boxes import measured_behind_box
from llmflowlab.text.numbers.digits import RUN, Convention, values
from llmflowlab.text.numbers.lexicon import ORDINAL
from llmflowlab.text.numbers.masks import masked
from llmflowlab.text.numbers.powers import OVER, Values, grown, has_power
from llmflowlab.text.numbers.quantity import NumberReading, Quantity
from llmflowlab.text.numbers.scales import scale_at
from llmflowlab.text.numbers.signs import booked, follows_money, prefix
from llmflowlab.text.numbers.unit_table import PI
from llmflowlab.text.numbers.unit_text import Found, Noun, money, unit_at
from llmflowlab.text.numbers.units import Unit, combined, symbolised

__all__ = ["numbers_in"]

_S = r"[ \u00a0]"
_NUMBER = re.compile(rf"(?P<run>{RUN})|(?P<symbol>√(?!{_S}?\d)|π)")
_PI = re.compile(rf"{_S}?[·*×]?{_S}?π")
_ROOT = re.compile(rf"{_S}?[·*×]?{_S}?√")
_IMAGINARY = re.compile(r"i(?![^\W\d_])")
_DENSE = re.compile(
    "[\u0590-\u06ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
# A small `m`, `b` or `t` after money is a scale; so is a capital anywhere.
_LETTER_SCALE = re.compile(r"(?P<gap>[ \u00a0]?)(?P<letter>[kKmMbBtT])(?![\w²/^·])")
_ORDINAL = ((Noun(("ordinal",)), True),)
_CONNECTING = re.compile(r"[ \u00a0](?:of|de|di)(?=[ \u00a0])|[ \u00a0]d'(?=[^\W\d_])")
_LETTERS = {"k": 3, "m": 6, "b": 9, "t": 12}


def numbers_in(text: str, how: Convention, language: str | None) -> list[Quantity]:
    """Return the numbers of a canonical text in order, each alone; never raises."""
    return list(_Scan(text, how, language).run())


class _Scan:
    def __init__(self, text: str, how: Convention, language: str | None) -> None:
        self._text = text
        self._how = how
        self._language = language
        self._last_end = 0
        """Where the last number with its unit ends."""

    def run(self) -> Iterator[Quantity]:
        text, place = self._text, 0
        masks = deque(masked(text))
        while match := _NUMBER.search(text, place):
            while masks and masks[0][1] <= match.start():
                masks.popleft()
            if masks and masks[0][0] < match.end():
                place = max(masks[0][1], match.start() + 1)
                self._last_end = place
                continue
            found = self._symbol(match) if match["symbol"] else self._number(match)
            place = match.end() if found is None else max(found[1], match.start() + 1)
            if found is not None and found[0] is not None:
                self._last_end = place
                yield found[0]

    def _symbol(self, match: re.Match[str]) -> tuple[Quantity | None, int]:
        alone = not re.search(r"\w$", self._text[: match.start()][-1:])
        if match["symbol"] == "π" and alone:
            value = Fraction(PI)
            end = match.end()
            if over := OVER.match(self._text, end):
                if not (below := Fraction(over[1])):
                    return None, over.end()
                value, end = value / below, over.end()
            return self._dressed(match.start(), end, [(value, True)], whole=True)
        unread = NumberReading(value=Fraction(0), sure=False)
        return Quantity(
            readings=(unread,), start=match.start(), end=match.end(), operand=True
        ), match.end()

    def _number(self, match: re.Match[str]) -> tuple[Quantity | None, int] | None:
        run, start = match["run"], match.start()
        if run[0] in ".,٫" and (self._text[start - 1 : start].isalnum() if start else False):
            run, start = run[1:], start + 1
        read = values(run, self._how)
        run, read = self._without_neighbour(run, read)
        end = start + len(run)
        if not read or not self._stands_alone(start, end):
            return None if end == match.end() else (None, end)
        if self._text[start - 1 : start] == "√":
            return self._root(start, end, read)
        return self._dressed(start, end, read, whole=False)

    def _without_neighbour(self, run: str, read: Values) -> tuple[str, Values]:
        """Return a run of digits without the number that stands beside it."""
        # Who writes decimals with a comma may group with a space, whatever CLDR prefers.
        if read and " " in run and not self._how.spaced and self._how.decimal != ",":
            groups = run.replace(",", ".").partition(".")[0].split(" ")
            if len(groups) == 2 and not groups[1].startswith("0"):
                return run, [(value, False) for value, _ in read]
        if read:
            return run, read
        for sign in " \u00a0'":
            if sign in run:
                first = run.partition(sign)[0]
                return first, values(first, self._how)
        if run.count(",") > 1 and "." not in run:
            first = run.partition(",")[0]
            return first, values(first, self._how)
        return run, read

    def _root(self, start: int, end: int, read: Values) -> tuple[Quantity | None, int]:
        value = read[0][0]
        if value.denominator == 1 and isqrt(value.numerator) ** 2 == value.numerator:
            root = [(Fraction(isqrt(value.numerator)), True)]
            return self._dressed(start - 1, end, root, whole=True)
        unread = NumberReading(value=Fraction(0), sure=False)
        return Quantity(readings=(unread,), start=start - 1, end=end, operand=True), end

    def _stands_alone(self, start: int, end: int) -> bool:
        """Whether digits are a number and no part of a name, a time or code."""
        text = self._text
        before, after = text[max(start - 2, 0) : start], text[end : end + 2]
        last = before[-1:]
        attached = start == self._last_end and start > 0
        in_word = bool(last) and (_is_letter(last) or last in "_@\\") and not attached
        if in_word and not follows_money(text, start, self._language):
            return False
        if (
            len(before) == 2
            and before[0].isalnum()
            and (last == "/" or (last == ":" and before[0].isdigit()))
        ):
            return False
        if len(before) == 2 and last == "-" and _is_letter(before[0]):
            return False
        if len(after) == 2 and after[0] == ":" and after[1].isdigit():
            return False
        if re.match(r"x[0-9a-fA-F]|[a-zA-Z]{1,3}\d", text[end : end + 5]) and not self._joined(end):
            return False
        return after[:1] != "_"

    def _joined(self, end: int) -> bool:
        """Whether letters and digits after a number are a unit's: `5m2`, `1h30`, `1e6`, `3x4`."""
        if has_power(self._text, end):
            return True
        unit = unit_at(self._text, end, self._language)
        return unit is not None and not isinstance(unit.readings[0][0], Noun)

    def _dressed(
        self, start: int, end: int, read: Values, *, whole: bool
    ) -> tuple[Quantity | None, int]:
        """Return a number with what stands before and after it, and where that ends."""
        text = self._text
        if not whole:
            more = grown(self._text, end, read)
            if more is None:
                return None, end
            read, end = more
        if _ROOT.match(text, end) or _IMAGINARY.match(text, end):
            unread = NumberReading(value=Fraction(0), sure=False)
            return Quantity(readings=(unread,), start=start, end=end, operand=True), end
        if pi := _PI.match(text, end):
            read, end = [(v * Fraction(PI), sure) for v, sure in read], pi.end()
            if over := OVER.match(text, end):
                below = Fraction(over[1])
                read, end = [(v / below, sure) for v, sure in read if below], over.end()
        first, sign, codes = prefix(text, start, self._last_end, self._language)
        if text[end : end + 1] == ")" and (loss := booked(text, first, self._language)):
            codes, sign, end = loss, -1, end + 1
        scale, end = self._scale(measured_behind_box(text, first, end, self._language))
        read = [(value * sign * scale, sure) for value, sure in read]
        if not read:
            return None, end
        if first and text[first - 1] == "%" and not re.match(r"[\w)]", text[first - 2 : first - 1]):
            # Turkish writes %50.
            shares = _readings(read, ((symbolised("%")[0], True),), True)
            return _quantity(shares, first - 1, end), end
        if text[:first].strip() == "(" and text[end:].strip() == ")" and sign == 1:
            # All in brackets: a loss where it is money; else hardly.
            read = [(-v, s) for v, s in read] if codes else [*read, *((-v, False) for v, _ in read)]
        return self._with_unit(first, end, read, codes)

    def _scale(self, end: int) -> tuple[Fraction, int]:
        factor = Fraction(1)
        for _ in range(3):
            scale = scale_at(self._text, end, self._language)
            if scale is None:
                break
            factor, end = factor * scale[0], scale[1]
        return factor, end

    def _with_unit(
        self, start: int, end: int, read: Values, codes: tuple[str, ...]
    ) -> tuple[Quantity, int]:
        text = self._text
        if ORDINAL.match(text, end):
            return _quantity(_readings(read, _ORDINAL, True), start, end), end
        joint = _CONNECTING.match(text, end)
        unit = unit_at(text, joint.end() if joint else end, self._language)
        letter = _LETTER_SCALE.match(text, end)
        scaled: list[NumberReading] = []
        stop = unit.end if unit else end
        if letter and (codes or letter["letter"] in ("kKMB" if letter["gap"] else "kKMBT")):
            power = 10 ** _LETTERS[letter["letter"].lower()]
            more = [(value * power, sure) for value, sure in read]
            if codes:
                return _quantity(
                    _readings(more, money(codes), True), start, letter.end()
                ), letter.end()
            behind = unit_at(text, letter.end(), self._language)
            # 300 K are kelvin, 300K hardly.
            likely = letter["letter"] in "kM" or not letter["gap"]
            scaled = _readings(more, behind.readings if behind else None, likely)
            stop = max(behind.end if behind else letter.end(), stop)
        if codes:
            return self._paid(start, end, read, codes, unit)
        if scaled and (unit is None or isinstance(unit.readings[0][0], Noun)):
            return _quantity(scaled, start, stop), stop
        plain = _readings(read, unit.readings if unit else None, True)
        both = [*scaled, *plain] if scaled and scaled[0].sure else [*plain, *scaled]
        return _quantity(both, start, stop), stop

    def _paid(
        self,
        start: int,
        end: int,
        read: Values,
        codes: tuple[str, ...],
        unit: Found | None,
    ) -> tuple[Quantity, int]:
        """Return money whose sign stands before; a code behind says which dollars are meant."""
        known = money(codes)
        if unit is not None and not isinstance(unit.readings[0][0], Noun):
            behind = [u for u, _ in unit.readings if isinstance(u, Unit)]
            dimensions = {u.dimension for u, _ in known if isinstance(u, Unit)}
            if any(u.dimension in dimensions for u in behind):
                return _quantity(_readings(read, unit.readings, True), start, unit.end), unit.end
        per = re.compile(r"[ \u00a0]?(?:/|per|an?(?=[ \u00a0]))[ \u00a0]?").match(self._text, end)
        below = unit_at(self._text, per.end(), self._language) if per else None
        if per and below is not None and isinstance(below.readings[0][0], Unit):
            under = below.readings[0][0]
            made = [(combined([(u, 1), (under, -1)]), s) for u, s in known if isinstance(u, Unit)]
            return _quantity(_readings(read, tuple(made), True), start, below.end), below.end
        return _quantity(_readings(read, known, True), start, end), end


def _readings(
    read: Values,
    units: tuple[tuple[Unit | Noun, bool], ...] | None,
    sure: bool,
) -> list[NumberReading]:
    pairs: tuple[tuple[Unit | Noun | None, bool], ...] = units or ((None, True),)
    return [
        NumberReading(value=value, unit=unit, sure=sure and known and certain)
        for value, known in read
        for unit, certain in pairs
    ]


def _quantity(readings: list[NumberReading], start: int, end: int) -> Quantity:
    return Quantity(readings=tuple(readings), start=start, end=end)


def _is_letter(char: str) -> bool:
    return char.isalpha() and not _DENSE.match(char)
