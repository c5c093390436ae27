"""A finished row: its answer and all its scores, ready to be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from llmflowlab.text.digests import digest_of

__all__ = ["Entry", "Outcome", "Scores"]

Scores: TypeAlias = Mapping[Cell, Mapping[str, Score]]
"""Every cell's score by scorer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the books hold of a row that came to an end: enough to check that it was stored."""

    cell: Cell
    digest: str
    """Of what its trace was made from."""
    scores: int
    """How many its trace must carry."""
    whole: bool
    """False where a stop or the budget left something out."""


@dataclass(frozen=True)
class Outcome:
    """One cell of an evaluation, done."""

    cell: Cell
    answer: AnswerRecord
    scores: Mapping[str, Score]
    reused: bool = False
    """Whether the answer was taken from an earlier run."""

    @property
    def key(self) -> str:
        """Where it stands in the ledger."""
        return self.key_of(self.cell)

    @staticmethod
    def key_of(cell: Cell) -> str:
        """Return where a cell's outcome stands in the ledger."""
        return f"{cell.candidate}:{cell.row}:{cell.trial}"

    @property
    def whole(self) -> bool:
        """Whether it was asked and scored; not so where a stop or the budget came first."""
        left_out = {"budget_exhausted", "not_reached"}
        return self.answer.state != "budget_exhausted" and not any(
            score.not_scored in left_out for score in self.scores.values()
        )

    @property
    def settled(self) -> bool:
        """Whether going on asks for nothing of it again; what failed is asked again."""
        failed = {"judge_failed", "judge_unparseable"}
        return (
            self.whole
            and self.answer.reusable
            and not any(score.not_scored in failed for score in self.scores.values())
        )

    @cached_property
    def digest(self) -> str:
        """Changes with everything that is recorded of it."""
        return digest_of(self.to_json())[:32]

    def entry(self, *, with_scores: bool = True) -> Entry:
        """Return its line in the books.

        Args:
            with_scores: False where the scores are written apart from the trace.
        """
        written = self if with_scores else replace(self, scores={})
        return Entry(self.cell, written.digest, len(self.scores), self.whole)

    def to_json(self) -> dict[str, Any]:
        return {
            "cell": [self.cell.candidate, self.cell.row, self.cell.trial],
            "answer": self.answer.to_json(),
            "scores": [score.to_json() for score in self.scores.values()],
            "reused": self.reused,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Outcome:
        scores = [Score.from_json(score) for score in values["scores"]]
        return cls(
            Cell(*values["cell"]),
            AnswerRecord.from_json(values["answer"]),
            {score.scorer: score for score in scores},
            bool(values.get("reused")),
        )
