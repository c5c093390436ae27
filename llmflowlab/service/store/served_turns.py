"""Sessions and turns in the service's database."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from llmflowlab.service.http_refusals import HttpRefusal
from llmflowlab.service.store.online_scores import KeptScore, scores_of
from llmflowlab.service.store.service_database import ensure
from llmflowlab.service.store.service_tables import deployments, ratings, scores, sessions, turns
from llmflowlab.tracking.records import RatingRecord, TurnRecord, from_json

__all__ = [
    "Said",
    "SessionState",
    "Undelivered",
    "begin_turn",
    "delivered",
    "deployment_of",
    "keep_deployment",
    "keep_rating",
    "keep_turn",
    "let_all_go",
    "let_go",
    "names_of",
    "newest_turn",
    "ratings_of",
    "record_without_texts",
    "said_in",
    "sessions_of",
    "totals_of",
    "turns_of",
    "undelivered",
    "undelivered_count",
]

_TITLE = 100
"""Characters of what was said first that stand for a session."""
_SPARED = 30.0
"""Seconds that a session stays held beyond the deadline of its answer, for who was killed in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A turn of a session as it is shown and sent again."""

    prompt: str
    answer: str
    trace_id: str
    made_ms: int
    deployment: str
    record: TurnRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """One session."""

    id: str
    title: str
    """How what was said first begins."""
    made_ms: int
    used_ms: int
    turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A turn, or a rating or a score of one, that MLflow does not have."""

    number: int
    owner: str
    session_id: str | None
    deployment: str
    door: str
    record: TurnRecord
    ratings: tuple[RatingRecord, ...] = ()
    rating_numbers: tuple[int, ...] = ()
    scores: tuple[KeptScore, ...] = ()
    again: bool = False
    """Whether the turn itself is there, and only what was said of it is new."""


def begin_turn(
    connection: Connection,
    *,
    owner: str,
    session_id: str,
    trace_id: str,
    deadline: float,
    most_turns: int,
) -> list[Said] | HttpRefusal:
    """Hold a session for a turn, making it where there is none.

    Returns:
        What was said in it, oldest first; or why the turn cannot begin.
    """
    now = int(time.time() * 1000)
    mine = (sessions.c.owner == owner, sessions.c.id == session_id)
    wanted = select(sessions).where(*mine).with_for_update()
    if (row := connection.execute(wanted).first()) is None:
        # Another worker may make it at the same moment.
        ensure(connection, sessions, owner=owner, id=session_id, made_ms=now, used_ms=now, turns=0)
        row = connection.execute(wanted).one()
    if row.held_by is not None and row.held_until_ms > now:
        return HttpRefusal(
            "session_busy",
            "An answer of this session is under way; wait for it, or use another session.",
            param="session_id",
            retry_after=1.0,
        )
    if row.turns >= most_turns:
        return HttpRefusal(
            "conversation_too_long",
            f"This session has its {most_turns} turns; begin another one.",
            param="session_id",
        )
    until = now + int((deadline + _SPARED) * 1000)
    connection.execute(
        update(sessions).where(*mine).values(held_by=trace_id, held_until_ms=until, used_ms=now)
    )
    return said_in(connection, owner, session_id) if row.turns else []


def let_go(connection: Connection, owner: str, session_id: str, trace_id: str) -> None:
    """Let a session go without a turn."""
    connection.execute(
        update(sessions)
        .where(sessions.c.owner == owner, sessions.c.id == session_id)
        .where(sessions.c.held_by == trace_id)
        .values(held_by=None, held_until_ms=None)
    )


def let_all_go(connection: Connection) -> None:
    """Let every session go; those who held them are no more."""
    connection.execute(update(sessions).values(held_by=None, held_until_ms=None))


def keep_turn(
    connection: Connection,
    record: TurnRecord,
    *,
    owner: str,
    session_id: str | None,
    deployment: str,
    door: str,
) -> None:
    """Keep a turn and let its session go; a turn that is there already is not kept twice."""
    rest = {name: getattr(record, name) for name in _REST}
    values = {
        "trace_id": record.trace_id,
        "session_id": session_id,
        "owner": owner,
        "deployment": deployment,
        "door": door,
        "made_ms": record.started_ms,
        "prompt": record.prompt,
        "answer": record.answer,
        "record": json.dumps(rest, ensure_ascii=False),
    }
    if connection.execute(_ONCE[connection.dialect.name], values).first() is None:
        return
    if session_id is not None:
        connection.execute(
            update(sessions)
            .where(sessions.c.owner == owner, sessions.c.id == session_id)
            .values(
                turns=sessions.c.turns + 1,
                used_ms=int(time.time() * 1000),
                held_by=None,
                held_until_ms=None,
            )
        )


_APART = {"prompt", "answer", "trace_id", "started_ms"}
_REST = tuple(each.name for each in fields(TurnRecord) if each.name not in _APART)
_ONCE = {
    name: dialect.insert(turns)
    .on_conflict_do_nothing(index_elements=[turns.c.trace_id])
    .returning(turns.c.number)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
"""Made once: SQLAlchemy then finds what it is in SQL again by itself."""


def said_in(connection: Connection, owner: str, session_id: str) -> list[Said]:
    """Return a session's turns, oldest first; none where there is no such session of that key."""
    rows = connection.execute(
        select(turns)
        .where(turns.c.owner == owner, turns.c.session_id == session_id)
        .order_by(turns.c.number)
    )
    return [
        Said(
            prompt=row.prompt,
            answer=row.answer,
            trace_id=row.trace_id,
            made_ms=row.made_ms,
            deployment=row.deployment,
            record=_record(row),
        )
        for row in rows
    ]


def sessions_of(connection: Connection, owner: str, *, most: int = 200) -> list[SessionState]:
    """Return a key's sessions in which something was said, the last used first."""
    mine = (turns.c.owner == sessions.c.owner, turns.c.session_id == sessions.c.id)
    first = select(func.min(turns.c.number)).where(*mine).scalar_subquery()
    said = (
        select(func.substr(turns.c.prompt, 1, _TITLE))
        .where(turns.c.number == first.correlate(sessions))
        .scalar_subquery()
    )
    rows = connection.execute(
        select(sessions, said.label("title"))
        .where(sessions.c.owner == owner, sessions.c.turns > 0)
        .order_by(sessions.c.used_ms.desc())
        .limit(most)
    )
    return [
        SessionState(
            id=row.id,
            title=" ".join((row.title or "").split()),
            made_ms=row.made_ms,
            used_ms=row.used_ms,
            turns=row.turns,
        )
        for row in rows
    ]


def keep_rating(connection: Connection, owner: str, rating: RatingRecord) -> bool:
    """Keep what a person says of an answer; False where that key was given no such answer."""
    mine = select(turns.c.number).where(turns.c.trace_id == rating.trace_id, turns.c.owner == owner)
    if connection.execute(mine).first() is None:
        return False
    text = json.dumps(asdict(rating), ensure_ascii=False)
    connection.execute(insert(ratings).values(trace_id=rating.trace_id, owner=owner, record=text))
    return True


def ratings_of(connection: Connection, trace_ids: Sequence[str]) -> dict[str, list[RatingRecord]]:
    """Return what was said of answers, oldest first, by trace."""
    found: dict[str, list[RatingRecord]] = {}
    rows = connection.execute(
        select(ratings).where(ratings.c.trace_id.in_(trace_ids)).order_by(ratings.c.number)
    )
    for row in rows:
        found.setdefault(row.trace_id, []).append(RatingRecord(**json.loads(row.record)))
    return found


def keep_deployment(connection: Connection, id_: str, described: dict[str, Any]) -> None:
    """Keep who answers under an id, unless it is there."""
    text, now = json.dumps(described, ensure_ascii=False), int(time.time() * 1000)
    ensure(connection, deployments, id=id_, described=text, begun_ms=now)


def deployment_of(connection: Connection, id_: str) -> dict[str, Any]:
    """Return who answered under an id."""
    row = connection.execute(select(deployments).where(deployments.c.id == id_)).one()
    described: dict[str, Any] = json.loads(row.described)
    return {**described, "begun_ms": row.begun_ms}


def names_of(connection: Connection, deployed: Collection[str]) -> dict[str, str]:
    """Return under which names deployments were on offer, by their ids."""
    rows = connection.execute(select(deployments).where(deployments.c.id.in_(deployed)))
    return {row.id: json.loads(row.described)["name"] for row in rows}


def undelivered(connection: Connection, most: int) -> list[Undelivered]:
    """Return turns that MLflow does not have, and ratings and scores of others, oldest first."""
    rows = connection.execute(
        select(turns).where(turns.c.delivered_ms.is_(None)).order_by(turns.c.number).limit(most)
    ).all()
    rated = connection.execute(
        select(ratings.c.trace_id)
        .where(ratings.c.delivered_ms.is_(None))
        .order_by(ratings.c.number)
        .limit(most)
    ).scalars()
    scored = connection.execute(
        select(scores.c.trace_id)
        .where(scores.c.delivered_ms.is_(None), scores.c.settled_ms.is_not(None))
        .order_by(scores.c.number)
        .limit(most)
    ).scalars()
    there = {row.trace_id for row in rows}
    others = list({trace for trace in (*rated, *scored) if trace not in there})
    again = connection.execute(
        select(turns).where(turns.c.trace_id.in_(others), turns.c.delivered_ms.is_not(None))
    ).all()
    every = [row.trace_id for row in (*rows, *again)]
    said = connection.execute(
        select(ratings).where(ratings.c.trace_id.in_(every)).order_by(ratings.c.number)
    ).all()
    given = scores_of(connection, every)
    return [
        _undelivered(row, said, given.get(row.trace_id, ()), again=row.trace_id not in there)
        for row in (*rows, *again)
    ]


def _undelivered(
    row: Row[Any], said: Sequence[Row[Any]], given: Sequence[KeptScore], *, again: bool
) -> Undelivered:
    mine = [each for each in said if each.trace_id == row.trace_id]
    return Undelivered(
        number=row.number,
        owner=row.owner,
        session_id=row.session_id,
        deployment=row.deployment,
        door=row.door,
        record=_record(row),
        ratings=tuple(RatingRecord(**json.loads(each.record)) for each in mine),
        rating_numbers=tuple(each.number for each in mine),
        scores=tuple(given),
        again=again,
    )


def delivered(connection: Connection, done: Sequence[Undelivered]) -> None:
    """Note that MLflow has them."""
    now = int(time.time() * 1000)
    numbers = [each.number for each in done if not each.again]
    said = [number for each in done for number in each.rating_numbers]
    connection.execute(update(turns).where(turns.c.number.in_(numbers)).values(delivered_ms=now))
    connection.execute(update(ratings).where(ratings.c.number.in_(said)).values(delivered_ms=now))
    given = [kept.number for each in done for kept in each.scores]
    connection.execute(update(scores).where(scores.c.number.in_(given)).values(delivered_ms=now))


def turns_of(connection: Connection, trace_ids: Sequence[str]) -> dict[str, tuple[str, TurnRecord]]:
    """Return turns by their traces, each with its deployment."""
    rows = connection.execute(select(turns).where(turns.c.trace_id.in_(trace_ids)))
    return {row.trace_id: (row.deployment, _record(row)) for row in rows}


def totals_of(connection: Connection, deployment: str) -> list[TurnRecord]:
    """Return all turns of a deployment without their texts, in their order."""
    rows = connection.execute(
        select(
            turns.c.trace_id,
            turns.c.made_ms,
            turns.c.record,
            func.length(turns.c.answer).label("said"),
        )
        .where(turns.c.deployment == deployment)
        .order_by(turns.c.number)
    )
    return [record_without_texts(row) for row in rows]


def record_without_texts(row: Any) -> TurnRecord:
    """Return a turn without its texts; of the answer it is told whether there was one, which figures need."""
    bare = {"messages": [], "reasoning": "", "prompt": "", "answer": "…" if row.said else ""}
    told = {"trace_id": row.trace_id, "started_ms": row.made_ms}
    return from_json(TurnRecord, {**json.loads(row.record), **bare, **told})


def newest_turn(connection: Connection) -> int:
    """Return the number of the turn that was kept last; 0 where there is none."""
    return int(connection.execute(select(func.max(turns.c.number))).scalar() or 0)


def undelivered_count(connection: Connection) -> int:
    """Count the turns that MLflow does not have."""
    wanted = select(func.count()).select_from(turns).where(turns.c.delivered_ms.is_(None))
    return int(connection.execute(wanted).scalar_one())


def _record(row: Row[Any]) -> TurnRecord:
    return TurnRecord(
        **json.loads(row.record),
        trace_id=row.trace_id,
        started_ms=row.made_ms,
        prompt=row.prompt,
        answer=row.answer,
    )
