"""A hard ceiling on money: the worst case of a call is reserved before it is sent, and settled after.

What is spent plus what is reserved never passes the cap, whatever the schedule, so the cap holds as
long as no call costs more than was reserved for it.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from llmflowlab.asking.waiting import THREADS, Changes, Stop, Waits, run

__all__ = ["Budget"]

_AGAIN = 0.2


class Budget:
    """Money shared by all candidates, trials and judges of one evaluation; thread-safe.

    Args:
        cap: USD; None means that nothing is limited, only counted.
        spent: USD that the evaluation has spent before (a resumed one).
    """

    def __init__(self, cap: Decimal | None, *, spent: Decimal = Decimal(0)) -> None:
        self._cap = cap
        self._spent = spent
        self._reserved = Decimal(0)
        self._changed = Changes()

    @property
    def cap(self) -> Decimal | None:
        return self._cap

    @property
    def spent(self) -> Decimal:
        with self._changed:
            return self._spent

    @property
    def committed(self) -> Decimal:
        """Spent and reserved together; never above the cap."""
        with self._changed:
            return self._spent + self._reserved

    def note_spent(self, spent: Decimal) -> None:
        """Count what the evaluation is found to have spent before; never less than was known."""
        with self._changed:
            self._spent = max(self._spent, spent)

    def raise_to(self, cap: Decimal) -> None:
        """Change the cap while calls are in flight; those that wait for money try again."""
        with self._changed:
            self._cap = cap
            self._changed.notify_all()

    def reserve(self, worst: Decimal, stop: Stop | None = None) -> bool:
        """Set a call's worst case aside, as `reserving` does, in this thread."""
        return run(self.reserving(THREADS, worst, stop))

    async def reserving(self, waits: Waits, worst: Decimal, stop: Stop | None = None) -> bool:
        """Set a call's worst case aside; waits for calls in flight to settle where that may help.

        Args:
            waits: How to wait.
            worst: USD the call may cost at most.
            stop: Ends the wait.

        Returns:
            False where the call must not be sent: the money is used up, or `stop` was set.
        """
        return await waits.until(self._changed, partial(self._look, worst, stop))

    def _look(self, worst: Decimal, stop: Stop | None) -> bool | float:
        if self._cap is not None and self._spent + self._reserved + worst > self._cap:
            # Waiting only helps while others hold money that they may not need.
            if self._spent + worst > self._cap or self._reserved == 0:
                return False
            return False if stop is not None and stop.is_set() else _AGAIN
        self._reserved += worst
        return True

    def settle(self, worst: Decimal, actual: Decimal) -> None:
        """Replace a reservation by what the call really cost."""
        with self._changed:
            self._reserved -= worst
            self._spent += actual
            self._changed.notify_all()
