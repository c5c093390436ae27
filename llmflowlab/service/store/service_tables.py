"""What the service remembers, as tables; `migrations/` brings a database of an earlier version here.

One database is the memory of conversations and the queue to MLflow at once: a turn is written once, with
all that its trace will say, and marked when MLflow has it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "deployments",
    "keys",
    "metadata",
    "paces",
    "ratings",
    "reservations",
    "score_totals",
    "scores",
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
    # The day (UTC), and for what where it is not for answers: it sorts by the day.
    Column("day", String(20), nullable=False),
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

scores = Table(
    "scores",
    metadata,
    Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("trace_id", String(40), nullable=False),
    Column("scorer", String(64), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    # When it may be tried (again): while somebody works on it, when that one is given up.
    Column("due_ms", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    # What came of it last; both None before the first try.
    Column("value", Float),
    Column("not_scored", String(40)),
    # A `Score`, as JSON.
    Column("record", Text),
    Column("judge_exam", String(20)),
    # When nothing more was to be tried.
    Column("settled_ms", BigInteger),
    Column("delivered_ms", BigInteger),
    UniqueConstraint("trace_id", "scorer", name="one_score"),
    sqlite_autoincrement=True,
)
"""Answers that are to be scored, from the transaction that keeps the answer on, and what came of it."""
Index("scores_waiting", scores.c.settled_ms, scores.c.due_ms, scores.c.number)
Index("scores_undelivered", scores.c.delivered_ms, scores.c.settled_ms)

score_totals = Table(
    "score_totals",
    metadata,
    Column("deployment", String(32), primary_key=True),
    Column("scorer", String(64), primary_key=True),
    # Why these have no value; empty for those that have one.
    Column("reason", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("total", Float, nullable=False),
    # What judging them cost as far as it is known, in picodollars.
    Column("amount", BigInteger, nullable=False),
)
"""What settled scores come to; so that whoever measures need not add them up again."""
