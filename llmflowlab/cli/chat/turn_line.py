"""The quiet line under an answer: tokens, cost, seconds, language."""

from __future__ import annotations

from decimal import Decimal

from llmflowlab.cli.formatting import count, dollars, seconds
from llmflowlab.tracking.records import TurnRecord

__all__ = ["cost_text", "summary_line", "tokens_per_second"]


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
