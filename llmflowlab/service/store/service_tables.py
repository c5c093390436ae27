"""What the service remembers, as tables; `migrations/` brings a database of an earlier version here.

One database is the memory of conversations and the queue to MLflow at once: a turn is written once, with
all that its trace will say, and marked when MLflow has it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

__all__ = [
    "deployments",
    "keys",
    "metadata",
    "paces",
    "ratings",
    "reservations",
    "sessions",
    "turns",
]

metadata = MetaData()

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the column's type is INTEGER."""

keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    # SHA-256 of the key, in hex: the key itself is nowhere.
    Column("hashed", String(64), nullable=False, unique=True),
    Column("made_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("per_minute", Integer),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", String(32), primary_key=True),
    # The candidate and what else its run says, as JSON.
    Column("described", Text, nullable=False),
    Column("begun_ms", BigInteger, nullable=False),
)
"""Who answered; each is a run in MLflow."""

sessions = Table(
    "sessions",
    metadata,
    # The id of a key, empty where the service has none. Of the primary key: what one key calls `a` is
    # nothing to another.
    Column("owner", String(16), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("made_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger, nullable=False),
    Column("turns", Integer, nullable=False),
    # While a turn is under way: its trace, and when it is given up at the latest.
    Column("held_by", String(40)),
    Column("held_until_ms", BigInteger),
)

turns = Table(
    "turns",
    metadata,
    Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("trace_id", String(40), nullable=False, unique=True),
    Column("session_id", String(128)),
    Column("owner", String(16), nullable=False),
    Column("deployment", String(32), nullable=False),
    Column("door", String(20), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("answer", Text, nullable=False),
    # A `TurnRecord`, without prompt and answer, as JSON.
    Column("record", Text, nullable=False),
    Column("delivered_ms", BigInteger),
    sqlite_autoincrement=True,
)
Index("turns_of_session", turns.c.owner, turns.c.session_id, turns.c.number)
Index("turns_waiting", turns.c.delivered_ms, turns.c.number)

ratings = Table(
    "ratings",
    metadata,
    Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("trace_id", String(40), nullable=False),
    Column("owner", String(16), nullable=False),
    # A `RatingRecord` as JSON.
    Column("record", Text, nullable=False),
    Column("delivered_ms", BigInteger),
    sqlite_autoincrement=True,
)
Index("ratings_of_trace", ratings.c.trace_id)

reservations = Table(
    "reservations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("day", String(10), nullable=False),
    # In picodollars (1e-12 USD): whole numbers add up exactly, whatever the database.
    Column("amount", BigInteger, nullable=False),
)
"""Money of a day: what is set aside for each call under way, and one row of what was spent."""
Index("reservations_of_day", reservations.c.day)

paces = Table(
    "paces",
    metadata,
    Column("owner", String(16), primary_key=True),
    # When the next request would arrive if all came evenly, in microseconds since the epoch.
    Column("due_us", BigInteger, nullable=False),
)
