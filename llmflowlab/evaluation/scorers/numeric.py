"""Whether an answer names the expected number."""

from __future__ import annotations

from fractions import Fraction

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.scorers.common import ExpectingScorer, Unscored, accepted
from llmflowlab.evaluation.scorers.numbers import Quantity, quantities
from llmflowlab.evaluation.scorers.options import Options

__all__ = ["NumericMatch"]


class NumericMatch(ExpectingScorer):
    """1 where the answer's last number (or any of them) is the expected one within a tolerance."""

    def configure(self, options: Options) -> None:
        self._absolute = Fraction(options.number("absolute", 0.0))
        self._relative = Fraction(options.number("relative", 0.0))
        self._which = options.choice("which", ("last", "any"), "last")
        self._units = options.choice("units", ("check", "strict", "ignore"), "check")

    def lacks(self, dataset: Dataset) -> str | None:
        if (lacking := super().lacks(dataset)) is not None:
            return lacking
        if any(quantities(a, language=r.language) for r in dataset.rows for a in accepted(r)):
            return None
        return (
            f"No expected answer of {dataset.name} holds a number, which {self.name} compares with."
        )

    def compare(self, row: Row, text: str, expected: str) -> tuple[float, str | None]:
        wanted = quantities(expected, language=row.language)
        if not wanted:
            raise Unscored("expected_unusable", "The expected answer holds no number.")
        given = quantities(text, language=row.language)
        if not given:
            return 0.0, "The answer holds no number."
        if self._which == "last":
            given = given[-1:]
        return float(any(self._same(one, wanted[-1]) for one in given)), None

    def _same(self, given: Quantity, wanted: Quantity) -> bool:
        if self._units == "ignore":
            return self._near(given.value, wanted.value)
        if given.dimension == wanted.dimension:
            return self._near(given.base, wanted.base, unit=wanted.factor)
        if self._units == "strict" or None not in (given.dimension, wanted.dimension):
            return False
        if self._near(given.value, wanted.value):
            return True
        # 0.45 is 45 %.
        percent = {given.dimension, wanted.dimension} == {"percent", None}
        scaled = [q.value / 100 if q.dimension == "percent" else q.value for q in (given, wanted)]
        return percent and self._near(scaled[0], scaled[1])

    def _near(self, given: Fraction, wanted: Fraction, *, unit: Fraction = Fraction(1)) -> bool:
        allowed = max(self._absolute * unit, self._relative * abs(wanted))
        return abs(given - wanted) <= allowed
