"""Whether an answer names the expected number."""

from __future__ import annotations

from fractions import Fraction

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.scorers.common import ExpectingScorer, Unscored, accepted, row_language
from llmflowlab.evaluation.scorers.numbers import NumberMatch, Tolerance
from llmflowlab.evaluation.scorers.scorer_options import Options
from llmflowlab.text.numbers import (
    ChosenNumber,
    Numbers,
    Quantity,
    Unit,
    asks_for_year,
    could_be_year,
    dates_in,
    has_words,
    in_digits,
    read_numbers,
)

__all__ = ["NumericMatch"]

_SPELLED = 10**12
"""Nobody writes larger numbers out."""
_NO, _OPEN, _YES = NumberMatch.NO, NumberMatch.OPEN, NumberMatch.YES


class NumericMatch(ExpectingScorer):
    """1 where the number that an answer gives (or any in it) is the expected one within a tolerance."""

    version = "3"

    def configure(self, options: Options) -> None:
        absolute = Fraction(options.number("absolute", 0.0))
        relative = Fraction(options.number("relative", 0.0))
        self._which = options.choice("which", ("last", "any"), "last")
        units = options.choice("units", ("check", "strict", "ignore"), "check")
        self._tolerance = Tolerance(absolute=absolute, relative=relative, units=units)

    def lacks(self, dataset: Dataset) -> str | None:
        if (lacking := super().lacks(dataset)) is not None:
            return lacking
        if any(_expectation(a, row_language(r)) for r in dataset.rows for a in accepted(r)):
            return None
        return (
            f"No expected answer of {dataset.name} holds a number, which {self.name} compares with."
        )

    def compare(self, row: Row, text: str, expected: str) -> tuple[float, str | None]:
        language = row_language(row)
        wanted = _expectation(expected, language)
        if wanted is None:
            raise Unscored("expected_unusable", "The expected answer holds no number.")
        numbers = read_numbers(text, language=language)
        found = self._found(row, numbers, wanted) if numbers.found else None
        if found is not None and found[0]:
            return found
        sure, loose = (self._worded(row, text, wanted, loose=each) for each in (False, True))
        if loose and loose[0] and (found or not sure or not sure[0]):
            raise Unscored(
                "undecidable", "The answer may name the expected number in words, or another."
            )
        if found is None and not has_words(language) and any(map(str.isalpha, text)):
            raise Unscored(
                "undecidable",
                "The answer has no digits, and number words of its language are not known.",
            )
        return found or sure or (0.0, "The answer holds no number.")

    def _worded(
        self, row: Row, text: str, wanted: ChosenNumber, *, loose: bool
    ) -> tuple[float, str | None] | None:
        """Compare with number words as digits; None where the answer has none."""
        values = [abs(quantity.first.value) for quantity in wanted.given]
        whole = [int(value) for value in values if value.denominator == 1 and value < _SPELLED]
        language = row_language(row)
        worded = in_digits(text, language, also=whole, loose=loose)
        if worded == text:
            return None
        return self._found(row, read_numbers(worded, language=language), wanted)

    def _found(self, row: Row, numbers: Numbers, wanted: ChosenNumber) -> tuple[float, str | None]:
        if self._which == "any":
            return self._any(numbers, wanted)
        verdicts = [self._verdict(a, wanted) for a in _answers(numbers, wanted, row.question)]
        if not verdicts:
            return 0.0, "The answer says only what the number is not."
        if len(set(verdicts)) > 1 or verdicts[0] is _OPEN:
            raise Unscored(
                "undecidable",
                "Whether the answer gives the expected number depends on how it is read.",
            )
        return float(verdicts[0] is _YES), None

    def _any(self, numbers: Numbers, wanted: ChosenNumber) -> tuple[float, str | None]:
        told = [q for q in numbers.found if not q.negated]
        single = [q for one in told for q in (one, *one.sources)]
        found = max((self._one(ChosenNumber(given=(q,)), wanted) for q in single), default=_NO)
        if found is _OPEN:
            raise Unscored("undecidable", "No number of the answer can be read in one way only.")
        return float(found is _YES), None

    def _verdict(self, answer: ChosenNumber, wanted: ChosenNumber) -> NumberMatch:
        """Compare; `OPEN` as well where the answer states other numbers elsewhere."""
        found = self._one(answer, wanted)
        for other in answer.conflicting:
            if self._one(ChosenNumber(given=(other,)), wanted) is not found:
                return _OPEN
        return found

    def _one(self, answer: ChosenNumber, wanted: ChosenNumber) -> NumberMatch:
        if len(wanted.given) > 1 and not wanted.open:
            # Every expected number must be given, and no other.
            matched = [
                max(self._tolerance.agreement(q, w) for q in answer.given) for w in wanted.given
            ]
            # Of ±3, "3 or -3" says all.
            both_signs = len({q.start for q in wanted.given}) == 1
            whole = len(answer.given) == len(wanted.given) and (both_signs or not answer.open)
            complete = _YES if whole else _NO
            return min(*matched, complete)
        accepted_ones = (*wanted.given, *wanted.restated)
        each = [max(self._tolerance.agreement(q, w) for w in accepted_ones) for q in answer.given]
        again = [
            max(self._tolerance.agreement(q, w) for w in accepted_ones) for q in answer.restated
        ]
        if len(answer.given) > 1:
            return min(each)
        return max(each + again)


def _expectation(expected: str, language: str | None) -> ChosenNumber | None:
    numbers = read_numbers(expected, language=language)
    if numbers.answer() is None:
        numbers = read_numbers(in_digits(expected, language), language=language)
    answer = numbers.answer()
    if answer is None or all(q.operand for q in answer.given):
        return None
    # Another day of that year, or that day of another month, would be the same number.
    dates = dates_in(numbers.text, language)
    if all(_is_within(q, dates) for q in answer.given):
        return None
    return answer


def _is_within(one: Quantity, dates: list[tuple[int, int]]) -> bool:
    """Whether a number is a day or year of a date; of `May 5 km` the distance is none."""
    dated = any(start <= one.start < end for start, end in dates)
    return dated and not isinstance(one.first.unit, Unit)


def _answers(numbers: Numbers, wanted: ChosenNumber, question: str) -> list[ChosenNumber]:
    """Return the number that an answer gives; two where it depends on whether a year is asked for."""
    unit = wanted.given[0].first.unit
    like = unit if isinstance(unit, Unit) else None
    plain = numbers.answer(like=like)
    if not could_be_year(wanted.given[0]):
        return [plain] if plain else []
    year = numbers.answer(like=like, year=True)
    if asks_for_year(question) or unit is not None:
        return [year] if year else []
    return [a for a in (plain, year) if a is not None]
