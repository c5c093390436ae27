"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("hashed", sa.String(64), nullable=False, unique=True),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
        sa.Column("revoked_ms", sa.BigInteger),
        sa.Column("per_minute", sa.Integer),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("described", sa.Text, nullable=False),
        sa.Column("begun_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("owner", sa.String(16), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
        sa.Column("used_ms", sa.BigInteger, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("held_by", sa.String(40)),
        sa.Column("held_until_ms", sa.BigInteger),
    )
    op.create_table(
        "turns",
        sa.Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("trace_id", sa.String(40), nullable=False, unique=True),
        sa.Column("session_id", sa.String(128)),
        sa.Column("owner", sa.String(16), nullable=False),
        sa.Column("deployment", sa.String(32), nullable=False),
        sa.Column("door", sa.String(20), nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("delivered_ms", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("turns_of_session", "turns", ["owner", "session_id", "number"])
    op.create_index("turns_waiting", "turns", ["delivered_ms", "number"])
    op.create_table(
        "ratings",
        sa.Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("trace_id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(16), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("delivered_ms", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("ratings_of_trace", "ratings", ["trace_id"])
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_index("reservations_of_day", "reservations", ["day"])
    op.create_table(
        "paces",
        sa.Column("owner", sa.String(16), primary_key=True),
        sa.Column("due_us", sa.BigInteger, nullable=False),
    )
