"""What an evaluation will take before it is run: calls, tokens and money, as intervals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from statistics import fmean

from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pump import Texts
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging import JUDGED, PREFERENCE, Panel
from llmflowlab.evaluation.run.experience import (
    ENOUGH,
    Sizes,
    answers_before,
    spread_of_sum,
    verdicts_before,
)
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, request_for
from llmflowlab.evaluation.run.scorer_choice import judgeable
from llmflowlab.guardrails.detector import request_for as detector_request
from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider
from llmflowlab.text.cost import Prices

__all__ = ["Estimate", "estimate"]

ASSUMED_ANSWER = (20, 150, 500)
"""Tokens of an answer nobody has seen the like of: low, middle, high."""
ASSUMED_VERDICT = (40, 100, 250)
"""Tokens of a judge's JSON with its rationale."""
JUDGE_INSTRUCTIONS = 420
"""Tokens of MLflow 3.17's judge instructions around question and answer (counted with o200k)."""
_MANY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Calls, tokens and USD; `None` means that a price is unknown."""

    calls: int
    reused: int
    judge_calls: int
    detector_calls: int
    """Of the model behind candidates' guardrails, one before an answer and one after it."""
    tokens: tuple[int, int]
    """Low and high, prompt and completion, of candidates, judges and detectors together."""
    cost: tuple[Decimal, Decimal] | None
    unpriced: tuple[str, ...]
    """Models whose price is not known."""
    assumption: str
    """Where the answer lengths come from, in words."""

    def times(self, rows: int, drawn: int) -> Estimate:
        """Return the estimate of so many rows where this one is of some that were drawn from them."""
        if rows == drawn:
            return self
        low, high = self.tokens
        return replace(
            self,
            calls=self.calls * rows // drawn,
            reused=self.reused * rows // drawn,
            judge_calls=self.judge_calls * rows // drawn,
            detector_calls=self.detector_calls * rows // drawn,
            tokens=(low * rows // drawn, high * rows // drawn),
            cost=self.cost and (self.cost[0] * rows / drawn, self.cost[1] * rows / drawn),
            assumption=f"{self.assumption}, and prompts like those of {drawn:,} rows",
        )


def estimate(
    plan: EvaluationPlan,
    providers: Sequence[Provider | None],
    *,
    metering: Metering,
    prices: Prices,
    reused: Mapping[Cell, AnswerRecord],
    panel: Panel | None,
    ledger: Ledger,
    detectors: Mapping[str, Provider],
    judged: Collection[tuple[Cell, str]] = (),
    to_examine: Callable[[str, str], int] = lambda scorer, judge: 0,
) -> Estimate:
    """Estimate what is still to be sent.

    Prompt tokens are counted, and corrected by what the provider reported for earlier ones. Answers
    are as long as earlier ones of the same candidate, else of the same model, whatever they were
    asked; where there are too few, an assumption is made and stated.

    Args:
        plan: What is to be done.
        providers: One per candidate, in the plan's order; None for those whose answers are given.
        metering: Counts tokens.
        prices: Prices calls.
        reused: Answers that need not be asked for.
        panel: Who judges; None where no scorer needs it.
        ledger: Remembers earlier evaluations.
        detectors: The models behind candidates' guardrails, by reference.
        judged: Judgements that need not be asked for, by row and scorer.
        to_examine: How many verdicts the examination of a judge takes, by scorer and judge.
    """
    total = _Total(prices)
    calls = seen = detector_calls = 0
    lengths: list[tuple[float, float, float]] = []
    for index, provider in enumerate(providers):
        if provider is None:
            continue
        spec = plan.candidates[index]
        missing = [c for c in plan.cells() if c.candidate == index and c not in reused]
        calls += len(missing)
        before = answers_before(ledger, spec, provider, metering)
        seen += len(before.completions) if before.enough else 0
        lengths.append(_per_call(before, ASSUMED_ANSWER))
        prompts = [
            metering.prompt_tokens(provider, request_for(spec, plan.dataset.rows[cell.row]))
            for cell in missing
        ]
        total.add(provider, before, prompts, ASSUMED_ANSWER)
        if (named := (spec.guardrails or {}).get("detector")) is not None:
            requests = [request_for(spec, plan.dataset.rows[cell.row]) for cell in missing]
            read = _read(detectors[named], requests, lengths[-1][1], metering)
            total.add(detectors[named], Sizes([], [], []), read, ASSUMED_VERDICT)
            detector_calls += len(read)
    judge_calls = 0
    if panel is not None:
        given = _given(plan, metering, panel.judges[0].provider)
        sizes = [*(length[1] for length in lengths), *given]
        # No row is left of an evaluation that is gone on with: nothing is judged.
        middle = fmean(sizes) if sizes else 0.0
        opponents = len(plan.candidates) - 1
        for scorer in (name for name in plan.scorers if plan.spec(name).kind in JUDGED):
            comparing = plan.spec(scorer).kind == PREFERENCE
            rows = [
                plan.dataset.rows[cell.row]
                for cell in plan.cells()
                if (cell, scorer) not in judged
                and plan.given(cell) != ""
                and judgeable(plan.dataset.rows[cell.row], plan.spec(scorer))
            ]
            # Both answers of a pair are scored from the same two verdicts.
            each = panel.runs * (opponents if comparing else 1)
            shown = middle * (2 if comparing else 1)
            judge_calls += len(rows) * each * len(panel.judges)
            for judge in (member.provider for member in panel.judges):
                before = verdicts_before(ledger, judge, scorer, metering)
                extra = shown if before.enough else shown + JUDGE_INSTRUCTIONS
                asked = [request_for(plan.candidates[0], row) for row in rows]
                prompts = [round(metering.prompt_tokens(judge, r) + extra) for r in asked]
                exam = to_examine(scorer, judge.reference) if prompts else 0
                judge_calls += exam
                # Of rows like these, with answers that are hardly longer.
                prompts = prompts * each + [prompts[i % len(prompts)] for i in range(exam)]
                total.add(judge, before, prompts, ASSUMED_VERDICT)
    return Estimate(
        calls=calls,
        reused=len(reused),
        judge_calls=judge_calls,
        detector_calls=detector_calls,
        tokens=(round(total.tokens[0]), round(total.tokens[1])),
        cost=None if total.unpriced else (total.low, total.high),
        unpriced=tuple(dict.fromkeys(total.unpriced)),
        assumption=_words(seen, lengths),
    )


@dataclass(slots=True)
class _Total:
    """Adds calls up."""

    prices: Prices
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    tokens: list[float] = field(default_factory=lambda: [0.0, 0.0])
    unpriced: list[str] = field(default_factory=list)

    def add(
        self,
        provider: Provider,
        before: Sizes,
        prompts: Sequence[int],
        assumed: tuple[int, int, int],
    ) -> None:
        """Add a model's calls, given our count of each prompt."""
        calls = len(prompts)
        if not calls:
            return
        prompt = before.prompt_tokens(prompts) if before.enough else float(sum(prompts))
        if before.enough:
            low, _, high = spread_of_sum(before.completions, calls)
        else:
            low, high = float(assumed[0] * calls), float(assumed[2] * calls)
        prompt, low, high = prompt * before.paid, low * before.paid, high * before.paid
        self.tokens[0] += prompt + low
        self.tokens[1] += prompt + high
        # By the mean prompt: long ones can have another price than their sum suggests.
        mean = max(1, round(prompt / calls / before.paid)) if before.paid else 1
        empty = self.prices.cost(*provider.priced_as, mean, 0)
        full = self.prices.cost(*provider.priced_as, mean, _MANY)
        if empty is None or full is None:
            self.unpriced.append(provider.reference)
            return
        per_prompt, per_completion = empty / mean, (full - empty) / _MANY
        self.low += per_prompt * Decimal(prompt) + per_completion * Decimal(low)
        self.high += per_prompt * Decimal(prompt) + per_completion * Decimal(high)


def _read(
    detector: Provider, asked: Sequence[Request], answer: float, metering: Metering
) -> list[int]:
    """Return the tokens of what a detector reads: each question, and an answer to each."""
    before = metering.prompt_tokens(detector, detector_request("", "in"))
    after = metering.prompt_tokens(detector, detector_request("", "out"))
    questions = [
        next((said.content for said in reversed(each.messages) if said.role == "user"), "")
        for each in asked
    ]
    counted = [metering.prompt_tokens(detector, Texts((question,))) for question in questions]
    return [*(before + tokens for tokens in counted), *[round(after + answer)] * len(asked)]


def _per_call(before: Sizes, assumed: tuple[int, int, int]) -> tuple[float, float, float]:
    if not before.enough:
        return (float(assumed[0]), float(assumed[1]), float(assumed[2]))
    number = len(before.completions)
    low, middle, high = spread_of_sum(before.completions, number)
    return low / number, middle / number, high / number


def _given(plan: EvaluationPlan, metering: Metering, judge: Provider) -> Iterator[float]:
    """Yield the tokens of an answer on average, for each candidate whose answers are given."""
    for column in plan.dataset.given:
        texts = Texts(tuple(row.given_answers[column] for row in plan.dataset.rows))
        yield metering.prompt_tokens(judge, texts) / len(texts.texts)


def _words(seen: int, lengths: Sequence[tuple[float, float, float]]) -> str:
    if not lengths:
        return "the answers that are given"
    low, high = round(min(x[0] for x in lengths)), round(max(x[2] for x in lengths))
    if seen >= ENOUGH:
        return f"answers of {low} to {high} tokens on average, as in {seen} earlier ones"
    return f"answers of {low} to {high} tokens (an assumption)"
