"""How much the service takes on at once, from one key, and in a day."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from llmflowlab.service.http_refusals import HttpRefusal

__all__ = ["ServiceLimits", "Slots", "WrongKeys"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """The service's limits; those with `None` do not hold."""

    body_bytes: int = 4 * 1024 * 1024
    body_seconds: float = 30.0
    """Seconds in which a body must have come."""
    head_seconds: float = 15.0
    """Seconds in which a request's head must have come."""
    deadline: float = 300.0
    """Seconds that one answer may take, waiting included."""
    most_turns: int = 200
    """Turns of one session."""
    most_messages: int = 1000
    """Messages in one request."""
    concurrent: int = 256
    """Answers under way at once, in each worker."""
    queue: int = 512
    """Requests that wait for their turn, in each worker."""
    per_minute: int | None = 600
    """Requests a minute of one key, unless the key says otherwise."""
    daily_usd: Decimal | None = None
    """What all answers of a day (UTC) may cost together."""
    drain: float = 30.0
    """Seconds that answers under way have when the service ends."""


class Slots:
    """So many at once, so many waiting, and no more; on one event loop.

    Args:
        most: At once.
        queue: Waiting.
    """

    def __init__(self, most: int, queue: int) -> None:
        self._free = most
        self._most = queue
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0
        self.closed = False

    @property
    def free(self) -> int:
        return self._free

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def take(self, seconds: float) -> None:
        """Take a slot, which is to be given back.

        Raises:
            HttpRefusal: Too many wait already, none came free in time, or the service is ending.
        """
        await self._take(seconds)
        self.taken += 1

    def close(self) -> None:
        """Let nobody in any more, those who wait neither."""
        self.closed = True
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(_ending())
        self._waiting.clear()

    def give_back(self) -> None:
        """Give a slot back, to whoever has waited longest."""
        self.taken -= 1
        self._give_on()

    def _give_on(self) -> None:
        while self._waiting:
            next_one = self._waiting.popleft()
            if not next_one.done():
                next_one.set_result(None)
                return
        self._free += 1

    async def _take(self, seconds: float) -> None:
        if self.closed:
            raise _ending()
        if self._free > 0:
            self._free -= 1
            return
        if len(self._waiting) >= self._most:
            raise HttpRefusal(
                "overloaded", "Too many answers are under way; try again soon.", retry_after=1.0
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait_for(asyncio.shield(turn), seconds)
        except BaseException as exc:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_on()
            turn.cancel()
            with suppress(ValueError):
                self._waiting.remove(turn)
            if isinstance(exc, TimeoutError | asyncio.TimeoutError):
                raise HttpRefusal(
                    "overloaded", "No answer's turn came in time; try again soon.", retry_after=5.0
                ) from None
            raise


def _ending() -> HttpRefusal:
    return HttpRefusal("shutting_down", "The service is ending.", retry_after=5.0)


class WrongKeys:
    """Counts keys that were wrong, by the address they came from; right ones pass whatever the count.

    Args:
        most: Wrong ones in a minute.
    """

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, address: str) -> None:
        """Count one.

        Raises:
            HttpRefusal: There were too many.
        """
        now = time.monotonic()
        seen = self._seen.setdefault(address, deque(maxlen=self._most))
        self._seen.move_to_end(address)
        while len(self._seen) > 10_000:
            self._seen.popitem(last=False)
        if len(seen) == self._most and now - seen[0] < 60.0:
            raise HttpRefusal(
                "too_many_wrong_keys",
                "Too many wrong keys came from this address; wait a minute.",
                retry_after=60.0 - (now - seen[0]),
            )
        seen.append(now)
