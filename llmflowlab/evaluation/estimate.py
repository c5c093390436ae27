"""What an evaluation will take before it is run: calls, tokens and money, as intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from llmflowlab.evaluation.answers import AnswerRecord, Metering
from llmflowlab.evaluation.judges import JUDGED
from llmflowlab.evaluation.plan import Cell, EvaluationPlan, request_for
from llmflowlab.evaluation.results import quantile
from llmflowlab.providers.base import Provider
from llmflowlab.text.cost import Prices

__all__ = ["Estimate", "estimate"]

ASSUMED_ANSWER = (20, 150, 500)
"""Tokens of an answer nobody has seen the like of: low, middle, high."""
ASSUMED_VERDICT = (40, 100, 250)
"""Tokens of a judge's JSON with its rationale."""
JUDGE_INSTRUCTIONS = 420
"""Tokens of MLflow 3.17's judge instructions around question and answer (counted with o200k)."""
_ENOUGH = 5
"""Answers seen before their lengths are trusted over the assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Calls, tokens and USD; `None` means that a price is unknown."""

    calls: int
    reused: int
    judge_calls: int
    tokens: tuple[int, int]
    """Low and high, prompt and completion, candidates and judge together."""
    cost: tuple[Decimal, Decimal] | None
    unpriced: tuple[str, ...]
    """Models whose price is not known."""
    assumption: str
    """Where the answer lengths come from, in words."""


def estimate(
    plan: EvaluationPlan,
    providers: Sequence[Provider],
    *,
    metering: Metering,
    prices: Prices,
    reused: Mapping[Cell, AnswerRecord],
    judge: Provider | None,
) -> Estimate:
    """Estimate what is still to be sent.

    Prompt tokens are counted; answer lengths are the 10 %, 50 % and 90 % quantiles of the answers
    this plan can reuse, where there are enough, else an assumption that is stated.
    """
    low, high = Decimal(0), Decimal(0)
    tokens_low = tokens_high = calls = 0
    unpriced: list[str] = []
    seen = sorted(r.completion_tokens for r in reused.values() if r.completion_tokens is not None)
    lengths = _lengths(seen)
    for index, provider in enumerate(providers):
        missing = [c for c in plan.cells() if c.candidate == index and c not in reused]
        calls += len(missing)
        prompt = sum(
            metering.prompt_tokens(
                provider, request_for(plan.candidates[index], plan.dataset.rows[cell.row])
            )
            for cell in missing
        )
        bounds = [prompt + length * len(missing) for length in (lengths[0], lengths[2])]
        tokens_low, tokens_high = tokens_low + bounds[0], tokens_high + bounds[1]
        costs = [
            _times(prices, provider, prompt, length, len(missing))
            for length in (lengths[0], lengths[2])
        ]
        if missing and (costs[0] is None or costs[1] is None):
            unpriced.append(provider.reference)
        low, high = low + (costs[0] or 0), high + (costs[1] or 0)
    judge_calls = _judge_calls(plan)
    if judge is not None and judge_calls:
        size = JUDGE_INSTRUCTIONS + _mean_row_tokens(plan, metering, judge)
        costs = []
        for answer, verdict in zip(lengths[::2], ASSUMED_VERDICT[::2], strict=True):
            costs.append(_times(prices, judge, (size + answer) * judge_calls, verdict, judge_calls))
        tokens_low += (size + lengths[0] + ASSUMED_VERDICT[0]) * judge_calls
        tokens_high += (size + lengths[2] + ASSUMED_VERDICT[2]) * judge_calls
        if costs[0] is None or costs[1] is None:
            unpriced.append(judge.reference)
        low, high = low + (costs[0] or 0), high + (costs[1] or 0)
    known = len(seen) >= _ENOUGH
    return Estimate(
        calls=calls,
        reused=len(reused),
        judge_calls=judge_calls,
        tokens=(tokens_low, tokens_high),
        cost=None if unpriced else (low, high),
        unpriced=tuple(unpriced),
        assumption=(
            f"answers of {lengths[0]} to {lengths[2]} tokens, as in {len(seen)} earlier ones"
            if known
            else f"answers of {lengths[0]} to {lengths[2]} tokens (an assumption)"
        ),
    )


def _times(
    prices: Prices, provider: Provider, prompt: int, completion: int, calls: int
) -> Decimal | None:
    """Price calls by their mean prompt: long prompts can have another price than the sum suggests."""
    if calls == 0:
        return Decimal(0)
    one = prices.cost(provider.name, provider.model, prompt // calls, completion)
    return None if one is None else one * calls


def _lengths(seen: Sequence[int]) -> tuple[int, int, int]:
    if len(seen) < _ENOUGH:
        return ASSUMED_ANSWER
    values = [float(value) for value in seen]
    low, middle, high = (quantile(values, q) or 0.0 for q in (0.1, 0.5, 0.9))
    return round(low), round(middle), round(high)


def _judge_calls(plan: EvaluationPlan) -> int:
    """Count judgements if every row is answered; those to be reused are not known before."""
    rows = plan.dataset.rows
    per_scorer = {
        "correctness": sum(1 for row in rows if row.expected),
        "guidelines": sum(1 for row in rows if row.guidelines),
        "safety": len(rows),
    }
    wanted = [per_scorer[name] for name in plan.scorers if name in JUDGED]
    return sum(wanted) * len(plan.candidates) * plan.trials


def _mean_row_tokens(plan: EvaluationPlan, metering: Metering, judge: Provider) -> int:
    rows = plan.dataset.rows
    total = sum(metering.prompt_tokens(judge, request_for(plan.candidates[0], row)) for row in rows)
    return round(total / len(rows)) if rows else 0
