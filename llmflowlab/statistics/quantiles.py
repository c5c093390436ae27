"""Quantiles of what was measured, such as the 95th percentile of seconds; needs no numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["quantile", "quantile_of_sorted"]


def quantile(values: Iterable[float], q: float) -> float | None:
    """Return the q-quantile by linear interpolation (Hyndman & Fan 1996, type 7), None if empty."""
    return quantile_of_sorted(sorted(values), q)


def quantile_of_sorted(ordered: Sequence[float], q: float) -> float | None:
    """Return what `quantile` does of values that are sorted, which it neither copies nor sorts again."""
    if not len(ordered):
        return None
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))
