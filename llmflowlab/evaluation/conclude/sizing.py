"""How many questions an evaluation needs, from what earlier ones tell of its candidates."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llmflowlab.candidate import Candidate
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.decide import ALPHA
from llmflowlab.evaluation.conclude.table import ScoreTable, table_of
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
from llmflowlab.statistics.pilots import Pilot
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
"""Root of the mean square of row-wise differences of degrees, likewise."""
ASSUMED_SECONDS = (1.0, 4.0)
"""Of an answer or judgement of a model nobody has timed: low and high."""
_FEWEST = 20
"""Common questions below which an earlier comparison tells too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far two candidates differ from row to row, whatever their means."""

    binary: bool
    value: float
    """Share of rows on which they disagree (yes/no), or the root of the mean square of differences."""
    rows: int
    """Questions it was seen on; 0 for an assumption."""
    pilot: Pilot | None = None
    """The differences that were seen; None for an assumption."""
    trials_effect: float | None = None
    """Design effect of the trials: how many answers to one question tell as much as one answer to
    another; None where each is asked once, or nothing is known of it."""
    clusters_effect: float | None = None
    """Design effect of the clusters: how many questions in them tell as much as one by itself; None
    without clusters, or where nothing is known of it."""

    def words(self) -> str:
        what = (
            f"the two disagree on {self.value:.0%} of the rows"
            if self.binary
            else f"row-wise differences have a root mean square of {self.value:.2f}"
        )
        if self.pilot is None:
            return f"{what} (an assumption; --paired-from takes it from an evaluation)"
        seen = f"{self.rows:,} earlier ones and one more, as far apart as can be"
        if not self.pilot.differing:
            seen += "; no earlier one told them apart, so fewer may be enough"
        if self.clusters_effect is not None:
            seen += (
                f"; {self.clusters_effect:.1f} questions of a cluster tell as much as one by itself"
            )
        return f"{what}, as on {seen}"


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
        found = _pairs_of(ledger.plan(source), ledger, scorer, None, binary, plan.trials)
        if found is None:
            raise InputError(
                f"{source} has no two candidates with {scorer} on the same {_FEWEST} questions: too few "
                "to plan from; name "
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
        models = {candidate.model for candidate in plan.candidates}
        found = _pairs_of(earlier, ledger, scorer, models, binary, plan.trials)
        if found is not None:
            return found
    assumed = ASSUMED_DISCORDANCE if binary else ASSUMED_DEVIATION
    return Spread(binary=binary, value=assumed, rows=0)


def _same(planned: Sequence[Candidate], known: Sequence[Candidate]) -> bool:
    return {candidate.model for candidate in planned} <= {candidate.model for candidate in known}


def _pairs_of(
    plan: EvaluationPlan,
    ledger: Ledger,
    scorer: str,
    models: set[str] | None,
    binary: bool,
    trials: int,
) -> Spread | None:
    if scorer not in plan.scorers:
        return None
    outcomes = [Outcome.from_json(v) for _, v in ledger.outcomes(plan.evaluation_id)]
    table = table_of(plan, {outcome.cell: outcome.scores for outcome in outcomes})
    # The mean of more answers than will be had to a question would vary too little.
    asked = _asked(plan, table, range(min(trials, plan.trials)))
    places = [i for i, c in enumerate(plan.candidates) if models is None or c.model in models]
    widest: Spread | None = None
    for first, second in itertools.combinations(places, 2):
        pairs = asked.pairs(scorer, first, second)
        if pairs.n < _FEWEST:
            continue
        differences = differences_of(pairs.a, pairs.b)
        pilot = Pilot(differences, yes_no=binary)
        if widest is None or pilot.spread > widest.value:
            effect = _trials_effect(plan, table, scorer, (first, second), pilot, trials)
            widest = Spread(
                binary=binary,
                value=pilot.spread,
                rows=pairs.n,
                pilot=pilot,
                trials_effect=effect,
                # What is below 1 by chance is no reason to ask fewer questions.
                clusters_effect=None
                if pairs.clusters is None
                else max(1.0, design_effect(differences, pairs.clusters)),
            )
    return widest


def _asked(plan: EvaluationPlan, table: ScoreTable, trials: range) -> ScoreTable:
    """Return a table with some trials only."""
    if len(trials) == plan.trials:
        return table
    return table.only({cell for cell in plan.cells() if cell.trial in trials})


def _trials_effect(
    plan: EvaluationPlan,
    table: ScoreTable,
    scorer: str,
    pair: tuple[int, int],
    pilot: Pilot,
    trials: int,
) -> float | None:
    """Return trials · mean square of the differences of their means / that of single answers'."""
    if trials == 1 or plan.trials < trials:
        return None
    squares = []
    for trial in range(trials):
        alone = _asked(plan, table, range(trial, trial + 1)).pairs(scorer, *pair)
        squares += [float(d) ** 2 for d in differences_of(alone.a, alone.b)]
    single = math.fsum(squares) / len(squares) if squares else 0.0
    return trials * pilot.mean_square / single if single else None


def comparisons_of(plan: EvaluationPlan) -> int:
    """Return how many tests the evaluation will make: Holm's first step divides the level by it."""
    candidates = len(plan.candidates)
    return max(1, candidates * (candidates - 1) // 2 * len(plan.scorers))


def rows_for(spread: Spread, difference: float, *, power: float, comparisons: int) -> int:
    """Return how many questions show a difference, in points of 1, with the power asked for."""
    alpha = ALPHA / comparisons
    if spread.pilot is not None:
        rows = spread.pilot.rows_for(difference, power=power, alpha=alpha)
        return math.ceil(rows * (spread.clusters_effect or 1.0))
    if spread.binary:
        return rows_for_yes_no(spread.value, difference, power=power, alpha=alpha)
    return rows_for_degrees(spread.value, difference, power=power, alpha=alpha)


def visible(spread: Spread, rows: int, *, power: float, comparisons: int) -> float | None:
    """Return the smallest difference that so many questions show; None if none."""
    alpha = ALPHA / comparisons
    if spread.pilot is not None:
        worth = int(rows / (spread.clusters_effect or 1.0))
        return spread.pilot.visible(worth, power=power, alpha=alpha)
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
