"""Who may work on which shard, and how much may be asked: the one place where a cluster's limits are kept.

A shard is leased under a number that only grows (Burrows 2006, *The Chubby lock service*, OSDI, section
2.4: a sequencer), and only the latest lease of a shard can commit. Money is leased in batches: what was
spent and what is leased never pass the cap together; a lease that is lost is charged whole, as nobody
knows which of its calls were answered. All that matters is in the shared log before it is answered, so
that a coordinator that is killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

from llmflowlab.cluster.event_log import EventLog
from llmflowlab.cluster.lease_book import LeaseBook
from llmflowlab.cluster.leases import (
    LEASE,
    ClusterLimits,
    ClusterStanding,
    Lease,
    Money,
    Permits,
    UnderWay,
)
from llmflowlab.cluster.pace import Pace

__all__ = ["Coordinator"]


class Coordinator:
    """The state of one evaluation; one call at a time.

    Args:
        log: Where everything is written down first.
        limits: What is kept to.
        clock: Seconds that only grow.

    Raises:
        Fenced: From every method that changes something, once another coordinator has begun.
        TrackingError: The log cannot be written.
    """

    def __init__(
        self, log: EventLog, limits: ClusterLimits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._limits, self._clock = log, limits, clock
        self._book = LeaseBook(clock)
        self._stopped = False
        self._paces: dict[str, Pace] = {}
        for event in log.begin():
            self._book.apply(event)
        self._restarted = self._book.start == limits.start
        if not self._restarted:
            self._write({"start": limits.start})

    # Shards

    def lease(self, worker: str) -> Lease | Literal["wait", "none"]:
        """Return a shard to work on: the worker's own where it has one, whose answer was lost on the way.

        Returns:
            "wait" where others may still leave one, "none" where nothing is left to be done.
        """
        self._expire()
        for token, held in self._book.open.items():
            if held.worker == worker:
                held.seen = self._clock()
                return Lease(held.shard, token, self._places(token))
        if self._stopped:
            return "none"
        shard = self._next()
        if shard is None:
            return "wait" if self._book.open else "none"
        token = self._book.token + 1
        places = self._places(token)
        if any(count < 1 for count in places.values()):
            return "wait"
        self._write({"lease": shard, "token": token, "worker": worker})
        return Lease(shard, token, places)

    def _next(self) -> int | None:
        if self._book.again:
            return self._book.again[0]
        return self._book.fresh if self._book.fresh < self._limits.shards else None

    def _places(self, token: int) -> dict[str, int]:
        """Return a lease's share of the calls that all may have in flight."""
        share = self._limits.concurrency
        others = sum(held != token for held in self._book.open)
        return {
            name: min(share, most - min(others * share, most))
            for name, most in self._limits.at_once.items()
        }

    def beat(self, token: int, under_way: Mapping[int, UnderWay]) -> Literal["on", "stop", "lost"]:
        """Take a worker's sign of life; "stop" asks it to end, "lost" says that its shard is another's."""
        self._expire()
        held = self._book.open.get(token)
        if held is None:
            return "lost"
        held.seen, held.under_way = self._clock(), under_way
        return "stop" if self._stopped else "on"

    def commit(self, token: int, key: str, spent: Decimal, *, whole: bool) -> bool:
        """Take a shard's rows as its own; False where the lease is lost, and the rows with it.

        Args:
            token: The lease.
            key: Where the rows are.
            spent: USD under this lease.
            whole: Whether every row was asked and scored.
        """
        if self._book.committed(key):
            # Its answer was lost on the way.
            return True
        held = self._book.open.get(token)
        if held is None:
            return False
        self._write(
            {"commit": held.shard, "token": token, "key": key, "spent": str(spent), "whole": whole}
        )
        return True

    def leave(self, token: int, spent: Decimal) -> None:
        """Take a shard back from a worker that cannot go on with it."""
        if token in self._book.open:
            self._write({"left": token, "spent": str(spent)})

    def gone(self, worker: str) -> None:
        """Give a worker's shard to others at once: it is known to have ended."""
        for token, held in list(self._book.open.items()):
            if held.worker == worker:
                self._write({"lost": token})

    def stop(self) -> None:
        """Lease nothing more, and have the workers end."""
        self._stopped = True

    def _expire(self) -> None:
        now = self._clock()
        for token, held in list(self._book.open.items()):
            if now - held.seen > LEASE:
                self._write({"lost": token})

    # Money

    def money(self, token: int, spent: Decimal, reserved: Decimal, need: Decimal) -> Money:
        """Lease money for more calls; what the worker holds idle goes back at the same time.

        Args:
            token: The lease.
            spent: USD under it so far.
            reserved: USD set aside for calls in flight.
            need: USD that the next call may cost.
        """
        held = self._book.open.get(token)
        if held is None:
            return Money("lost")
        held.seen = self._clock()
        cap = self._limits.cap
        assert cap is not None, "money is leased where there is a cap"
        others = sum(
            (o.spent + o.held for t, o in self._book.open.items() if t != token), Decimal(0)
        )
        free = cap - self._limits.before - self._book.settled - others - spent - reserved
        if need <= free:
            # As much as fills a worker's places once, so that not every call is an event of the log.
            most = need * self._limits.concurrency
            batch = max(need, min(most, free / (2 * len(self._book.open))))
            self._write({"money": token, "spent": str(spent), "held": str(reserved + batch)})
            return Money("granted", spent + reserved + batch)
        if (held.spent, held.held) != (spent, reserved):
            self._write({"money": token, "spent": str(spent), "held": str(reserved)})
        idle = self._book.leased
        # Waiting helps only while somebody holds money that he may not need.
        return Money("wait" if need <= free + idle and idle else "none", spent + reserved)

    @property
    def spent(self) -> Decimal:
        """USD spent, lost leases at their worst case."""
        return self._limits.before + self._book.spent

    @property
    def leased(self) -> Decimal:
        """USD leased and not spent; with `spent` never above the cap."""
        return self._book.leased

    # Pace

    def permits(self, provider: str, wanted: int, tokens: int) -> Permits:
        """Permit requests.

        Args:
            provider: Of whom.
            wanted: How many at most.
            tokens: What requests before are known to have used since the last time.
        """
        pace = self._paces.setdefault(
            provider,
            Pace(
                self._limits.per_minute.get(provider),
                self._limits.tokens_per_minute.get(provider),
                # A coordinator that took over does not know what was sent just before.
                since=self._clock() if self._restarted else None,
            ),
        )
        return pace.permit(self._clock(), wanted, tokens)

    # What there is to see

    def standing(self, after: int = 0) -> ClusterStanding:
        """Return how far all is, with the commits from the number `after` on."""
        self._expire()
        under_way: dict[int, UnderWay] = {}
        for held in self._book.open.values():
            for candidate, one in held.under_way.items():
                under_way[candidate] = under_way.get(candidate, UnderWay()) + one
        return ClusterStanding(
            done=len(self._book.done),
            partly=sum(not one.whole for one in self._book.done.values()),
            open=len(self._book.open),
            shards=self._limits.shards,
            spent=self.spent,
            leased=self.leased,
            taken_over=self._book.lost,
            commits=tuple(self._book.commits(after)),
            under_way=under_way,
            stopped=self._stopped,
        )

    # The log

    def _write(self, event: dict[str, Any]) -> None:
        self._log.append(event)
        self._book.apply(event)
        if self._log.long:
            self._log.sum_up(self._book.summed_up())
