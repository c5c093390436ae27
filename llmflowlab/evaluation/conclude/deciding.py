"""Ends a comparison of two candidates as soon as it is decided."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.sequential import ConfidenceSequence, Decision, decide

__all__ = ["Decider", "Sequential", "sequential_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """What a comparison that may end early has come to."""

    scorer: str
    margin: float
    verdict: Decision | None
    """None while it is open."""
    looked_at: int
    """Rows that the verdict rests on."""
    of: int
    """Rows of the dataset."""
    interval: Interval
    """Of B minus A, holding at all times together."""
    difference: float | None
    """Mean of B minus mean of A over the rows looked at."""
    saved_usd: Decimal | None = None
    """What the rows not asked would have cost, at the price of those that were; None if unknown."""
    not_asked: int = 0
    """Answers that were not asked for."""

    def to_json(self) -> dict[str, Any]:
        return {
            "scorer": self.scorer,
            "margin": self.margin,
            "decided": self.verdict is not None,
            "verdict": self.verdict,
            "looked_at": self.looked_at,
            "of": self.of,
            "difference": self.difference,
            "ci_low": self.interval.low,
            "ci_high": self.interval.high,
            "not_asked": self.not_asked,
            "saved_usd": None if self.saved_usd is None else float(self.saved_usd),
        }


class Decider:
    """Takes scores in as they come, and looks at rows in the plan's own random order.

    A row is looked at only after all rows before it: which answers come in first has to do with how
    long they are, and so perhaps with how good. Safe to use from many threads.

    Args:
        plan: Of two candidates, with a margin.
        scorer: Whose scores decide.
    """

    def __init__(self, plan: EvaluationPlan, scorer: str) -> None:
        assert plan.until_decided is not None, "a plan that may end early has a margin"
        self._margin = plan.until_decided
        self._scorer = scorer
        self._order = plan.row_order
        self._place = 0
        self._sequence = ConfidenceSequence()
        self._sum = 0.0
        self._waiting: dict[int, dict[int, float | None]] = {}
        self._lock = threading.Lock()
        self.verdict: Decision | None = None

    def add(self, cell: Cell, score: Score | None) -> bool:
        """Take a score in, one without a value too; returns whether the comparison is decided."""
        with self._lock:
            value = None if score is None else score.value
            self._waiting.setdefault(cell.row, {})[cell.candidate] = value
            while self.verdict is None and self._place < len(self._order):
                pair = self._waiting.get(self._order[self._place], {})
                if len(pair) < 2:
                    break
                del self._waiting[self._order[self._place]]
                self._place += 1
                if pair[0] is None or pair[1] is None:
                    # A row that is not scored tells nothing of the difference.
                    continue
                self._sequence.add(pair[1] - pair[0])
                self._sum += pair[1] - pair[0]
                self.verdict = decide(self._sequence.interval, self._margin)
            return self.verdict is not None

    def state(self) -> Sequential:
        """Return what it has come to."""
        with self._lock:
            seen = self._sequence.n
            return Sequential(
                scorer=self._scorer,
                margin=self._margin,
                verdict=self.verdict,
                looked_at=seen,
                of=len(self._order),
                interval=self._sequence.interval,
                difference=self._sum / seen if seen else None,
            )


def sequential_of(
    plan: EvaluationPlan, scorer: str, answers: Mapping[Cell, AnswerRecord], scores: Scores
) -> Sequential | None:
    """Return what a comparison has come to, from what is known; None where the plan has no margin."""
    if plan.until_decided is None:
        return None
    decider = Decider(plan, scorer)
    for row in plan.row_order:
        for candidate in (0, 1):
            cell = Cell(candidate, row)
            if cell in scores:
                decider.add(cell, scores[cell].get(scorer))
    state = decider.state()
    asked, wanted = len(answers), len(plan.cells())
    return Sequential(
        scorer=state.scorer,
        margin=state.margin,
        verdict=state.verdict,
        looked_at=state.looked_at,
        of=state.of,
        interval=state.interval,
        difference=state.difference,
        not_asked=wanted - asked,
        saved_usd=_saved(plan, answers, scores) if state.verdict is not None else None,
    )


def _saved(
    plan: EvaluationPlan, answers: Mapping[Cell, AnswerRecord], scores: Scores
) -> Decimal | None:
    saved = Decimal(0)
    for candidate in (0, 1):
        own = [cell for cell in answers if cell.candidate == candidate]
        if not own:
            return None
        total = Decimal(0)
        for cell in own:
            cost = answers[cell].cost
            if cost is None:
                return None
            total += cost + sum(
                (Decimal(s.cost_usd) for s in scores.get(cell, {}).values() if s.cost_usd),
                Decimal(0),
            )
        saved += total / len(own) * (len(plan.row_order) - len(own))
    return saved
