"""The quiet line under an answer: tokens, cost, seconds, language."""

from __future__ import annotations

from decimal import Decimal

from llmflowlab.cli.formatting import count, dollars, seconds
from llmflowlab.tracking.records import TurnRecord
from llmflowlab.tracking.summaries import tokens_per_second

__all__ = ["cost_text", "summary_line"]


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
    if speed := tokens_per_second([record]):
        parts.append(f"{'~' if estimated else ''}{speed:,.0f} tokens/s")
    parts.append(record.language or "language unknown")
    return " · ".join(parts)


def _in_vain(record: TurnRecord) -> str:
    return f" ({dollars(record.wasted)} of it for failed tries)" if record.wasted else ""
