"""Shares, durations, sizes and numbers of things as words: short, with their unit, unknown staying None."""

from __future__ import annotations

__all__ = ["FEW_EXPLAINED", "bytes_text", "count", "marked_few", "percent", "plural", "seconds"]


def percent(value: float | None) -> str | None:
    """Write a share of 1 as a percentage."""
    return None if value is None else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str | None:
    """Write a duration so that three digits are left to read."""
    if value is None:
        return None
    if value < 0.01:
        return f"{value * 1000:.2g} ms"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return f"{value:,.0f} s"


def count(value: float | None, *, estimated: bool = False) -> str | None:
    """Write a count with thousands separators; `~` marks an estimate."""
    if value is None:
        return None
    return f"{'~' if estimated else ''}{value:,.0f}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: `1 turn`, `2 turns`."""
    return f"{number:,} {one if number == 1 else (many or one + 's')}"


def bytes_text(value: float) -> str:
    """Write a size in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit in {"B", "kB"} else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


_FEW = 20
FEW_EXPLAINED = f"few: of fewer than {_FEW} answers, so that p95 is the luck of the slowest one."
"""What must stand under a table with such a mark."""


def marked_few(percentile: str | None, values: int) -> str | None:
    """Mark a 95th percentile of so few values that not even one of them lies beyond it."""
    return percentile if percentile is None or values >= _FEW else f"{percentile} few"
