"""How numbers are written on screen: short, with their unit, unknown said in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from llmflowlab.text import money
from llmflowlab.text.amounts import bytes_text, count, percent, plural, seconds

__all__ = [
    "bytes_text",
    "count",
    "dollars",
    "number_or_none",
    "percent",
    "plural",
    "seconds",
    "shortened",
]


def dollars(value: Decimal | None) -> str | None:
    """Write an amount in US dollars; None stays None."""
    return None if value is None else money.dollars(value)


def shortened(text: str, width: int) -> str:
    """Return the text on one line, cut to `width` characters with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: max(width - 1, 0)] + "…"


def number_or_none(value: Any) -> float | None:
    """Return a Decimal or number as the float that JSON can hold, None as None."""
    return None if value is None else float(value)
