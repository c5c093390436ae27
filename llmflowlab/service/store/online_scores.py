"""Scores given in the background: which answers wait for one, who works on it, and what came of it.

A turn and its waiting scores are kept in one transaction, so that neither a kill nor a restart makes one
more or one less. Whoever works on a score has counted the try before; its outcome settles it once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from llmflowlab.evaluation.scores import Score
from llmflowlab.service.store.service_tables import deployments, score_totals, scores

__all__ = [
    "KeptScore",
    "ScoreTotal",
    "WaitingScore",
    "await_scores",
    "claim_scores",
    "give_back",
    "keep_score",
    "let_claims_go",
    "score_totals_of",
    "scores_of",
    "scoring_state",
    "unscored_count",
]

_PICO = Decimal(10) ** 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingScore:
    """A score that somebody has begun to work on."""

    number: int
    scorer: str
    tries: int
    """This one included."""
    trace_id: str
    before: Score | None
    """What came of the try before; None where this is the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptScore:
    """What came of a score, as it is shown and delivered."""

    number: int
    trace_id: str
    score: Score
    judge_exam: str | None
    """How its judge's examination ended; None where no judge is behind it."""
    settled_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTotal:
    """What the settled scores of one scorer on one deployment's answers come to."""

    deployment: str
    scorer: str
    reason: str | None
    """Why these have no value; None of those that have one."""
    number: int
    total: float
    """The sum of their values."""
    cost: Decimal
    """USD of judging them, as far as it is known."""


def await_scores(
    connection: Connection, trace_id: str, scorers: Iterable[str], now_ms: int
) -> None:
    """Have an answer scored; one that waits for it already, or has it, is left as it is."""
    rows = [
        {"trace_id": trace_id, "scorer": name, "made_ms": now_ms, "due_ms": now_ms, "tries": 0}
        for name in scorers
    ]
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(scores).on_conflict_do_nothing(), rows)


def claim_scores(
    connection: Connection, scorers: Sequence[str], *, most: int, now_ms: int, until_ms: int
) -> list[WaitingScore]:
    """Take scores to work on, oldest first; the try is counted whatever becomes of it.

    Args:
        connection: In a transaction.
        scorers: Those that are known how to give.
        most: As many at most.
        now_ms: Now.
        until_ms: When another may take them, should nothing be heard of them.
    """
    due = (
        select(scores.c.number)
        .where(scores.c.settled_ms.is_(None), scores.c.due_ms <= now_ms)
        .where(scores.c.scorer.in_(scorers))
        .order_by(scores.c.number)
        .limit(most)
        # SQLite has one writer at a time anyway.
        .with_for_update(skip_locked=True)
    )
    numbers = list(connection.execute(due).scalars())
    if not numbers:
        return []
    connection.execute(
        update(scores)
        .where(scores.c.number.in_(numbers))
        .values(tries=scores.c.tries + 1, due_ms=until_ms)
    )
    rows = connection.execute(
        select(scores).where(scores.c.number.in_(numbers)).order_by(scores.c.number)
    )
    return [
        WaitingScore(
            number=row.number,
            scorer=row.scorer,
            tries=row.tries,
            trace_id=row.trace_id,
            before=None if row.record is None else Score.from_json(json.loads(row.record)),
        )
        for row in rows
    ]


def let_claims_go(connection: Connection, now_ms: int) -> None:
    """Let everything that was begun be begun again; those who worked on it are no more."""
    connection.execute(
        update(scores)
        .where(scores.c.settled_ms.is_(None), scores.c.tries > 0, scores.c.record.is_(None))
        .values(due_ms=now_ms)
    )


def give_back(connection: Connection, numbers: Sequence[int], now_ms: int) -> None:
    """Give back what was begun and for which nothing was asked; it counts as no try."""
    connection.execute(
        update(scores)
        .where(scores.c.number.in_(numbers), scores.c.settled_ms.is_(None))
        .values(due_ms=now_ms, tries=scores.c.tries - 1)
    )


def keep_score(
    connection: Connection,
    number: int,
    score: Score,
    *,
    deployment: str,
    judge_exam: str | None,
    now_ms: int,
    again_ms: int | None,
) -> bool:
    """Keep what came of a score.

    Args:
        connection: In a transaction.
        number: Which.
        score: What came of it, with what earlier tries cost.
        deployment: Of whose answer.
        judge_exam: How the judge's examination ended.
        now_ms: Now.
        again_ms: When to try it again; None settles it.

    Returns:
        False where it was settled before: what came first stays.
    """
    mine = (scores.c.number == number, scores.c.settled_ms.is_(None))
    kept = connection.execute(
        update(scores)
        .where(*mine)
        .values(
            value=score.value,
            not_scored=score.not_scored,
            record=json.dumps(score.to_json(), ensure_ascii=False),
            judge_exam=judge_exam,
            due_ms=now_ms if again_ms is None else again_ms,
            settled_ms=now_ms if again_ms is None else None,
        )
    )
    if kept.rowcount == 0:
        return False
    if again_ms is None:
        _add_up(connection, deployment, score)
    return True


def _add_up(connection: Connection, deployment: str, score: Score) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    amount = (Decimal(score.cost_usd or 0) * _PICO).to_integral_value(ROUND_CEILING)
    new = dialect.insert(score_totals).values(
        deployment=deployment,
        scorer=score.scorer,
        reason=score.not_scored or "",
        number=1,
        total=score.value or 0.0,
        amount=int(amount),
    )
    added: Mapping[str, Any] = {
        name: score_totals.c[name] + new.excluded[name] for name in ("number", "total", "amount")
    }
    connection.execute(
        new.on_conflict_do_update(index_elements=list(score_totals.primary_key), set_=added)
    )


def score_totals_of(connection: Connection, deployment: str | None = None) -> list[ScoreTotal]:
    """Return what all settled scores come to, or those of one deployment's answers."""
    wanted = select(score_totals).order_by(
        score_totals.c.scorer, score_totals.c.deployment, score_totals.c.reason
    )
    if deployment is not None:
        wanted = wanted.where(score_totals.c.deployment == deployment)
    return [
        ScoreTotal(
            deployment=row.deployment,
            scorer=row.scorer,
            reason=row.reason or None,
            number=row.number,
            total=row.total,
            cost=Decimal(row.amount) / _PICO,
        )
        for row in connection.execute(wanted)
    ]


def scores_of(connection: Connection, trace_ids: Sequence[str]) -> dict[str, list[KeptScore]]:
    """Return the settled scores of answers, by trace, by scorer's name."""
    found: dict[str, list[KeptScore]] = {}
    rows = connection.execute(
        select(scores)
        .where(scores.c.trace_id.in_(trace_ids), scores.c.settled_ms.is_not(None))
        .order_by(scores.c.scorer)
    )
    for row in rows:
        kept = KeptScore(
            number=row.number,
            trace_id=row.trace_id,
            score=Score.from_json(json.loads(row.record)),
            judge_exam=row.judge_exam,
            settled_ms=row.settled_ms,
        )
        found.setdefault(row.trace_id, []).append(kept)
    return found


def unscored_count(connection: Connection) -> int:
    """Count the scores that are not settled."""
    wanted = select(func.count()).select_from(scores).where(scores.c.settled_ms.is_(None))
    return int(connection.execute(wanted).scalar_one())


def scoring_state(connection: Connection) -> tuple[list[tuple[str, ScoreTotal]], int]:
    """Return what scores come to, each with the model's name as on offer, and how many are not settled."""
    totals = score_totals_of(connection)
    wanted = {each.deployment for each in totals}
    rows = connection.execute(select(deployments).where(deployments.c.id.in_(wanted)))
    names = {row.id: str(json.loads(row.described)["name"]) for row in rows}
    return [(names[each.deployment], each) for each in totals], unscored_count(connection)
