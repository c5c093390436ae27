"""Quantiles of what was measured, such as the 95th percentile of seconds; needs no numpy."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["quantile"]


def quantile(values: Iterable[float], q: float) -> float | None:
    """Return the q-quantile by linear interpolation (Hyndman & Fan 1996, type 7), None if empty."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
