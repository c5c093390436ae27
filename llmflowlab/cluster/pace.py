"""How fast the workers of a cluster may ask a provider, all together."""

from __future__ import annotations

import math
from collections import deque

from llmflowlab.cluster.leases import Permits

__all__ = ["Pace"]

_AHEAD = 2.0
"""Seconds of requests that are permitted at a time."""


class Pace:
    """Requests and tokens a minute of one provider, for all workers together.

    Args:
        per_minute: Requests; None limits nothing.
        tokens_per_minute: Likewise, counted after the fact.
        since: When it begins after others whose requests are not known: their tokens are taken to be
            used up then.
    """

    def __init__(
        self, per_minute: float | None, tokens_per_minute: float | None, *, since: float | None
    ) -> None:
        self._gap = 0.0 if per_minute is None else 60 / per_minute
        self._most = tokens_per_minute
        self._next = -math.inf if since is None else since + _AHEAD
        self._used: deque[tuple[float, float]] = deque()
        if since is not None and tokens_per_minute is not None:
            self._used.append((since, tokens_per_minute))

    def permit(self, now: float, wanted: int, tokens: int) -> Permits:
        """Permit requests.

        Args:
            now: Seconds of the clock that `since` is of.
            wanted: How many at most.
            tokens: What requests before are known to have used since the last time.
        """
        if tokens:
            self._used.append((now, tokens))
        while self._used and self._used[0][0] <= now - 60:
            self._used.popleft()
        if self._most is not None and sum(used for _, used in self._used) >= self._most:
            return Permits(0, self._used[0][0] + 60 - now, 0.0)
        if not self._gap:
            return Permits(wanted, 0.0, 0.0)
        begin = max(now, self._next)
        count = max(1, min(wanted, int(_AHEAD / self._gap)))
        self._next = begin + count * self._gap
        return Permits(count, begin - now, self._gap)
