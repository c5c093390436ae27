"""What may be used: a key's pace and a day's money, taken in one transaction so that no two workers take the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, Decimal
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from llmflowlab.service.store.service_database import ensure
from llmflowlab.service.store.service_tables import paces, reservations

__all__ = [
    "day_of",
    "forget_days_before",
    "keep_pace",
    "reserve",
    "settle",
    "spent_on",
    "until_tomorrow",
]

_PICO = Decimal(10) ** 12
_MINUTE = 60_000_000


def day_of(now: float) -> str:
    """Return the day of a moment (seconds since the epoch) in UTC."""
    return datetime.fromtimestamp(now, timezone.utc).date().isoformat()


def until_tomorrow(now: float) -> float:
    """Return the seconds left of that day."""
    here = datetime.fromtimestamp(now, timezone.utc)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - here).total_seconds()


def keep_pace(connection: Connection, owner: str, per_minute: int, now: float) -> float | None:
    """Count a request against a key's pace.

    The generic cell rate algorithm (ITU-T I.371): evenly `per_minute`, that many at once after a pause.

    Returns:
        None where it may go on, else the seconds after which it may.
    """
    at, every = int(now * 1e6), _MINUTE // per_minute
    ensure(connection, paces, owner=owner, due_us=0)
    due = connection.execute(
        select(paces.c.due_us).where(paces.c.owner == owner).with_for_update()
    ).scalar_one()
    # A clock that was set back must not lock a key out for hours.
    due = min(max(int(due), at), at + _MINUTE)
    late = due - at - every * (per_minute - 1)
    if late > 0:
        return late / 1e6
    connection.execute(update(paces).where(paces.c.owner == owner).values(due_us=due + every))
    return None


def reserve(connection: Connection, id_: str, day: str, worst: Decimal, cap: Decimal) -> bool:
    """Set money aside for a call.

    Returns:
        False where what was spent and set aside leaves less than that; nothing is set aside then.
    """
    # Taken first by everybody: who holds this row is alone.
    ensure(connection, reservations, id=_spent(day), day=day, amount=0)
    connection.execute(
        select(reservations.c.id).where(reservations.c.id == _spent(day)).with_for_update()
    )
    total = select(func.sum(reservations.c.amount)).where(reservations.c.day == day)
    committed = int(connection.execute(total).scalar_one())
    amount = _pico(worst)
    if committed + amount > _pico(cap):
        return False
    connection.execute(insert(reservations).values(id=id_, day=day, amount=amount))
    return True


def settle(connection: Connection, id_: str, day: str, actual: Decimal) -> None:
    """Replace what was set aside for a call by what it cost; a second time nothing happens."""
    gone = connection.execute(delete(reservations).where(reservations.c.id == id_))
    if gone.rowcount:
        connection.execute(
            update(reservations)
            .where(reservations.c.id == _spent(day))
            .values(amount=reservations.c.amount + _pico(actual))
        )


def spent_on(connection: Connection, day: str) -> tuple[Decimal, Decimal]:
    """Return what a day's calls cost, and what is set aside for those under way, in USD."""
    rows: Sequence[Any] = connection.execute(
        select(reservations.c.id, reservations.c.amount).where(reservations.c.day == day)
    ).all()
    spent = sum(row.amount for row in rows if row.id == _spent(day))
    held = sum(row.amount for row in rows if row.id != _spent(day))
    return Decimal(spent) / _PICO, Decimal(held) / _PICO


def forget_days_before(connection: Connection, day: str) -> None:
    """Delete what is of no use any more."""
    connection.execute(delete(reservations).where(reservations.c.day < day))


def _spent(day: str) -> str:
    return f"spent {day}"


def _pico(amount: Decimal) -> int:
    return int((amount * _PICO).to_integral_value(ROUND_CEILING))
