"""The numbers of a turn: what it took, its language, and the quiet line that shows them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from llmflowlab.asking.paid import Paid
from llmflowlab.cli.formatting import count, dollars, seconds
from llmflowlab.text.language import LanguageDetector
from llmflowlab.tracking.records import TurnRecord

__all__ = ["cost_text", "measured", "summary_line", "tokens_per_second"]


def measured(record: TurnRecord, paid: Paid, detector: LanguageDetector) -> TurnRecord:
    """Fill in what the call took, and what the text room knows of an answer."""
    spent, wasted = paid.spent, paid.wasted
    record = replace(
        record,
        prompt_tokens=paid.prompt_tokens,
        completion_tokens=paid.completion_tokens,
        cached_tokens=paid.cached_tokens,
        reasoning_tokens=paid.reasoning_tokens,
        tokens_estimated=paid.tokens_estimated,
        cost_usd=None if spent is None else str(spent),
        wasted_usd=str(wasted) if wasted else None,
        tries=max(paid.tries, 1),
        waited=paid.waited,
    )
    answer = paid.answer
    if answer is None:
        return record
    language = detector.detect(answer.text or record.prompt)
    return replace(
        record,
        answer=answer.text,
        reasoning=answer.reasoning,
        model_version=answer.model_version,
        language=language.code,
        language_confidence=language.confidence,
        inference_time=answer.inference_time,
        time_to_first_token=answer.time_to_first_token,
        tries=paid.tries,
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
        cost_text(record.cost, estimated=estimated) + _in_vain(record),
        seconds(record.inference_time) or "",
    ]
    speed = tokens_per_second(record)
    if speed is not None:
        parts.append(f"{'~' if estimated else ''}{speed:,.0f} tokens/s")
    parts.append(record.language or "language unknown")
    return " · ".join(parts)


def _in_vain(record: TurnRecord) -> str:
    return f" ({dollars(record.wasted)} of it for failed tries)" if record.wasted else ""
