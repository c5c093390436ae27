"""A day's money as a budget that calls reserve from, whichever process makes them."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from typing import Any

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.waiting import THREADS, Stop, Waits
from llmflowlab.service.store.allowances import day_of, reserve, settle
from llmflowlab.service.store.desk import Desk

__all__ = ["DayBudget"]


class DayBudget(Budget):
    """What is taken of a day's money; its calls reserve and settle in the database.

    What is set aside by a worker that died stays taken until the day ends: it may have been paid.

    Args:
        desk: Works on the database.
        cap: USD of a day (UTC).
        trace_id: Names what takes it, a request as a rule.
        purpose: What it is for, where that is counted by itself.
    """

    def __init__(self, desk: Desk, cap: Decimal, trace_id: str, *, purpose: str = "") -> None:
        super().__init__(cap)
        self._purpose = purpose
        self._desk = desk
        self._day_cap = cap
        self._trace = trace_id
        self._number = 0
        self._held: list[tuple[str, str, Decimal]] = []
        self._guard = threading.Lock()

    async def reserving(self, waits: Waits, worst: Decimal, stop: Stop | None = None) -> bool:
        """Set a call's worst case aside; nobody waits for others' calls to settle."""
        with self._guard:
            self._number += 1
            id_ = f"{self._trace}.{self._number}"
        day = f"{day_of(time.time())} {self._purpose}".strip()

        def work(connection: Any) -> bool:
            return reserve(connection, id_, day, worst, self._day_cap)

        if waits is THREADS:
            took = self._desk.put(work).result()
        else:
            took = await self._desk.do(work)
        if took:
            with self._guard:
                self._held.append((id_, day, worst))
        return took

    def settle(self, worst: Decimal, actual: Decimal) -> None:
        """Replace a reservation by what the call cost; done as soon as the database can."""
        with self._guard:
            place = next((n for n, (_, _, held) in enumerate(self._held) if held == worst), None)
            if place is None:
                return
            id_, day, _ = self._held.pop(place)
        self._desk.put(lambda connection: settle(connection, id_, day, actual), lasting=True)
