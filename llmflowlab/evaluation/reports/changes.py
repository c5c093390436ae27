"""Which rows got better or worse between two candidates, of one evaluation or of two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from llmflowlab.data.dataset import Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell, main_scorer
from llmflowlab.evaluation.run.scorer_choice import is_binary
from llmflowlab.statistics import PairedTest, paired_test
from llmflowlab.text.digests import digest_of

__all__ = ["Change", "ChangedRow", "Diff", "Side", "content_keys", "diff_sides"]

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
        found = [self._score(row, trial, scorer) for trial in range(self.result.plan.trials)]
        values = [value for value in found if value is not None]
        return sum(values) / len(values) if values else None

    def _score(self, row: int, trial: int, scorer: str) -> float | None:
        score = self.result.scores.get(Cell(self.candidate, row, trial), {}).get(scorer)
        return None if score is None else score.value

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
    """Over the rows that both have a score for; None without any."""

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


def content_keys(rows: Sequence[Row]) -> dict[str, Row]:
    """Return rows by what they ask and expect, wherever they stand in their file.

    A row that stands there several times is told apart by how often it stood there before.
    """
    counted: dict[str, int] = defaultdict(int)
    keyed = {}
    for row in rows:
        content = digest_of(
            [
                row.question,
                row.context,
                row.expected,
                sorted(row.alternatives),
                list(row.guidelines),
            ]
        )
        keyed[f"{content}:{counted[content]}"] = row
        counted[content] += 1
    return keyed


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
    rows_a, rows_b = (content_keys(side.result.plan.dataset.rows) for side in (a, b))
    common = [key for key in rows_b if key in rows_a]
    if not common:
        raise InputError(
            f"{a.label} and {b.label} have no question in common: rows are matched by what they "
            "ask and expect."
        )
    rows = [_changed(a, b, rows_a[key], rows_b[key], scorer) for key in common]
    paired = [row for row in rows if row.difference is not None]
    binary = all(_says_yes_or_no(side, scorer) for side in (a, b))
    return Diff(
        a=a,
        b=b,
        scorer=scorer,
        rows=sorted(rows, key=lambda r: (r.difference is None, r.difference or 0.0, r.b.index)),
        only_in_a=len(rows_a) - len(common),
        only_in_b=len(rows_b) - len(common),
        test=paired_test(
            [row.value_a for row in paired if row.value_a is not None],
            [row.value_b for row in paired if row.value_b is not None],
            binary=binary,
        )
        if paired
        else None,
    )


def _scorer(a: Side, b: Side, wanted: str | None) -> str:
    both = [name for name in b.result.plan.scorers if name in a.result.plan.scorers]
    if wanted is None and both:
        return main_scorer(both)
    if wanted is not None and wanted in both:
        return wanted
    named = "no scorer" if wanted is None else f"no scorer {wanted!r}"
    there = f"; both have {', '.join(both)}" if both else ""
    raise InputError(f"{a.label} and {b.label} have {named} in common{there}.")


def _changed(a: Side, b: Side, row_a: Row, row_b: Row, scorer: str) -> ChangedRow:
    value_a, value_b = a.value(row_a.index, scorer), b.value(row_b.index, scorer)
    difference = None if value_a is None or value_b is None else value_b - value_a
    change: Change = "same"
    if difference is None:
        change = "not_scored"
    elif abs(difference) > _SAME:
        change = "better" if difference > 0 else "worse"
    return ChangedRow(
        a=row_a, b=row_b, change=change, value_a=value_a, value_b=value_b, difference=difference
    )


def _says_yes_or_no(side: Side, scorer: str) -> bool:
    plan = side.result.plan
    # Repetitions make means of them.
    binary = is_binary(plan.scorers, combine=plan.judge_combine, specs=plan.scorer_specs)
    return plan.trials == 1 and binary[scorer]
