"""Who may work on which shard, and how much may be asked: the one place where a cluster's limits are kept.

A shard is leased under a number that only grows (Burrows 2006, *The Chubby lock service*, OSDI, section
2.4: a sequencer), and only the latest lease of a shard can commit. Money is leased in batches: what was
spent and what is leased never pass the cap together; a lease that is lost is charged whole, as nobody
knows which of its calls were answered. All that matters is in the shared log before it is answered, so
that a coordinator that is killed goes on where it was.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from llmflowlab.cluster.event_log import EventLog

__all__ = ["ClusterLimits", "ClusterStanding", "Coordinator", "Lease", "Money", "Permits"]

LEASE = 20.0
"""Seconds without a sign of life after which a shard is given to another worker."""
_AHEAD = 2.0
"""Seconds of requests that are permitted at a time."""

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
    rows: Mapping[int, int]
    """Answers that the workers have of each candidate in the shards under way."""
    stopped: bool


@dataclass(slots=True)
class _Open:
    shard: int
    worker: str
    spent: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    seen: float = 0.0
    rows: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Done:
    key: str
    whole: bool
    order: int


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
        self._token = 0
        self._settled = Decimal(0)
        self._lost = 0
        self._open: dict[int, _Open] = {}
        self._done: dict[int, _Done] = {}
        self._again: deque[int] = deque()
        """Shards that a lost lease left, before those nobody has begun."""
        self._fresh = 0
        self._stopped = False
        self._paces: dict[str, _Pace] = {}
        self._start = ""
        for event in log.begin():
            self._apply(event)
        self._restarted = self._start == limits.start
        if not self._restarted:
            self._write({"start": limits.start})

    # Shards

    def lease(self, worker: str) -> Lease | Literal["wait", "none"]:
        """Return a shard to work on: the worker's own where it has one, whose answer was lost on the way.

        Returns:
            "wait" where others may still leave one, "none" where nothing is left to be done.
        """
        self._expire()
        for token, held in self._open.items():
            if held.worker == worker:
                held.seen = self._clock()
                return Lease(held.shard, token, self._places(token))
        if self._stopped:
            return "none"
        shard = self._next()
        if shard is None:
            return "wait" if self._open else "none"
        token = self._token + 1
        places = self._places(token)
        if any(count < 1 for count in places.values()):
            return "wait"
        self._write({"lease": shard, "token": token, "worker": worker})
        return Lease(shard, token, places)

    def _next(self) -> int | None:
        if self._again:
            return self._again[0]
        return self._fresh if self._fresh < self._limits.shards else None

    def _places(self, token: int) -> dict[str, int]:
        """Return a lease's share of the calls that all may have in flight."""
        share = self._limits.concurrency
        others = sum(held != token for held in self._open)
        return {
            name: min(share, most - min(others * share, most))
            for name, most in self._limits.at_once.items()
        }

    def beat(self, token: int, rows: Mapping[int, int]) -> Literal["on", "stop", "lost"]:
        """Take a worker's sign of life; "stop" asks it to end, "lost" says that its shard is another's."""
        self._expire()
        held = self._open.get(token)
        if held is None:
            return "lost"
        held.seen, held.rows = self._clock(), rows
        return "stop" if self._stopped else "on"

    def commit(self, token: int, key: str, spent: Decimal, *, whole: bool) -> bool:
        """Take a shard's rows as its own; False where the lease is lost, and the rows with it.

        Args:
            token: The lease.
            key: Where the rows are.
            spent: USD under this lease.
            whole: Whether every row was asked and scored.
        """
        if any(done.key == key for done in self._done.values()):
            # Its answer was lost on the way.
            return True
        held = self._open.get(token)
        if held is None:
            return False
        self._write(
            {"commit": held.shard, "token": token, "key": key, "spent": str(spent), "whole": whole}
        )
        return True

    def leave(self, token: int, spent: Decimal) -> None:
        """Take a shard back from a worker that cannot go on with it."""
        if token in self._open:
            self._write({"left": token, "spent": str(spent)})

    def gone(self, worker: str) -> None:
        """Give a worker's shard to others at once: it is known to have ended."""
        for token, held in list(self._open.items()):
            if held.worker == worker:
                self._write({"lost": token})

    def stop(self) -> None:
        """Lease nothing more, and have the workers end."""
        self._stopped = True

    def _expire(self) -> None:
        now = self._clock()
        for token, held in list(self._open.items()):
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
        held = self._open.get(token)
        if held is None:
            return Money("lost")
        held.seen = self._clock()
        cap = self._limits.cap
        assert cap is not None, "money is leased where there is a cap"
        others = sum((o.spent + o.held for t, o in self._open.items() if t != token), Decimal(0))
        free = cap - self._limits.before - self._settled - others - spent - reserved
        if need <= free:
            # As much as fills a worker's places once, so that not every call is an event of the log.
            most = need * self._limits.concurrency
            batch = max(need, min(most, free / (2 * len(self._open))))
            self._write({"money": token, "spent": str(spent), "held": str(reserved + batch)})
            return Money("granted", spent + reserved + batch)
        if (held.spent, held.held) != (spent, reserved):
            self._write({"money": token, "spent": str(spent), "held": str(reserved)})
        idle = sum((o.held for o in self._open.values()), Decimal(0))
        # Waiting helps only while somebody holds money that he may not need.
        return Money("wait" if need <= free + idle and idle else "none", spent + reserved)

    @property
    def spent(self) -> Decimal:
        """USD spent, lost leases at their worst case."""
        ours = sum((held.spent for held in self._open.values()), Decimal(0))
        return self._limits.before + self._settled + ours

    @property
    def leased(self) -> Decimal:
        """USD leased and not spent; with `spent` never above the cap."""
        return sum((held.held for held in self._open.values()), Decimal(0))

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
            _Pace(
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
        rows: dict[int, int] = {}
        for held in self._open.values():
            for candidate, count in held.rows.items():
                rows[candidate] = rows.get(candidate, 0) + count
        done = sorted(self._done.items(), key=lambda item: item[1].order)
        return ClusterStanding(
            done=len(done),
            partly=sum(not one.whole for _, one in done),
            open=len(self._open),
            shards=self._limits.shards,
            spent=self.spent,
            leased=self.leased,
            taken_over=self._lost,
            commits=tuple((one.order, shard, one.key) for shard, one in done if one.order >= after),
            rows=rows,
            stopped=self._stopped,
        )

    # The log

    def _write(self, event: dict[str, Any]) -> None:
        self._log.append(event)
        self._apply(event)
        if self._log.long:
            self._log.sum_up(self._sum())

    def _apply(self, event: dict[str, Any]) -> None:
        if "sum" in event:
            self._restore(event["sum"])
        elif "start" in event:
            self._start = event["start"]
            # What a stop or the budget cut short before is done to its end now.
            taken = {*self._again, *(held.shard for held in self._open.values())}
            self._again.extend(
                shard for shard, one in self._done.items() if not one.whole and shard not in taken
            )
        elif "lease" in event:
            shard, self._token = event["lease"], event["token"]
            self._open[self._token] = _Open(shard, event["worker"], seen=self._clock())
            if shard in self._again:
                self._again.remove(shard)
            else:
                self._fresh = max(self._fresh, shard + 1)
        elif "money" in event:
            held = self._open[event["money"]]
            held.spent, held.held = Decimal(event["spent"]), Decimal(event["held"])
        elif "commit" in event:
            del self._open[event["token"]]
            self._settled += Decimal(event["spent"])
            order = max((one.order for one in self._done.values()), default=-1) + 1
            self._done[event["commit"]] = _Done(event["key"], event["whole"], order)
        elif "left" in event:
            self._again.append(self._open.pop(event["left"]).shard)
            self._settled += Decimal(event["spent"])
        elif "lost" in event:
            gone = self._open.pop(event["lost"])
            self._again.append(gone.shard)
            self._settled += gone.spent + gone.held
            self._lost += 1

    def _sum(self) -> dict[str, Any]:
        return {
            "start": self._start,
            "token": self._token,
            "settled": str(self._settled),
            "lost": self._lost,
            "fresh": self._fresh,
            "again": list(self._again),
            "open": [
                [token, held.shard, held.worker, str(held.spent), str(held.held)]
                for token, held in self._open.items()
            ],
            "done": {str(shard): asdict(done) for shard, done in self._done.items()},
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._start = state["start"]
        self._token, self._settled = state["token"], Decimal(state["settled"])
        self._lost, self._fresh = state["lost"], state["fresh"]
        self._again = deque(state["again"])
        self._open = {
            token: _Open(shard, worker, Decimal(spent), Decimal(held), self._clock())
            for token, shard, worker, spent, held in state["open"]
        }
        self._done = {int(shard): _Done(**done) for shard, done in state["done"].items()}


class _Pace:
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
