"""What earlier evaluations tell about the size of answers and judgements to come."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from llmflowlab.evaluation.answers import Metering
from llmflowlab.evaluation.ledger import Ledger
from llmflowlab.evaluation.outcomes import Outcome
from llmflowlab.evaluation.plan import CandidateSpec, EvaluationPlan, request_for
from llmflowlab.providers.base import Provider

__all__ = ["ENOUGH", "Sizes", "answers_before", "spread_of_sum", "verdicts_before"]

ENOUGH = 5
"""Answers seen before their sizes are trusted over an assumption."""
_LATEST = 500
"""Answers looked at; models and prompts change, so the latest tell most."""
_SLOPES = (0.5, 2.0)
"""How much more tokens a provider can count than we do; what lies outside is chance."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Calls that were made before: what was counted for them, and what the provider reported."""

    counted: Sequence[int]
    """Our count of each prompt, in tokens."""
    prompts: Sequence[int]
    """The provider's."""
    completions: Sequence[int]

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


def spread_of_sum(values: Sequence[int], number: int) -> tuple[float, float, float]:
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
    ledger: Ledger, candidate: CandidateSpec, provider: Provider, metering: Metering
) -> Sizes:
    """Return the sizes of a candidate's latest answers, or of its model's where it has too few."""
    own = _answers(ledger, provider, metering, lambda other: other.digest == candidate.digest)
    if own.enough:
        return own
    return _answers(ledger, provider, metering, lambda other: other.model == candidate.model)


def _answers(
    ledger: Ledger, provider: Provider, metering: Metering, fits: _Fits
) -> Sizes:
    counted, prompts, completions = [], [], []
    for plan, outcome in _latest(ledger, fits):
        answer = outcome.answer
        if not answer.answered or answer.prompt_tokens is None or answer.completion_tokens is None:
            continue
        spec = plan.candidates[outcome.cell.candidate]
        request = request_for(spec, plan.dataset.rows[outcome.cell.row])
        counted.append(metering.prompt_tokens(provider, request))
        prompts.append(answer.prompt_tokens)
        completions.append(answer.completion_tokens)
    return Sizes(counted, prompts, completions)
