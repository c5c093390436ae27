"""Lengths of time as people write them: `30m`, `1h`, `7d`."""

from __future__ import annotations

import re

from llmflowlab.errors import InputError

__all__ = ["read_window", "span"]

_WINDOW = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)", re.ASCII)
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_LONGEST = 366 * 86_400.0


def read_window(text: str) -> float:
    """Read a length of time such as `30m`, `1h` or `7d`; returns seconds.

    Raises:
        InputError: It is none, or longer than a year.
    """
    found = _WINDOW.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= _LONGEST:
        raise InputError(f"{text!r} is no length of time; write it as in 30m, 1h or 7d.")
    return seconds


def span(seconds: float) -> str:
    """Write such a length: `30 min`, `1 h`, `7 d`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
