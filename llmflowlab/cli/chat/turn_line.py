"""The quiet line under an answer: tokens, cost, seconds, language."""

from __future__ import annotations

from llmflowlab.text.answer_line import answer_line
from llmflowlab.tracking.records import TurnRecord
from llmflowlab.tracking.summaries import tokens_per_second

__all__ = ["summary_line"]


def summary_line(record: TurnRecord) -> str:
    """Return the line under an answer: tokens, cost, seconds, tokens per second, language."""
    estimated = record.tokens_estimated
    parts = answer_line(
        prompt_tokens=record.prompt_tokens,
        completion_tokens=record.completion_tokens,
        estimated=estimated,
        cost=record.cost,
        wasted=record.wasted,
        inference_time=record.inference_time,
    )
    if speed := tokens_per_second([record]):
        parts.append(f"{'~' if estimated else ''}{speed:,.0f} tokens/s")
    parts.append(record.language or "language unknown")
    return " · ".join(parts)
