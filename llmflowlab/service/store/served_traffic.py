"""What was answered in a while, read without its texts and without holding anybody up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from llmflowlab.service.store.served_turns import record_without_texts
from llmflowlab.service.store.service_tables import deployments, ratings, scores, turns
from llmflowlab.tracking.records import RatingRecord, TurnRecord

__all__ = [
    "RatedRow",
    "ServedRow",
    "SettledScore",
    "deployments_known",
    "last_before",
    "rated_after",
    "rows_after",
    "scored_after",
    "scorers_lately",
]

_PAGE = 1_000
"""Rows to a query: each is one short look, so that no writer waits and no answer is far from memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRow:
    """An answer, or why there is none."""

    number: int
    """Grows; of several workers' answers a smaller one may come to be seen a little later."""
    deployment: str
    owner: str
    session_id: str | None
    length: int
    """Characters of the answer."""
    record: TurnRecord
    """Without its texts."""

    @property
    def ended_ms(self) -> int:
        """About when it was kept."""
        return self.record.started_ms + int(1000 * self.record.inference_time)


def last_before(connection: Connection, since_ms: int) -> int:
    """Return the number after which every answer asked for since a moment stands.

    Answers are numbered as they end, so that looking back may stop where a whole page is older.
    """
    below: int | None = None
    first = None
    while True:
        page_of = select(turns.c.number, turns.c.made_ms).order_by(turns.c.number.desc())
        if below is not None:
            page_of = page_of.where(turns.c.number < below)
        page = connection.execute(page_of.limit(_PAGE)).all()
        young = [row.number for row in page if row.made_ms >= since_ms]
        if not young:
            break
        first, below = min(young), page[-1].number
    wanted = select(func.max(turns.c.number))
    if first is not None:
        # Not the number before: that may be one that is still to be seen.
        wanted = wanted.where(turns.c.number < first)
    return int(connection.execute(wanted).scalar() or 0)


def rows_after(connection: Connection, number: int) -> Iterator[ServedRow]:
    """Yield the answers after a number, in their order."""
    while True:
        page = connection.execute(
            select(*(turns.c[name] for name in _COLUMNS), func.length(turns.c.answer).label("said"))
            .where(turns.c.number > number)
            .order_by(turns.c.number)
            .limit(_PAGE)
        ).all()
        for row in page:
            yield ServedRow(
                number=row.number,
                deployment=row.deployment,
                owner=row.owner,
                session_id=row.session_id,
                length=int(row.said or 0),
                record=record_without_texts(row),
            )
        if len(page) < _PAGE:
            return
        number = page[-1].number


_COLUMNS = ("number", "trace_id", "deployment", "owner", "session_id", "made_ms", "record")


def deployments_known(connection: Connection) -> Mapping[str, dict[str, Any]]:
    """Return by id who answers, or did."""
    rows = connection.execute(select(deployments))
    return {row.id: {**json.loads(row.described), "begun_ms": row.begun_ms} for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedRow:
    """What somebody said of an answer."""

    number: int
    deployment: str
    owner: str
    record: RatingRecord


def rated_after(connection: Connection, number: int) -> list[RatedRow]:
    """Return what was said of answers after a number, in its order."""
    rows = connection.execute(
        select(ratings.c.number, ratings.c.owner, ratings.c.record, turns.c.deployment)
        .join_from(ratings, turns, ratings.c.trace_id == turns.c.trace_id)
        .where(ratings.c.number > number)
        .order_by(ratings.c.number)
    )
    return [
        RatedRow(
            number=row.number,
            deployment=row.deployment,
            owner=row.owner,
            record=RatingRecord(**json.loads(row.record)),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledScore:
    """What came of a score of an answer, once nothing more is tried."""

    trace_id: str
    deployment: str
    scorer: str
    value: float | None
    not_scored: str | None
    """Why there is no value."""
    settled_ms: int


def scored_after(connection: Connection, after_ms: int, until_ms: int) -> list[SettledScore]:
    """Return the scores that were settled after a moment and up to another, in that order."""
    wanted = ("trace_id", "scorer", "value", "not_scored", "settled_ms")
    rows = connection.execute(
        select(*(scores.c[name] for name in wanted), turns.c.deployment)
        .join_from(scores, turns, scores.c.trace_id == turns.c.trace_id)
        .where(scores.c.settled_ms > after_ms, scores.c.settled_ms <= until_ms)
        .order_by(scores.c.settled_ms, scores.c.number)
    )
    return [SettledScore(**row._mapping) for row in rows]


def scorers_lately(connection: Connection) -> set[str]:
    """Return the scorers of the last thousand scores, given or to be given."""
    last = select(scores.c.scorer).order_by(scores.c.number.desc()).limit(_PAGE)
    return set(connection.execute(last).scalars())
