"""Who has which shard, what is committed and what was spent: all that the events of the log come to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from itertools import takewhile
from typing import Any

from llmflowlab.cluster.leases import UnderWay

__all__ = ["Committed", "LeaseBook", "OpenLease"]


@dataclass(slots=True)
class OpenLease:
    """A shard that a worker has."""

    shard: int
    worker: str
    spent: Decimal = Decimal(0)
    """USD."""
    held: Decimal = Decimal(0)
    """USD that may still be spent."""
    seen: float = 0.0
    """When the last sign of life came."""
    under_way: Mapping[int, UnderWay] = field(default_factory=dict)
    """By candidate."""


@dataclass(slots=True)
class Committed:
    """A shard's rows."""

    key: str
    whole: bool
    order: int
    """Number of the commit."""


class LeaseBook:
    """The state of one evaluation, changed by its events alone.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.start = ""
        """Of which start of the evaluation the last events are."""
        self.token = 0
        """Of the last lease."""
        self.settled = Decimal(0)
        """USD of leases that have ended, lost ones at their worst case."""
        self.lost = 0
        """Leases that were lost."""
        self.open: dict[int, OpenLease] = {}
        """By token."""
        self.done: dict[int, Committed] = {}
        """By shard, in the order of the commits."""
        self.again: deque[int] = deque()
        """Shards that a lost lease left, before those nobody has begun."""
        self.fresh = 0
        """The first shard that nobody has begun."""
        self._keys: set[str] = set()
        self._commits = 0

    def committed(self, key: str) -> bool:
        """Tell whether rows are committed, and no others of their shard since."""
        return key in self._keys

    def commits(self, after: int) -> Iterator[tuple[int, int, str]]:
        """Yield number, shard and key of the rows of each commit from the number `after` on, oldest first."""
        newest = takewhile(lambda item: item[1].order >= after, reversed(self.done.items()))
        return ((one.order, shard, one.key) for shard, one in reversed(list(newest)))

    @property
    def spent(self) -> Decimal:
        """USD spent, lost leases at their worst case."""
        return self.settled + sum((held.spent for held in self.open.values()), Decimal(0))

    @property
    def leased(self) -> Decimal:
        """USD leased and not spent."""
        return sum((held.held for held in self.open.values()), Decimal(0))

    def apply(self, event: dict[str, Any]) -> None:
        """Take an event in."""
        if "sum" in event:
            self._restore(event["sum"])
        elif "start" in event:
            self.start = event["start"]
            # What a stop or the budget cut short before is done to its end now.
            taken = {*self.again, *(held.shard for held in self.open.values())}
            self.again.extend(
                shard for shard, one in self.done.items() if not one.whole and shard not in taken
            )
        elif "lease" in event:
            shard, self.token = event["lease"], event["token"]
            self.open[self.token] = OpenLease(shard, event["worker"], seen=self._clock())
            if shard in self.again:
                self.again.remove(shard)
            else:
                self.fresh = max(self.fresh, shard + 1)
        elif "money" in event:
            held = self.open[event["money"]]
            held.spent, held.held = Decimal(event["spent"]), Decimal(event["held"])
        elif "commit" in event:
            del self.open[event["token"]]
            self.settled += Decimal(event["spent"])
            self._commit(event["commit"], Committed(event["key"], event["whole"], self._commits))
        elif "left" in event:
            self.again.append(self.open.pop(event["left"]).shard)
            self.settled += Decimal(event["spent"])
        elif "lost" in event:
            gone = self.open.pop(event["lost"])
            self.again.append(gone.shard)
            self.settled += gone.spent + gone.held
            self.lost += 1

    def _commit(self, shard: int, rows: Committed) -> None:
        before = self.done.pop(shard, None)
        if before is not None:
            self._keys.discard(before.key)
        self.done[shard] = rows
        self._keys.add(rows.key)
        self._commits = rows.order + 1

    def summed_up(self) -> dict[str, Any]:
        """Return what stands for all events so far."""
        return {
            "start": self.start,
            "token": self.token,
            "settled": str(self.settled),
            "lost": self.lost,
            "fresh": self.fresh,
            "again": list(self.again),
            "open": [
                [token, held.shard, held.worker, str(held.spent), str(held.held)]
                for token, held in self.open.items()
            ],
            "done": {str(shard): asdict(done) for shard, done in self.done.items()},
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.start = state["start"]
        self.token, self.settled = state["token"], Decimal(state["settled"])
        self.lost, self.fresh = state["lost"], state["fresh"]
        self.again = deque(state["again"])
        self.open = {
            token: OpenLease(shard, worker, Decimal(spent), Decimal(held), self._clock())
            for token, shard, worker, spent, held in state["open"]
        }
        self.done, self._keys = {}, set()
        rows = [(int(shard), Committed(**done)) for shard, done in state["done"].items()]
        for shard, one in sorted(rows, key=lambda item: item[1].order):
            self._commit(shard, one)
