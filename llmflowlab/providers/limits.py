"""What a provider's response headers say about its rate limits.

OpenAI and Azure send `x-ratelimit-remaining-requests`, `-tokens` and the time until each is whole again
as `1s`, `6m0s` or `20ms` (OpenAI's rate limit guide); Anthropic sends `anthropic-ratelimit-…-remaining`
and an RFC 3339 time in `…-reset` (Anthropic's rate limit page).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

__all__ = ["RateLimits", "limits_of", "read_limits"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 600.0
"""Seconds; a header that asks for more is about a day's quota, which the refusals will tell."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How long the next request should wait, in seconds; 0 where there is room."""

    pause: float


def limits_of(stream: Any) -> RateLimits | None:
    """Read the limits from an SDK's stream, which holds the response it reads from."""
    headers = getattr(getattr(stream, "response", None), "headers", None)
    return None if headers is None else read_limits(headers)


def read_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Read the headers of an answer; None where they say nothing of limits."""
    found = False
    pause = 0.0
    for kind in ("requests", "tokens"):
        for remaining_name, reset_name in (
            (f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}"),
            (f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset"),
        ):
            remaining = _whole(headers.get(remaining_name))
            if remaining is None:
                continue
            found = True
            if remaining <= 0:
                pause = max(pause, _seconds(headers.get(reset_name)))
    return RateLimits(min(pause, _LONGEST)) if found else None


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _seconds(text: str | None) -> float:
    if not text:
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        return 0.0
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
