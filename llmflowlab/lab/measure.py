"""The numbers of a turn: tokens, cost, language."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from llmflowlab.asking.calling import Answer
from llmflowlab.lab.lab import Lab
from llmflowlab.providers.base import Provider
from llmflowlab.tracking.records import TurnRecord

__all__ = ["measured"]


def measured(record: TurnRecord, answer: Answer, lab: Lab, provider: Provider) -> TurnRecord:
    """Fill in what the call and the text room know of an answer.

    Counts that the provider did not report are ours and marked as estimated.
    """
    usage = answer.usage
    prompt_tokens, completion_tokens = usage.prompt_tokens, usage.completion_tokens
    estimated = prompt_tokens is None or completion_tokens is None
    if prompt_tokens is None:
        prompt_tokens = lab.counter.count_messages(record.messages, model=provider.model).value
    if completion_tokens is None:
        written = answer.reasoning + answer.text
        completion_tokens = lab.counter.count(written, model=provider.model).value
    cost: Decimal | None = Decimal(0)
    if not provider.free:
        cost = lab.prices.cost(
            *provider.priced_as,
            prompt_tokens,
            completion_tokens,
            cached=usage.cached_tokens,
            served=answer.model_version,
        )
    language = lab.detector.detect(answer.text or record.prompt)
    return replace(
        record,
        reasoning=answer.reasoning,
        model_version=answer.model_version,
        language=language.code,
        language_confidence=language.confidence,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        tokens_estimated=estimated,
        cost_usd=None if cost is None else str(cost),
        inference_time=answer.inference_time,
        time_to_first_token=answer.time_to_first_token,
        tries=answer.tries,
        waited=answer.waited,
        finish_reason=answer.finish_reason,
    )
