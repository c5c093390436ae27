"""Scores of answers, given in the background."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make their tables; a day of money may be for something."""
    op.create_table(
        "scores",
        sa.Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("trace_id", sa.String(40), nullable=False),
        sa.Column("scorer", sa.String(64), nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("not_scored", sa.String(40)),
        sa.Column("record", sa.Text),
        sa.Column("judge_exam", sa.String(20)),
        sa.Column("settled_ms", sa.BigInteger),
        sa.Column("delivered_ms", sa.BigInteger),
        sa.UniqueConstraint("trace_id", "scorer", name="one_score"),
        sqlite_autoincrement=True,
    )
    op.create_index("scores_waiting", "scores", ["settled_ms", "due_ms", "number"])
    op.create_index("scores_undelivered", "scores", ["delivered_ms", "settled_ms"])
    op.create_table(
        "score_totals",
        sa.Column("deployment", sa.String(32), primary_key=True),
        sa.Column("scorer", sa.String(64), primary_key=True),
        sa.Column("reason", sa.String(40), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("total", sa.Float, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    # SQLite holds nobody to a length.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("reservations", "day", type_=sa.String(20), existing_nullable=False)
