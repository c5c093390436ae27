"""A finished row: its answer and all its scores, ready to be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.plan import Cell
from llmflowlab.evaluation.scores import Score

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
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
        return f"{self.cell.candidate}:{self.cell.row}:{self.cell.trial}"

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
