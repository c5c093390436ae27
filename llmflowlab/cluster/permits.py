"""What a worker may spend and send: leased from the coordinator, used up here."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Literal, Protocol

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.pacing import Limiter, Pacer
from llmflowlab.asking.waiting import Stop, Waits
from llmflowlab.cluster.leases import Lease, Money, Permits, UnderWay
from llmflowlab.errors import ProviderError

__all__ = ["Head", "LeasedBudget", "ProviderPermits", "SharedLimiter"]

_AGAIN = 0.25
"""Seconds between two looks whether others have given money back."""
_REQUESTS = 16
"""Requests that are permitted at a time at most."""


class Head(Protocol):
    """The coordinator as a worker sees it; see `Coordinator` for what each says."""

    def lease(self, worker: str) -> Lease | Literal["wait", "none"]: ...
    def beat(
        self, token: int, under_way: Mapping[int, UnderWay]
    ) -> Literal["on", "stop", "lost"]: ...
    def commit(self, token: int, key: str, spent: Decimal, *, whole: bool) -> bool: ...
    def leave(self, token: int, spent: Decimal) -> None: ...
    def money(self, token: int, spent: Decimal, reserved: Decimal, need: Decimal) -> Money: ...
    def permits(self, provider: str, wanted: int, tokens: int) -> Permits: ...


class LeasedBudget(Budget):
    """A budget that begins with nothing and grows by what is leased.

    Args:
        ask: Asks for more: spent, reserved and needed, in USD.
        on_lost: Told that the lease is another's.
    """

    def __init__(
        self, ask: Callable[[Decimal, Decimal, Decimal], Money], on_lost: Callable[[], None]
    ) -> None:
        super().__init__(Decimal(0))
        self._ask = ask
        self._on_lost = on_lost
        self._asking = threading.Lock()

    async def reserving(self, waits: Waits, worst: Decimal, stop: Stop | None = None) -> bool:
        while stop is None or not stop.is_set():
            with self._changed:
                if self._fits(worst):
                    self._reserved += worst
                    return True
            verdict = await waits.apart(partial(self._lease, worst))
            if verdict in {"none", "lost"}:
                return False
            if verdict == "wait":
                await waits.pause(threading.Event(), _AGAIN)
        return False

    def _fits(self, worst: Decimal) -> bool:
        assert self._cap is not None
        return self._spent + self._reserved + worst <= self._cap

    def _lease(self, worst: Decimal) -> str:
        with self._asking:
            with self._changed:
                if self._fits(worst):
                    return "granted"
                # What is idle goes back with the question; until it is answered nothing more is reserved.
                self._cap = self._spent + self._reserved
                spent, reserved = self._spent, self._reserved
            found = self._ask(spent, reserved, worst)
            if found.verdict == "lost":
                self._on_lost()
            else:
                self.raise_to(found.ceiling)
            return found.verdict


class ProviderPermits:
    """Requests of one provider that this worker may send."""

    def __init__(self, head: Head, provider: str) -> None:
        self._head, self._provider = head, provider
        self._lock = threading.Lock()
        self._times: deque[float] = deque()
        self._tokens = 0

    def take(self, stop: Stop) -> bool:
        """Wait in this thread for leave to send one request; False where `stop` was set instead."""
        at: float | None = None
        pause = threading.Event()
        while not stop.is_set():
            now = time.monotonic()
            if at is not None and at <= now:
                return True
            if at is None:
                at = self._next()
                continue
            pause.wait(min(at - now, 0.2))
        return False

    def _next(self) -> float | None:
        """Return when the next request may be sent; None where that has to be asked again."""
        with self._lock:
            if not self._times:
                tokens, self._tokens = self._tokens, 0
                found = self._head.permits(self._provider, _REQUESTS, tokens)
                now = time.monotonic()
                if found.count == 0:
                    threading.Event().wait(min(found.after, 1.0))
                    return None
                self._times.extend(now + found.after + i * found.gap for i in range(found.count))
            return self._times.popleft()

    def used(self, tokens: int) -> None:
        """Note what a request used."""
        with self._lock:
            self._tokens += tokens


class SharedLimiter(Limiter):
    """A limiter of a worker: nothing is sent but under a living lease, and within the cluster's pace.

    Args:
        pacer: How many calls this worker may have in flight.
        leased: Whether the lease lives; None where that is not known now.
        permits: Requests that may be sent; None where they are not limited.
    """

    def __init__(
        self, pacer: Pacer, leased: Callable[[], bool | None], permits: ProviderPermits | None
    ) -> None:
        super().__init__(pacer)
        self._leased, self._permits = leased, permits

    async def entering(self, waits: Waits, stop: Stop) -> bool:
        if not await super().entering(waits, stop):
            return False
        # A place first: a permit that waited for one would let a burst through later.
        permitted = self._permits is None or await waits.apart(partial(self._permits.take, stop))
        pause = threading.Event()
        # A worker that slept learns only now whether its shard is still its own.
        while permitted and not stop.is_set() and (leased := self._leased()) is not False:
            if leased:
                return True
            await waits.pause(pause, _AGAIN)
        with self._changed:
            self._pacer.ended()
            self._changed.notify()
        return False

    def leave(self, error: ProviderError | None, tokens: int | None = None) -> None:
        if self._permits is not None:
            self._permits.used(tokens or 0)
        super().leave(error, tokens)
