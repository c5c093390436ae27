"""A day's money as a budget that calls reserve from, whichever worker makes them."""

from __future__ import annotations

import time
from decimal import Decimal

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.waiting import Stop, Waits
from llmflowlab.service.store.allowances import day_of, reserve, settle
from llmflowlab.service.store.desk import Desk

__all__ = ["DayBudget"]


class DayBudget(Budget):
    """What one request takes of the day's money; its calls reserve and settle in the database.

    What is set aside by a worker that died stays taken until the day ends: it may have been paid.

    Args:
        desk: Works on the database.
        cap: USD of a day (UTC).
        trace_id: Names the request.
    """

    def __init__(self, desk: Desk, cap: Decimal, trace_id: str) -> None:
        super().__init__(cap)
        self._desk = desk
        self._day_cap = cap
        self._trace = trace_id
        self._number = 0
        self._held: list[tuple[str, str, Decimal]] = []

    async def reserving(self, waits: Waits, worst: Decimal, stop: Stop | None = None) -> bool:
        """Set a call's worst case aside; nobody waits for others' calls to settle."""
        self._number += 1
        id_, day = f"{self._trace}.{self._number}", day_of(time.time())
        took = await self._desk.do(
            lambda connection: reserve(connection, id_, day, worst, self._day_cap)
        )
        if took:
            self._held.append((id_, day, worst))
        return took

    def settle(self, worst: Decimal, actual: Decimal) -> None:
        """Replace a reservation by what the call cost; done as soon as the database can."""
        place = next((n for n, (_, _, held) in enumerate(self._held) if held == worst), None)
        if place is None:
            return
        id_, day, _ = self._held.pop(place)
        self._desk.put(lambda connection: settle(connection, id_, day, actual), lasting=True)
