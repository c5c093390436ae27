"""Which rows got better or worse between two candidates, of one evaluation or of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from llmflowlab.data.dataset import Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.decide import (
    ALPHA,
    Shown,
    difference_shown,
    obstacle,
    withheld,
)
from llmflowlab.evaluation.conclude.matching import match
from llmflowlab.evaluation.conclude.pairs import Pairs
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.paired import PairedTest, paired_test

__all__ = ["Change", "ChangedRow", "Diff", "Side", "diff_sides"]

Change: TypeAlias = Literal["better", "worse", "same", "not_scored"]
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Side:
    """One candidate of an evaluation."""

    result: EvaluationResult
    candidate: int

    @property
    def label(self) -> str:
        return self.result.plan.candidates[self.candidate].label

    @property
    def run_id(self) -> str | None:
        return self.result.candidates[self.candidate].run_id

    def value(self, row: int, scorer: str) -> float | None:
        """Return the mean over the repetitions that were scored; None where none was."""
        found = float(self.values(scorer)[row])
        return None if found != found else found

    def values(self, scorer: str) -> np.ndarray:
        """Return the value of every row; NaN where there is none."""
        return self.result.table.column(self.candidate, scorer).row_means()

    def why_not(self, row: int, scorer: str) -> str | None:
        """Return why the first repetition has no value."""
        score = self.result.scores.get(Cell(self.candidate, row, 0), {}).get(scorer)
        return "not_reached" if score is None else score.not_scored

    def answer(self, row: int) -> str | None:
        """Return what the first repetition answered; None where it was not reached."""
        record = self.result.answers.get(Cell(self.candidate, row, 0))
        return None if record is None else record.text

    def to_json(self) -> dict[str, Any]:
        return {
            "evaluation_id": self.result.plan.evaluation_id,
            "run_id": self.run_id,
            "candidate": self.label,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRow:
    """One row of both sides."""

    a: Row
    b: Row
    change: Change
    value_a: float | None
    value_b: float | None
    difference: float | None
    """b - a; None where one of them is not scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """Two candidates row by row."""

    a: Side
    b: Side
    scorer: str
    rows: Sequence[ChangedRow]
    """Every row of both, the one that lost most first, those not scored last."""
    only_in_a: int
    only_in_b: int
    test: PairedTest | None
    """Over the questions that both have a score for; None without any."""
    verdict: Shown
    """What the test shows, and the worst case over what is missing bears out."""
    caveat: str | None
    """Why there is no verdict although there may seem to be a difference; None where nothing is."""

    def count(self, change: Change) -> int:
        """Return how many rows changed so."""
        return sum(row.change == change for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return it with every row that is not the same; unknown is None."""
        test = self.test
        return {
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "scorer": self.scorer,
            "counts": {
                "better": self.count("better"),
                "worse": self.count("worse"),
                "same": self.count("same"),
                "not_scored": self.count("not_scored"),
                "only_in_a": self.only_in_a,
                "only_in_b": self.only_in_b,
            },
            "test": None
            if test is None
            else {
                "n": test.n,
                "clusters": test.clusters,
                "difference": test.difference,
                "ci_low": test.interval.low,
                "ci_high": test.interval.high,
                "p_value": test.p_value,
            },
            "rows": [self._row(row) for row in self.rows if row.change != "same"],
        }

    def _row(self, row: ChangedRow) -> dict[str, Any]:
        return {
            "change": row.change,
            "question": row.b.question,
            "expected": row.b.expected,
            "difference": row.difference,
            "a": _half(self.a, row.a, row.value_a, self.scorer),
            "b": _half(self.b, row.b, row.value_b, self.scorer),
        }


def _half(side: Side, row: Row, value: float | None, scorer: str) -> dict[str, Any]:
    return {
        "row": row.id,
        "score": value,
        "not_scored": side.why_not(row.index, scorer) if value is None else None,
        "answer": side.answer(row.index),
    }


def diff_sides(a: Side, b: Side, scorer: str | None = None) -> Diff:
    """Compare two candidates on the rows both evaluations have.

    Args:
        a: The one before.
        b: The one after.
        scorer: By which; the main one of those that both have by default.

    Raises:
        InputError: They have no such scorer, or no row, in common.
    """
    scorer = _scorer(a, b, scorer)
    common = match(a.result.plan.dataset.rows, b.result.plan.dataset.rows)
    if not common.b:
        raise InputError(
            f"{a.label} and {b.label} have no question in common: rows are matched by what they "
            "ask and expect."
        )
    values = a.values(scorer), b.values(scorer)
    rows = [
        _changed(one, two, float(values[0][one.index]), float(values[1][two.index]))
        for one, two in zip(common.a, common.b, strict=True)
    ]
    pairs = common.pairs(scorer, (a.result.table, a.candidate), (b.result.table, b.candidate))
    test, verdict, caveat = _tested(a, b, pairs)
    return Diff(
        a=a,
        b=b,
        scorer=scorer,
        rows=sorted(rows, key=lambda r: (r.difference is None, r.difference or 0.0, r.b.index)),
        only_in_a=common.only_in_a,
        only_in_b=common.only_in_b,
        test=test,
        verdict=verdict,
        caveat=caveat,
    )


def _tested(a: Side, b: Side, pairs: Pairs) -> tuple[PairedTest | None, Shown, str | None]:
    test = paired_test(
        pairs.a.tolist(), pairs.b.tolist(), binary=pairs.exact, clusters=pairs.clusters
    )
    if test is None:
        return None, "no_difference_shown", None
    higher = pairs.traits.higher_is_better
    found = difference_shown(test, test.p_value, higher_is_better=higher)
    caveat = (
        a.result.unfinished
        or b.result.unfinished
        or withheld(pairs, COVERAGE_FLOOR)
        or obstacle(pairs, found, level=ALPHA)
    )
    return test, found if caveat is None else "no_difference_shown", caveat


def _scorer(a: Side, b: Side, wanted: str | None) -> str:
    both = [name for name in b.result.plan.scorers if name in a.result.plan.scorers]
    if wanted is None and both:
        return main_scorer(both)
    if wanted is not None and wanted in both:
        return wanted
    named = "no scorer" if wanted is None else f"no scorer {wanted!r}"
    there = f"; both have {', '.join(both)}" if both else ""
    raise InputError(f"{a.label} and {b.label} have {named} in common{there}.")


def _changed(row_a: Row, row_b: Row, a: float, b: float) -> ChangedRow:
    value_a, value_b = (None if value != value else value for value in (a, b))
    difference = None if value_a is None or value_b is None else value_b - value_a
    change: Change = "same"
    if difference is None:
        change = "not_scored"
    elif abs(difference) > _SAME:
        change = "better" if difference > 0 else "worse"
    return ChangedRow(
        a=row_a, b=row_b, change=change, value_a=value_a, value_b=value_b, difference=difference
    )
