"""The quiet line under an answer: tokens, cost, seconds."""

from __future__ import annotations

from decimal import Decimal

from llmflowlab.text.amounts import count, seconds
from llmflowlab.text.money import dollars

__all__ = ["answer_line", "cost_text"]


def cost_text(cost: Decimal | None, *, estimated: bool = False) -> str:
    """Write a cost, an unknown one in words."""
    if cost is None:
        return "cost unknown"
    text = dollars(cost)
    return f"~{text}" if estimated and cost else text


def answer_line(
    *,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    estimated: bool,
    cost: Decimal | None,
    wasted: Decimal = Decimal(0),
    inference_time: float,
) -> list[str]:
    """Return the parts that the line begins with.

    Args:
        prompt_tokens: None where nobody knows.
        completion_tokens: Likewise.
        estimated: Whether a count is the lab's own.
        cost: US dollars; None: unknown.
        wasted: What of it went to tries that failed.
        inference_time: Seconds.
    """
    vain = f" ({dollars(wasted)} of it for failed tries)" if wasted else ""
    sent, came = (count(each, estimated=estimated) for each in (prompt_tokens, completion_tokens))
    return [
        "tokens unknown" if sent is came is None else f"{sent or '?'} + {came or '?'} tokens",
        cost_text(cost, estimated=estimated) + vain,
        seconds(inference_time) or "",
    ]
