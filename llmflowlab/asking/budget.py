"""A hard ceiling on money: the worst case of a call is reserved before it is sent, and settled after.

What is spent plus what is reserved never passes the cap, whatever the schedule, so the cap holds as
long as no call costs more than was reserved for it.
"""

from __future__ import annotations

import threading
from decimal import Decimal

__all__ = ["Budget"]


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
        self._changed = threading.Condition()

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

    def reserve(self, worst: Decimal, stop: threading.Event | None = None) -> bool:
        """Set a call's worst case aside; waits for calls in flight to settle where that may help.

        Args:
            worst: USD the call may cost at most.
            stop: Ends the wait.

        Returns:
            False where the call must not be sent: the money is used up, or `stop` was set.
        """
        with self._changed:
            while self._cap is not None and self._spent + self._reserved + worst > self._cap:
                # Waiting only helps while others hold money that they may not need.
                if self._spent + worst > self._cap or self._reserved == 0:
                    return False
                if stop is not None and stop.is_set():
                    return False
                self._changed.wait(timeout=0.2)
            self._reserved += worst
            return True

    def settle(self, worst: Decimal, actual: Decimal) -> None:
        """Replace a reservation by what the call really cost."""
        with self._changed:
            self._reserved -= worst
            self._spent += actual
            self._changed.notify_all()
