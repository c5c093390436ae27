"""One candidate's answer to one row, as it stands in the ledger and in every report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from llmflowlab.asking.calling import Answer
from llmflowlab.errors import ProviderError
from llmflowlab.evaluation.scores import NotScored
from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider, Usage
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter

__all__ = ["AnswerRecord", "Metering", "RowState"]

RowState: TypeAlias = Literal["complete", "incomplete", "failed", "budget_exhausted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRecord:
    """What came of asking a candidate a row once."""

    text: str
    """Empty unless something came."""
    state: RowState
    reason: str | None = None
    """`ProviderError.reason` of a row without a complete answer."""
    error: str | None = None
    """The sentence that goes with `reason`."""
    started_ms: int = 0
    """Milliseconds since the epoch at which the successful or last try was sent."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    tokens_estimated: bool = False
    """True where a count is ours, not the provider's."""
    cost_usd: str | None = None
    """Decimal as text; None means unknown."""
    latency: float | None = None
    """Seconds of the try that answered; None where none did."""
    time_to_first_token: float | None = None
    finish_reason: str | None = None
    model_version: str | None = None
    tries: int = 1
    waited: float = 0.0
    """Seconds spent waiting between tries."""

    wasted_usd: str | None = None
    """What failed tries cost on top, as far as the provider reported their tokens."""

    @property
    def answered(self) -> bool:
        return self.state == "complete"

    @property
    def cost(self) -> Decimal | None:
        return None if self.cost_usd is None else Decimal(self.cost_usd)

    @property
    def spent(self) -> Decimal:
        """What is known to have been paid for it, failed tries included."""
        return (self.cost or Decimal(0)) + Decimal(self.wasted_usd or 0)

    @property
    def why_not_scored(self) -> NotScored | None:
        """The reason every scorer gives for a row without a whole answer, before it reads the text."""
        reasons: dict[RowState, NotScored | None] = {
            "complete": None,
            "incomplete": "answer_incomplete",
            "failed": "answer_failed",
            "budget_exhausted": "budget_exhausted",
        }
        return reasons[self.state]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AnswerRecord:
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


class Metering:
    """Turns finished calls into records: tokens (the provider's, else counted by us) and cost."""

    def __init__(self, counter: TokenCounter, prices: Prices) -> None:
        self._counter = counter
        self._prices = prices

    def record(
        self, provider: Provider, request: Request, answer: Answer, started_ms: int
    ) -> AnswerRecord:
        """Return the record of a call that brought something."""
        prompt, completion, estimated = self.tokens(provider, request, answer)
        whole = answer.state == "complete"
        cost = self._prices.cost(
            *provider.priced_as,
            prompt,
            completion,
            cached=answer.usage.cached_tokens,
            served=answer.model_version,
        )
        return AnswerRecord(
            text=answer.text,
            state="complete" if whole else "incomplete",
            reason=None if whole else (answer.error.reason if answer.error else answer.state),
            error=answer.error.message if answer.error else None,
            started_ms=started_ms,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=answer.usage.cached_tokens,
            tokens_estimated=estimated,
            cost_usd=None if cost is None else str(cost),
            latency=answer.inference_time,
            time_to_first_token=answer.time_to_first_token,
            finish_reason=answer.finish_reason,
            model_version=answer.model_version,
            tries=answer.tries,
            waited=answer.waited,
            wasted_usd=self.wasted(provider, answer.failed_usage),
        )

    def embedded(self, provider: Provider, request: Request, answer: Answer) -> AnswerRecord:
        """Return the record of a call for vectors, which costs its prompt alone."""
        said = answer.usage.prompt_tokens
        prompt = self.prompt_tokens(provider, request) if said is None else said
        cost = self._prices.cost(*provider.priced_as, prompt, 0, served=answer.model_version)
        return AnswerRecord(
            text="",
            state="complete",
            prompt_tokens=prompt,
            completion_tokens=0,
            tokens_estimated=said is None,
            cost_usd=None if cost is None else str(cost),
            latency=answer.inference_time,
            tries=answer.tries,
            wasted_usd=self.wasted(provider, answer.failed_usage),
        )

    def wasted(self, provider: Provider, usage: Usage) -> str | None:
        """Return in USD what tries that failed cost, as far as they reported tokens; else None."""
        if usage.prompt_tokens is None and usage.completion_tokens is None:
            return None
        cost = self._prices.cost(
            *provider.priced_as, usage.prompt_tokens or 0, usage.completion_tokens or 0
        )
        return None if cost is None else str(cost)

    def at_most(self, provider: Provider, tokens: int) -> Decimal:
        """Return in USD what so many tokens can cost, prompt and answer together; 0 if unknown."""
        price = self._prices.cost
        either = (
            price(*provider.priced_as, tokens, 0),
            price(*provider.priced_as, 0, tokens),
        )
        return max((cost for cost in either if cost is not None), default=Decimal(0))

    def worst_case(self, provider: Provider, request: Request, max_tokens: int) -> Decimal | None:
        """Return what a call can cost at most, or None where its price is unknown.

        The prompt is counted, half as much again is added where the count is ours, and the answer is
        taken to be as long as allowed.
        """
        prompt = self.prompt_tokens(provider, request)
        return self._prices.cost(*provider.priced_as, prompt + prompt // 2 + 64, max_tokens)

    def tokens(self, provider: Provider, request: Request, answer: Answer) -> tuple[int, int, bool]:
        """Return prompt tokens, completion tokens, and whether one of them is our own count."""
        prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
        estimated = prompt is None or completion is None
        if prompt is None:
            prompt = self.prompt_tokens(provider, request)
        if completion is None:
            text = answer.reasoning + answer.text
            completion = self._counter.count(text, model=provider.model).value
        return prompt, completion, estimated

    def prompt_tokens(self, provider: Provider, request: Request) -> int:
        """Count a request's tokens before it is sent."""
        parts = [request.system or "", *(message.content for message in request.messages)]
        return sum(self._counter.count(part, model=provider.model).value for part in parts if part)

    def failed(
        self, provider: Provider, error: ProviderError, started_ms: int, tries: int
    ) -> AnswerRecord:
        """Return the record of a call that brought nothing."""
        return AnswerRecord(
            text="",
            state="failed",
            reason=error.reason,
            error=error.message,
            started_ms=started_ms,
            tries=tries,
            waited=error.waited,
            wasted_usd=self.wasted(
                provider,
                Usage(prompt_tokens=error.prompt_tokens, completion_tokens=error.completion_tokens),
            ),
        )
