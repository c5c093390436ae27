"""Ends a comparison of two candidates as soon as it is decided."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.costs import Own, spent_in_all
from llmflowlab.evaluation.conclude.verdicts import Sequential
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scorers.traits import traits_of
from llmflowlab.evaluation.scores import DATA_GAPS, Score
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.sequential import ConfidenceSequence, Decision, decide

__all__ = ["Decider", "sequential_of"]


class Decider:
    """Takes scores in as they come, and looks at rows in the plan's own random order.

    A row is looked at only after all rows before it: which answers come in first has to do with how
    long they are, and so perhaps with how good. Rows of one cluster are looked at together. Safe to use
    from many threads.

    Args:
        plan: Of two candidates, with a margin.
        scorer: Whose scores decide.
        believed: Whether anything may be concluded from them; nothing is decided otherwise.
    """

    def __init__(self, plan: EvaluationPlan, scorer: str, *, believed: bool = True) -> None:
        assert plan.until_decided is not None, "a plan that may end early has a margin"
        self._margin = plan.until_decided
        self._scorer = scorer
        self._believed = believed
        self._of = len(plan.dataset.rows)
        self._units = _units(plan)
        self._largest = max(map(len, self._units))
        self._place = 0
        self._against_b = ConfidenceSequence()
        self._against_a = ConfidenceSequence()
        """What is missing counts against B in the one and against A in the other."""
        self._traits = traits_of(plan.spec(scorer), combine=plan.judge_combine)
        self._sum = 0.0
        self._paired = 0
        self._waiting: dict[int, dict[int, Score | None]] = {}
        self._lock = threading.Lock()
        self.verdict: Decision | None = None

    def add(self, cell: Cell, score: Score | None) -> bool:
        """Take a score in, one without a value too; returns whether the comparison is decided."""
        with self._lock:
            self._waiting.setdefault(cell.row, {})[cell.candidate] = score
            while self.verdict is None and self._place < len(self._units):
                unit = self._units[self._place]
                if any(len(self._waiting.get(row, {})) < 2 for row in unit):
                    break
                self._place += 1
                self._look([self._waiting.pop(row) for row in unit])
                self.verdict = self._named(decide(self._interval(), self._margin))
            return self.verdict is not None

    def _look(self, rows: Sequence[Mapping[int, Score | None]]) -> None:
        # A row that the benchmark gives nothing to score by tells nothing of the difference.
        found = [
            self._differences([row[0], row[1]])
            for row in rows
            if not any(score and score.not_scored in DATA_GAPS for score in row.values())
        ]
        if found:
            size = len(found) / self._largest
            self._against_b.add(math.fsum(one for one, _ in found) / self._largest, size)
            self._against_a.add(math.fsum(two for _, two in found) / self._largest, size)

    def _differences(self, scores: Sequence[Score | None]) -> tuple[float, float]:
        """Return B minus A with what is missing counted against B, and against A."""
        given = [None if score is None else score.value for score in scores]
        low, high = self._traits.scale or (0.0, 1.0)
        bad, good = (low, high) if self._traits.higher_is_better else (high, low)

        def difference(missing_a: float, missing_b: float) -> float:
            one, two = given
            return (missing_b if two is None else two) - (missing_a if one is None else one)

        if given[0] is not None and given[1] is not None:
            self._sum += given[1] - given[0]
            self._paired += 1
        return difference(good, bad), difference(bad, good)

    def _interval(self) -> Interval:
        """Return where B minus A lies at all times, whatever the missing scores would have been."""
        one, two = self._against_b.interval, self._against_a.interval
        return Interval(min(one.low, two.low), max(one.high, two.high))

    def _named(self, found: Decision | None) -> Decision | None:
        if not self._believed:
            return None
        if self._traits.higher_is_better:
            return found
        turned: dict[Decision, Decision] = {"a_better": "b_better", "b_better": "a_better"}
        return None if found is None else turned.get(found, found)

    def state(self) -> Sequential:
        """Return what it has come to."""
        with self._lock:
            return Sequential(
                scorer=self._scorer,
                margin=self._margin,
                verdict=self.verdict,
                looked_at=self._paired,
                of=self._of,
                interval=self._interval(),
                difference=self._sum / self._paired if self._paired else None,
            )


def _units(plan: EvaluationPlan) -> list[list[int]]:
    """Return the rows that are looked at together, in the order in which they are asked."""
    if plan.cluster is None:
        return [[row] for row in plan.row_order]
    units: dict[int, list[int]] = {}
    for row in plan.row_order:
        units.setdefault(plan.clusters[row], []).append(row)
    return list(units.values())


def sequential_of(
    plan: EvaluationPlan,
    scorer: str,
    answers: Mapping[Cell, AnswerRecord],
    scores: Scores,
    *,
    believed: bool = True,
) -> Sequential | None:
    """Return what a comparison has come to, from what is known; None where the plan has no margin."""
    if plan.until_decided is None:
        return None
    decider = Decider(plan, scorer, believed=believed)
    for row in plan.row_order:
        for candidate in (0, 1):
            cell = Cell(candidate, row)
            if cell in scores:
                decider.add(cell, scores[cell].get(scorer))
    state = decider.state()
    asked, wanted = len(answers), plan.size
    return replace(
        state,
        not_asked=wanted - asked,
        saved_usd=_saved(plan, answers, scores) if state.verdict is not None else None,
    )


def _saved(
    plan: EvaluationPlan, answers: Mapping[Cell, AnswerRecord], scores: Scores
) -> Decimal | None:
    saved = Decimal(0)
    for candidate in (0, 1):
        own = Own(answers, candidate)
        if not own:
            return None
        total = spent_in_all(own.values())
        if total is None:
            return None
        total += sum(
            (
                Decimal(score.cost_usd)
                for cell in own
                for score in scores.get(cell, {}).values()
                if score.cost_usd
            ),
            Decimal(0),
        )
        saved += total / len(own) * (len(plan.row_order) - len(own))
    return saved
