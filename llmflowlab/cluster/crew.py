"""Coordinator and workers as their driver sees them, and how it follows what they commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from llmflowlab.cluster.leases import ClusterLimits, ClusterStanding
from llmflowlab.cluster.shards import Stage

__all__ = ["Crew", "Job", "follow"]

_LOOK = 0.3
"""Seconds between two looks at the workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What coordinator and workers are told; nothing secret is in it."""

    place: str
    """Of the storage."""
    stage: Stage
    described: dict[str, Any]
    """The plan."""
    limits: ClusterLimits
    workers: int


class Crew(Protocol):
    """Coordinator and workers, wherever they are."""

    def begin(self, job: Job) -> None:
        """Start them.

        Raises:
            ConfigurationError: They cannot be used as they are.
        """

    def tend(self, seconds: float) -> bool:
        """Wait a moment, and replace workers that were lost; False once all have ended.

        Raises:
            LabError: A worker cannot go on, and another could not either.
        """

    def standing(self, after: int) -> ClusterStanding | None:
        """Return how far they are; None while the coordinator is being started anew."""

    def stop(self) -> None:
        """Have them end: what is in flight finishes."""

    def end(self) -> None:
        """Let go of them."""


def follow(
    crew: Crew,
    take: Callable[[int, str], None],
    tick: Callable[[ClusterStanding | None], None],
) -> bool:
    """Take committed shards in until no worker is left; returns whether Ctrl-C ended it.

    Args:
        crew: Who works.
        take: Told of each shard with the key of its rows.
        tick: Told now and then how far all is; None while that cannot be told.

    Raises:
        LabError: A worker cannot go on.
        KeyboardInterrupt: At a second one that `tick` raises.
    """
    seen, interrupted, working = 0, False, True
    while working:
        try:
            if interrupted:
                crew.stop()
            working = crew.tend(_LOOK)
            # Once more after the last has ended: what it committed is to be taken in.
            found = crew.standing(seen)
            working = working or found is None
            for number, shard, key in () if found is None else found.commits:
                take(shard, key)
                seen = number + 1
            tick(found)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
    return interrupted
