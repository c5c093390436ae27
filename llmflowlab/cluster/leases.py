"""What coordinator and workers say to each other: limits, leases, money and permits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

__all__ = ["LEASE", "ClusterLimits", "ClusterStanding", "Lease", "Money", "Permits", "Verdict"]

LEASE = 20.0
"""Seconds without a sign of life after which a shard is given to another worker."""

Verdict: TypeAlias = Literal["granted", "wait", "none", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLimits:
    """What all workers together must keep to; by provider what is limited."""

    start: str
    """Names this start of the evaluation; a coordinator that was killed in it begins again under the same."""
    shards: int
    concurrency: int
    """Calls in flight of each model, of each worker."""
    cap: Decimal | None = None
    """USD; None limits nothing."""
    before: Decimal = Decimal(0)
    """USD that were spent outside of the shards."""
    per_minute: Mapping[str, float] = field(default_factory=dict)
    """Requests."""
    tokens_per_minute: Mapping[str, float] = field(default_factory=dict)
    at_once: Mapping[str, int] = field(default_factory=dict)
    """Calls in flight of all workers together."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A shard to be worked on."""

    shard: int
    token: int
    """Fences earlier leases of the shard off."""
    places: Mapping[str, int]
    """Calls in flight by provider, where these are limited."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """How far a candidate is in the shards that workers have: of one of them, or of all together."""

    done: int = 0
    """Answers there, failed ones among them."""
    in_flight: int = 0
    """Rows in hand."""
    asking: int = 0
    """Requests that the provider has now."""

    def __add__(self, other: UnderWay) -> UnderWay:
        return UnderWay(
            self.done + other.done, self.in_flight + other.in_flight, self.asking + other.asking
        )


@dataclass(frozen=True, slots=True)
class Money:
    """What may be spent under a lease."""

    verdict: Verdict
    ceiling: Decimal = Decimal(0)
    """USD in all, what was spent under it included."""


@dataclass(frozen=True, slots=True)
class Permits:
    """Requests that may be sent, the first after some seconds, the others each after a gap."""

    count: int
    after: float
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStanding:
    """How far a cluster is."""

    done: int
    """Shards committed, whole or not."""
    partly: int
    """Those that a stop or the budget left unfinished."""
    open: int
    shards: int
    spent: Decimal
    """USD, lost leases at their worst case included."""
    leased: Decimal
    taken_over: int
    """Leases that were lost."""
    commits: tuple[tuple[int, int, str], ...]
    """Number, shard and key of its rows, of commits from the number that was asked for on."""
    under_way: Mapping[int, UnderWay]
    """By candidate."""
    stopped: bool

    @property
    def rows(self) -> dict[int, int]:
        """Answers that the workers have of each candidate in the shards under way."""
        return {candidate: one.done for candidate, one in self.under_way.items()}
