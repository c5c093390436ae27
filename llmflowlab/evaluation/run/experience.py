"""What earlier evaluations tell about the size of answers and judgements to come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev

from llmflowlab.asking.metering import Metering
from llmflowlab.candidate import Candidate
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan, request_for
from llmflowlab.evaluation.scores import Score
from llmflowlab.providers.base import Provider

__all__ = [
    "ENOUGH",
    "Sizes",
    "answers_before",
    "latest_answers",
    "latest_verdicts",
    "spread_of_sum",
    "verdicts_before",
]

ENOUGH = 5
"""Answers seen before their sizes are trusted over an assumption."""
_LATEST = 500
"""Answers looked at; models and prompts change, so the latest tell most."""
_SLOPES = (0.5, 2.0)
"""How much more tokens a provider can count than we do; what lies outside is chance."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Calls that were made before: what was counted for them, and what the provider reported."""

    counted: list[int]
    """Our count of each prompt, in tokens."""
    prompts: list[int]
    """The provider's."""
    completions: list[int]
    shared: list[bool] = field(default_factory=list)
    """Which judgements served a row that another row paid for."""

    @property
    def paid(self) -> float:
        """The share that was paid for, 0 to 1."""
        return 1 - fmean(self.shared) if self.shared else 1.0

    def add(self, counted: int, prompt: int | None, completion: int | None) -> None:
        """Note a call; one of which the provider reported nothing tells nothing."""
        if prompt is not None and completion is not None:
            self.counted.append(counted)
            self.prompts.append(prompt)
            self.completions.append(completion)

    @property
    def enough(self) -> bool:
        return len(self.completions) >= ENOUGH

    def prompt_tokens(self, counted: Sequence[int]) -> float:
        """Return what the provider will report for prompts of which we counted so many tokens.

        A straight line through the earlier calls: providers wrap a prompt in words of their own, and
        cut it up in their own way.
        """
        if not self.counted or not counted:
            return float(sum(counted))
        x, y = fmean(self.counted), fmean(self.prompts)
        variance = math.fsum((c - x) ** 2 for c in self.counted)
        slope = 1.0
        if variance > 0:
            pairs = zip(self.counted, self.prompts, strict=True)
            slope = math.fsum((c - x) * (p - y) for c, p in pairs) / variance
            slope = min(max(slope, _SLOPES[0]), _SLOPES[1])
        return max(0.0, len(counted) * y + slope * (sum(counted) - len(counted) * x))


def spread_of_sum(values: Sequence[float], number: int) -> tuple[float, float, float]:
    """Return low, middle and high of the sum of so many further values of the same kind.

    A 95 % prediction interval, from the mean's own error and the spread of the values to come, and
    never narrower than 5 % on either side: tomorrow's questions are not quite yesterday's.
    """
    mean = fmean(values)
    z = NormalDist().inv_cdf(0.975)
    error = stdev(values) * math.sqrt(number * number / len(values) + number)
    half = max(z * error, 0.05 * mean * number)
    return max(0.0, mean * number - half), mean * number, mean * number + half


def answers_before(
    ledger: Ledger, candidate: Candidate, provider: Provider, metering: Metering
) -> Sizes:
    """Return the sizes of a candidate's latest answers, or of its model's where it has too few."""

    def same(other: Candidate, _: Sequence[str]) -> bool:
        return other.digest == candidate.digest

    def same_model(other: Candidate, _: Sequence[str]) -> bool:
        return other.model == candidate.model

    own = _answers(_latest(ledger, same), provider, metering)
    return own if own.enough else _answers(_latest(ledger, same_model), provider, metering)


def latest_answers(
    ledger: Ledger, candidate: Candidate
) -> Iterator[tuple[EvaluationPlan, Outcome]]:
    """Yield the latest rows that a candidate's model answered."""
    yield from _latest(ledger, lambda other, _: other.model == candidate.model)


def latest_verdicts(ledger: Ledger, judge: str) -> Iterator[Score]:
    """Yield the latest verdicts that a judge was asked for, whatever the scorer."""
    for _, outcome in _latest(ledger, lambda _, judges: judge in judges):
        for score in outcome.scores.values():
            for verdict in score.members or (score,):
                if verdict.judge == judge and verdict.prompt_tokens and not verdict.shared:
                    yield verdict


def _answers(
    outcomes: Iterable[tuple[EvaluationPlan, Outcome]], provider: Provider, metering: Metering
) -> Sizes:
    sizes = Sizes([], [], [])
    for plan, outcome in outcomes:
        answer = outcome.answer
        if answer.answered:
            counted = _counted(plan, outcome, provider, metering)
            sizes.add(counted, answer.prompt_tokens, answer.completion_tokens)
    return sizes


def verdicts_before(ledger: Ledger, judge: Provider, scorer: str, metering: Metering) -> Sizes:
    """Return the sizes of a judge's latest judgements; counted is the question with its answer."""
    sizes = Sizes([], [], [])
    for plan, outcome in _latest(ledger, lambda _, by: judge.reference in by):
        score, answer = outcome.scores.get(scorer), outcome.answer
        if score is None or answer.completion_tokens is None:
            continue
        counted = _counted(plan, outcome, judge, metering) + answer.completion_tokens
        for verdict in score.members or (score,):
            if verdict.judge == judge.reference:
                sizes.add(counted, verdict.prompt_tokens, verdict.completion_tokens)
                sizes.shared.append(verdict.shared)
    return sizes


def _counted(plan: EvaluationPlan, outcome: Outcome, provider: Provider, metering: Metering) -> int:
    cell = outcome.cell
    request = request_for(plan.candidates[cell.candidate], plan.dataset.rows[cell.row])
    return metering.prompt_tokens(provider, request)


def _latest(
    ledger: Ledger, fits: Callable[[Candidate, Sequence[str]], bool]
) -> Iterator[tuple[EvaluationPlan, Outcome]]:
    """Yield the latest rows of the candidates that fit (told by candidate and judges).

    An answer that later evaluations used again was one call, and is told of once.
    """
    left, seen = _LATEST, set[str]()
    for stored in ledger.evaluations():
        plan: EvaluationPlan | None = None
        for index, values in enumerate(stored.plan["candidates"]):
            judges = [stored.plan["judge"], *stored.plan.get("panel", ())]
            if not fits(Candidate.from_json(values), judges):
                continue
            plan = plan or ledger.plan(stored.id)
            for record in ledger.latest_outcomes(stored.id, index, left):
                left -= 1
                outcome = Outcome.from_json(record)
                asked = plan.answer_key(outcome.cell)
                if asked not in seen:
                    seen.add(asked)
                    yield plan, outcome
        if left <= 0:
            return
