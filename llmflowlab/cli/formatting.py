"""How numbers are written on screen: short, with their unit, unknown said in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from llmflowlab.text import money

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


def count(value: float | None, *, estimated: bool = False) -> str | None:
    """Write a count with thousands separators; `~` marks an estimate."""
    if value is None:
        return None
    return f"{'~' if estimated else ''}{value:,.0f}"


def seconds(value: float | None) -> str | None:
    """Write a duration so that three digits are left to read."""
    if value is None:
        return None
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return f"{value:,.0f} s"


def dollars(value: Decimal | None) -> str | None:
    """Write an amount in US dollars; None stays None."""
    return None if value is None else money.dollars(value)


def percent(value: float | None) -> str | None:
    """Write a share of 1 as a percentage."""
    return None if value is None else f"{100 * value:.1f} %"


def bytes_text(value: float) -> str:
    """Write a size in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit in {"B", "kB"} else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: `1 turn`, `2 turns`."""
    return f"{number:,} {one if number == 1 else (many or one + 's')}"


def shortened(text: str, width: int) -> str:
    """Return the text on one line, cut to `width` characters with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: max(width - 1, 0)] + "…"


def number_or_none(value: Any) -> float | None:
    """Return a Decimal or number as the float that JSON can hold, None as None."""
    return None if value is None else float(value)
