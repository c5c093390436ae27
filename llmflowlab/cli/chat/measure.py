"""The numbers of a turn: tokens, cost, language, and the quiet line that shows them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from llmflowlab.asking.calling import Answer
from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import count, dollars, seconds
from llmflowlab.providers.base import Provider
from llmflowlab.tracking.records import TurnRecord

__all__ = ["cost_text", "measured", "summary_line", "tokens_per_second"]


def measured(record: TurnRecord, answer: Answer, app: App, provider: Provider) -> TurnRecord:
    """Fill in what the call and the text room know of an answer.

    Counts that the provider did not report are ours and marked as estimated.
    """
    usage = answer.usage
    prompt_tokens, completion_tokens = usage.prompt_tokens, usage.completion_tokens
    estimated = prompt_tokens is None or completion_tokens is None
    if prompt_tokens is None:
        prompt_tokens = app.counter.count_messages(record.messages, model=provider.model).value
    if completion_tokens is None:
        written = answer.reasoning + answer.text
        completion_tokens = app.counter.count(written, model=provider.model).value
    cost: Decimal | None = Decimal(0)
    if not provider.free:
        cost = app.prices.cost(
            *provider.priced_as,
            prompt_tokens,
            completion_tokens,
            cached=usage.cached_tokens,
            served=answer.model_version,
        )
    language = app.detector.detect(answer.text or record.prompt)
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


def tokens_per_second(record: TurnRecord) -> float | None:
    """Return generated tokens per second of generation, None where it cannot be told."""
    if not record.completion_tokens or record.inference_time <= 0:
        return None
    return record.completion_tokens / record.inference_time


def cost_text(cost: Decimal | None, *, estimated: bool = False) -> str:
    """Write a cost, an unknown one in words."""
    if cost is None:
        return "cost unknown"
    text = dollars(cost) or ""
    return f"~{text}" if estimated and cost else text


def summary_line(record: TurnRecord) -> str:
    """Return the line under an answer: tokens, cost, seconds, tokens per second, language."""
    estimated = record.tokens_estimated
    parts = [
        f"{count(record.prompt_tokens, estimated=estimated)} + "
        f"{count(record.completion_tokens, estimated=estimated)} tokens",
        cost_text(record.cost, estimated=estimated),
        seconds(record.inference_time) or "",
    ]
    speed = tokens_per_second(record)
    if speed is not None:
        parts.append(f"{'~' if estimated else ''}{speed:,.0f} tokens/s")
    parts.append(record.language or "language unknown")
    return " · ".join(parts)
