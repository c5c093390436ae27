"""How many questions, how much money and time it takes to see a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.sizing import (
    Duration,
    Spread,
    comparisons_of,
    duration_of,
    rows_for,
    spread_of,
    visible,
)
from llmflowlab.evaluation.conclude.table import plan_traits
from llmflowlab.evaluation.run.replay import evaluation_behind
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.lab.evaluate import prepare
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.lab import Lab

__all__ = ["Sizing", "SizingRequest", "size_evaluation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRequest:
    """Which difference should be seen, by which evaluation."""

    evaluation: EvaluationRequest
    difference: float
    """Points of 1."""
    power: float
    """Chance of seeing it if it is there."""
    paired_from: str | None = None
    """Run or evaluation that shows how far two candidates differ from row to row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What it takes."""

    scorer: str
    candidates: Sequence[str]
    difference: float
    power: float
    comparisons: int
    spread: Spread
    rows_needed: int
    """Questions; trials and rows that ask the same again are no further ones."""
    rows_there: int
    """Questions of the file."""
    trials: int
    smallest_visible: float | None
    """What the rows there can show; None where they show nothing."""
    cost: tuple[float, float] | None
    """USD at least and at most; None where a price is unknown."""
    unpriced: Sequence[str]
    detector_calls: int
    """Of the model behind candidates' guardrails; their cost is part of `cost`."""
    duration: Duration
    remarks: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return the document of `plan --json`; unknown is None."""
        return {
            "scorer": self.scorer,
            "candidates": list(self.candidates),
            "difference": self.difference,
            "power": self.power,
            "comparisons": self.comparisons,
            "spread": {
                "yes_no": self.spread.binary,
                "value": self.spread.value,
                "seen_on": self.spread.rows,
            },
            "assumption": self.spread.words(),
            "rows_needed": self.rows_needed,
            "rows_there": self.rows_there,
            "smallest_visible": self.smallest_visible,
            "cost_usd": None if self.cost is None else {"low": self.cost[0], "high": self.cost[1]},
            "unpriced": list(self.unpriced),
            "minutes": {"low": self.duration.low / 60, "high": self.duration.high / 60},
            "speed_assumed": self.duration.assumed,
            "trials": self.trials,
            "trials_design_effect": self.spread.trials_effect,
            "clusters_design_effect": self.spread.clusters_effect,
            "detector_calls": self.detector_calls,
        }


def size_evaluation(lab: Lab, request: SizingRequest) -> Sizing:
    """Reckon what an evaluation of these candidates would take; asks no model.

    Raises:
        InputError: Fewer than two candidates are named, or something cannot be used.
        NotConfigured: A provider lacks its key, address or package.
    """
    with closing(prepare(lab, replace(request.evaluation, fresh=True))) as prepared:
        plan, ledger = prepared.plan, prepared.bench.ledger
        if len(plan.candidates) < 2:
            raise InputError(
                "A plan is about telling candidates apart; name two or more with --model."
            )
        scorer = main_scorer(plan.scorers)
        traits = plan_traits(plan)[scorer]
        if traits.figure is not None:
            raise InputError(f"{scorer} is of the whole dataset; plan with a scorer of each row.")
        source = request.paired_from
        spread = spread_of(
            plan,
            scorer,
            ledger,
            binary=traits.exact(repeated=plan.repeated),
            source=None if source is None else evaluation_behind(ledger, source),
        )
        comparisons = comparisons_of(plan)
        rows = rows_for(spread, request.difference, power=request.power, comparisons=comparisons)
        figures = prepared.estimate
        there = plan.question_count
        duration = duration_of(
            plan,
            ledger,
            rows=rows,
            judge_calls=math.ceil(figures.judge_calls / there * rows),
            concurrency=prepared.bench.concurrency,
        )
    smallest = visible(spread, there, power=request.power, comparisons=comparisons)
    if rows > there and smallest is not None:
        # Both are reckoned to a few per cent, and must not contradict each other.
        smallest = max(smallest, request.difference)
    cost = None
    if figures.cost is not None:
        low, high = (float(amount) / there * rows for amount in figures.cost)
        cost = (low, high)
    return Sizing(
        scorer=scorer,
        candidates=[candidate.label for candidate in plan.candidates],
        difference=request.difference,
        power=request.power,
        comparisons=comparisons,
        spread=spread,
        rows_needed=rows,
        rows_there=there,
        trials=plan.trials,
        smallest_visible=smallest,
        cost=cost,
        unpriced=figures.unpriced,
        detector_calls=math.ceil(figures.detector_calls / there * rows),
        duration=duration,
        remarks=prepared.remarks,
    )
