"""How many questions an evaluation needs, from what earlier ones tell of its candidates."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmflowlab.candidate import Candidate
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.decide import ALPHA
from llmflowlab.evaluation.conclude.table import table_of
from llmflowlab.evaluation.run.experience import (
    ENOUGH,
    latest_answers,
    latest_verdicts,
    spread_of_sum,
)
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.statistics.clusters import design_effect
from llmflowlab.statistics.paired import differences_of
from llmflowlab.statistics.planning import (
    roughly_visible,
    rows_for_degrees,
    rows_for_yes_no,
    visible_degrees,
    visible_yes_no,
)

__all__ = [
    "ASSUMED_DISCORDANCE",
    "Duration",
    "Spread",
    "comparisons_of",
    "duration_of",
    "rows_for",
    "spread_of",
    "visible",
    "visible_roughly",
]

ASSUMED_DISCORDANCE = 0.25
"""Share of rows on which two candidates nobody has compared are taken to disagree."""
ASSUMED_DEVIATION = 0.35
"""Standard deviation of the row-wise differences of degrees, likewise."""
ASSUMED_SECONDS = (1.0, 4.0)
"""Of an answer or judgement of a model nobody has timed: low and high."""
_FEWEST = 20
"""Common rows below which an earlier comparison tells too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far two candidates differ from row to row, whatever their means."""

    binary: bool
    value: float
    """Share of rows on which they disagree (yes/no), or the standard deviation of differences."""
    rows: int
    """Rows it was seen on; 0 for an assumption."""

    def words(self) -> str:
        what = (
            f"the two disagree on {self.value:.0%} of the rows"
            if self.binary
            else f"row-wise differences have a standard deviation of {self.value:.2f}"
        )
        if self.rows:
            return f"{what}, as on {self.rows:,} earlier ones"
        return f"{what} (an assumption; --paired-from takes it from an evaluation)"


def spread_of(
    plan: EvaluationPlan, scorer: str, ledger: Ledger, *, binary: bool, source: str | None = None
) -> Spread:
    """Return how far the plan's candidates differ, the widest pair of them.

    Args:
        plan: What is planned.
        scorer: Whose scores will be compared.
        ledger: Remembers earlier evaluations.
        binary: Whether the scores are yes or no.
        source: The evaluation to take it from; else the latest that compared the same candidates or
            the same models on enough rows.

    Raises:
        InputError: The evaluation named has no two candidates with scores of this scorer.
    """
    if source is not None:
        found = _pairs_of(ledger.plan(source), ledger, scorer, None, binary)
        if found is None:
            raise InputError(
                f"{source} has no two candidates with {scorer} on the same {_FEWEST} rows; name "
                "another evaluation with --paired-from."
            )
        return found
    for stored in ledger.evaluations():
        known = [Candidate.from_json(values) for values in stored.plan["candidates"]]
        if scorer not in stored.plan["scorers"] or not _same(plan.candidates, known):
            continue
        earlier = ledger.plan(stored.id)
        if earlier.spec(scorer) != plan.spec(scorer):
            continue
        found = _pairs_of(earlier, ledger, scorer, {c.model for c in plan.candidates}, binary)
        if found is not None:
            return found
    assumed = ASSUMED_DISCORDANCE if binary else ASSUMED_DEVIATION
    return Spread(binary=binary, value=assumed, rows=0)


def _same(planned: Sequence[Candidate], known: Sequence[Candidate]) -> bool:
    return {candidate.model for candidate in planned} <= {candidate.model for candidate in known}


def _pairs_of(
    plan: EvaluationPlan, ledger: Ledger, scorer: str, models: set[str] | None, binary: bool
) -> Spread | None:
    if scorer not in plan.scorers:
        return None
    outcomes = [Outcome.from_json(v) for _, v in ledger.outcomes(plan.evaluation_id)]
    table = table_of(plan, {outcome.cell: outcome.scores for outcome in outcomes})
    places = [i for i, c in enumerate(plan.candidates) if models is None or c.model in models]
    widest: Spread | None = None
    for first, second in itertools.combinations(places, 2):
        pairs = table.pairs(scorer, first, second)
        if pairs.n < _FEWEST:
            continue
        differences = differences_of(pairs.a, pairs.b)
        value = _spread(differences, binary, design_effect(differences, pairs.clusters))
        spread = Spread(binary=binary, value=value, rows=pairs.n)
        if widest is None or spread.value > widest.value:
            widest = spread
    return widest


def _spread(differences: np.ndarray, binary: bool, effect: float) -> float:
    """Return it so that questions in clusters count as one by one; `effect` is their design effect."""
    n = differences.size
    if binary:
        # One more of each: that none was seen on 50 rows does not mean that there are none.
        return float(np.count_nonzero(differences) + 1) / (n + 2)
    # One more, half the scale away, for the same reason.
    return math.sqrt(effect * float(differences.var(ddof=1)) + 0.25 / n)


def comparisons_of(plan: EvaluationPlan) -> int:
    """Return how many tests the evaluation will make: Holm's first step divides the level by it."""
    candidates = len(plan.candidates)
    return max(1, candidates * (candidates - 1) // 2 * len(plan.scorers))


def rows_for(spread: Spread, difference: float, *, power: float, comparisons: int) -> int:
    """Return how many questions show a difference, in points of 1, with the power asked for."""
    alpha = ALPHA / comparisons
    if spread.binary:
        return rows_for_yes_no(spread.value, difference, power=power, alpha=alpha)
    return rows_for_degrees(spread.value, difference, power=power, alpha=alpha)


def visible(spread: Spread, rows: int, *, power: float, comparisons: int) -> float | None:
    """Return the smallest difference that so many questions show; None if none."""
    alpha = ALPHA / comparisons
    if spread.binary:
        return visible_yes_no(rows, spread.value, power=power, alpha=alpha)
    return visible_degrees(rows, spread.value, power=power, alpha=alpha)


def visible_roughly(spread: Spread, rows: int, *, comparisons: int) -> float:
    """Return about the smallest difference that so many questions show.

    For a line before an evaluation, which must not wait for scipy.
    """
    deviation = math.sqrt(spread.value) if spread.binary else spread.value
    return min(1.0, roughly_visible(rows, deviation, alpha=ALPHA / comparisons))


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """How long an evaluation will take, limits of the providers aside."""

    low: float
    """Seconds."""
    high: float
    assumed: bool
    """Whether somebody's speed is not known from earlier evaluations."""


def duration_of(
    plan: EvaluationPlan, ledger: Ledger, *, rows: int, judge_calls: int, concurrency: int
) -> Duration:
    """Return how long so many questions take.

    Models are asked side by side, and answers are judged while others come in: whoever needs the most
    time sets the end.

    Args:
        plan: Who is asked.
        ledger: Remembers how long answers and judgements took.
        rows: Questions.
        judge_calls: Judgements of all of them.
        concurrency: Calls in flight for each model, and judgements in flight.
    """
    spans: list[tuple[float, float]] = []
    assumed = False
    # Candidates of one model share its limit.
    asked = Counter(c.model for c in plan.candidates if c.column is None)
    for model, sharing in asked.items():
        candidate = next(c for c in plan.candidates if c.model == model)
        answers = (outcome.answer for _, outcome in latest_answers(ledger, candidate))
        known = [a.latency for a in answers if a.answered and a.latency is not None]
        assumed |= len(known) < ENOUGH
        spans.append(_span(known, rows * plan.trials * sharing))
    judging = []
    for judge in plan.judges if judge_calls else ():
        known = [verdict.seconds for verdict in latest_verdicts(ledger, judge)]
        assumed |= len(known) < ENOUGH
        judging.append(_span(known, math.ceil(judge_calls / len(plan.judges))))
    if judging:
        spans.append((sum(low for low, _ in judging), sum(high for _, high in judging)))
    return Duration(
        low=max((low for low, _ in spans), default=0.0) / concurrency,
        high=max((high for _, high in spans), default=0.0) / concurrency,
        assumed=assumed,
    )


def _span(known: Sequence[float], calls: int) -> tuple[float, float]:
    """Return the seconds that so many calls take one after the other, low and high."""
    if len(known) < ENOUGH:
        low, high = ASSUMED_SECONDS
        return low * calls, high * calls
    low, _, high = spread_of_sum(known, calls)
    return low, high
