"""A watch over means that says when they have changed, as often as one looks.

A new gambler sits down at every look and bets that the change begins there; the watch's e-value is what
all of them together hold, over the number of them that there can be within a horizon. That sum plus one
for each gambler to come never grows on average, so that (Ville's inequality) within any `horizon`
consecutive looks the e-value reaches 1/α with a chance of α at most. This is the Shiryaev–Roberts
e-detector (Shin, Ramdas & Rinaldo 2024, NEJSDS 2:229–260) with a threshold for a chance within a time:
the usual threshold 1/α holds the mean time to a false alarm alone, and against an estimated baseline not
even that. What is assumed stands in `change_evidence.py`; the chance counts the baseline's own.

A watch over several streams multiplies what they say, in three ways that share the stakes: every stream
changed, some of them, one alone.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np

from llmflowlab.statistics.change_evidence import Band, EstimatedBand, Stream, log_evidence

__all__ = ["Look", "Watch"]

Look = Sequence[tuple[float, int]]
"""For each stream the sum of a look's values, each in [0, 1], and how many there are; 0 and 0 for none."""
_SOME = 0.3
"""Chance of a stream to be one of those that changed, where some did."""
_GROWTH = 1.2
"""Of the ages of gamblers that are counted; those between them are left out, which only loses power."""


class Watch:
    """Streams of values in [0, 1], and whether their means are still where they were.

    Args:
        streams: The band of each.
        horizon: Looks in the time for which false alarms are bounded: 720 for 30 days of hours.
        window: Looks after which a gambler leaves; a change that takes longer to show is not seen.
        looks: Those so far, of which the last `window` matter.
    """

    def __init__(
        self, streams: Sequence[Stream], *, horizon: int, window: int, looks: Iterable[Look] = ()
    ) -> None:
        if not streams or horizon < 1 or window < 1:
            raise ValueError("a watch has a stream, a horizon and a window")
        self.streams = tuple(streams)
        self.horizon = horizon
        self.window = window
        self._looks: deque[Look] = deque(maxlen=window)
        # All that came, added up before each look that matters and after the last.
        self._sums: deque[np.ndarray] = deque([np.zeros((len(streams), 2))], maxlen=window + 1)
        for look in looks:
            self.observe(look)

    def observe(self, look: Look) -> None:
        """Take in what a look has brought.

        Raises:
            ValueError: It has another number of streams, or values beyond [0, 1].
        """
        if len(look) != len(self.streams) or any(not 0 <= total <= n for total, n in look):
            raise ValueError("a look has a total between 0 and n for each stream")
        self._looks.append([(float(total), int(n)) for total, n in look])
        self._sums.append(self._sums[-1] + np.array(look, dtype=float))

    def gamblers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the ages, in looks, of those who are counted; what each has seen; what it has won.

        What was seen is a total and n for each stream, what was won the logarithm of an e-value for each.
        """
        some = ages(len(self._looks))
        before = np.array([self._sums[-1 - age] for age in some])
        seen = self._sums[-1] - before.reshape(-1, len(self.streams), 2)
        # Sums of fractions leave crumbs.
        seen[..., 0] = np.clip(seen[..., 0], 0.0, seen[..., 1])
        won = [log_evidence(s, seen[:, i, 0], seen[:, i, 1]) for i, s in enumerate(self.streams)]
        return some, seen, np.stack(won, axis=-1)

    @property
    def log_e(self) -> float:
        """Natural logarithm of the e-value."""
        if not self._looks:
            return -math.inf
        _, _, logs = self.gamblers()
        return float(np.logaddexp.reduce(together(logs))) - math.log(self.horizon + self.window)

    @property
    def e_value(self) -> float:
        """Evidence of a change: 1/α is reached by chance in a share α of horizons at most."""
        return math.exp(min(self.log_e, 700.0))

    def alarmed(self, alpha: float) -> bool:
        """Tell whether the means have changed, at a chance of `alpha` that this is said of any that have not.

        The chance is that of any alarm within `horizon` looks.
        """
        return self.log_e >= -math.log(alpha)

    @property
    def per_stream(self) -> list[float]:
        """For each stream the largest log evidence of any gambler on it alone: what to name in a message."""
        if not self._looks:
            return [0.0] * len(self.streams)
        _, _, logs = self.gamblers()
        return [float(most) for most in logs.max(axis=0)]

    def to_json(self) -> dict[str, Any]:
        return {
            "streams": [asdict(stream) for stream in self.streams],
            "horizon": self.horizon,
            "window": self.window,
            "looks": [[list(pair) for pair in look] for look in self._looks],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Watch:
        """Restore a watch.

        Raises:
            ValueError, KeyError, TypeError: It is none.
        """
        return cls(
            [
                Band(**each) if "low" in each else EstimatedBand(**each)
                for each in record["streams"]
            ],
            horizon=record["horizon"],
            window=record["window"],
            looks=[[(total, n) for total, n in look] for look in record["looks"]],
        )


@cache
def ages(most: int) -> np.ndarray:
    """Return the ages, in looks, of the gamblers that are counted."""
    steps = itertools.accumulate(
        itertools.repeat(1), lambda age, _: max(age + 1, int(age * _GROWTH))
    )
    return np.array(list(itertools.takewhile(lambda age: age <= most, steps)))


def together(logs: np.ndarray) -> np.ndarray:
    """Return what streams say together, from what each says (last axis)."""
    ways = shares(logs.shape[-1])
    said = np.stack([at_share(logs, share).sum(axis=-1) for share in ways])
    return np.asarray(np.logaddexp.reduce(said, axis=0) - math.log(len(ways)))


def shares(streams: int) -> tuple[float, ...]:
    """Return the shares of streams that a change is thought to move: all, some, one."""
    return (1.0,) if streams == 1 else (1.0, _SOME, 1 / streams)


def at_share(logs: np.ndarray, share: float) -> np.ndarray:
    """Return what streams say, each of which moved with that chance."""
    return logs if share == 1 else np.logaddexp(math.log1p(-share), math.log(share) + logs)
