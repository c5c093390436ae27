"""What rules look at, one thing after the other: answers, and what was said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llmflowlab.candidate import Candidate
from llmflowlab.errors import InputError
from llmflowlab.guardrails.policy import DEFAULT, Policy
from llmflowlab.monitoring.traffic import LATE_MS, Answerer, settled
from llmflowlab.people.answer_words import value_of
from llmflowlab.people.ratings import rating_word
from llmflowlab.service.store.served_traffic import (
    ServedRow,
    deployments_known,
    last_before,
    rated_after,
    rows_after,
    scored_after,
    scorers_lately,
)
from llmflowlab.service.store.service_database import Engine, reading

__all__ = ["Observed", "SeenTo", "answerers_of", "begin_at", "observe", "scored_by"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTo:
    """How far a rule has looked."""

    turn: int
    """A number."""
    rating: int
    """Likewise."""
    score: int
    """Milliseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """An answer, or a score of one."""

    at_ms: int
    """When it was there to be seen."""
    place: int
    """What a rule that has seen it has seen to."""
    answerer: Answerer
    guardrails: Policy | None = None
    source: Literal["turn", "rating", "score"] = "turn"
    row: ServedRow | None = None
    scorer: str = ""
    score: float | None = None
    not_scored: str | None = None
    """Why a score has no value."""


def begin_at(engine: Engine, since_ms: int) -> SeenTo:
    """Return where a rule begins that looks back to a moment."""
    with reading(engine) as connection:
        return SeenTo(turn=last_before(connection, since_ms), rating=0, score=since_ms)


def observe(engine: Engine, after: SeenTo, now_ms: int) -> tuple[list[Observed], SeenTo]:
    """Read what came since, in the order in which it can be seen; returns it with how far that is.

    Raises:
        TrackingError: The database failed.
    """
    with reading(engine) as connection:
        rows = list(rows_after(connection, after.turn))
        ratings = rated_after(connection, after.rating)
        # Later ones may still come to be seen before these.
        until = max(now_ms - LATE_MS, after.score)
        scores = scored_after(connection, after.score, until)
        known: Mapping[str, Any] = deployments_known(connection)
    who = {id_: Candidate.from_record(described["candidate"]) for id_, described in known.items()}
    answerers = {id_: Answerer.of(one) for id_, one in who.items()}
    policies = {id_: _policy(one) for id_, one in who.items()}
    end = settled(rows, after.turn, now_ms)
    found = [
        Observed(
            at_ms=row.ended_ms,
            place=row.number,
            answerer=answerers[row.deployment],
            guardrails=policies[row.deployment],
            row=row,
        )
        for row in rows
        if row.number <= end
    ]
    for rated in ratings:
        word = rating_word(rated.record, "")
        found.append(
            Observed(
                at_ms=rated.record.rated_ms,
                place=rated.number,
                source="rating",
                answerer=answerers[rated.deployment],
                scorer=word.question,
                score=value_of(word.said or "") or 0.0,
            )
        )
    found += [
        Observed(
            at_ms=one.settled_ms,
            place=one.settled_ms,
            source="score",
            answerer=answerers[one.deployment],
            scorer=one.scorer,
            score=one.value,
            not_scored=one.not_scored,
        )
        for one in scores
    ]
    last = max((rated.number for rated in ratings), default=after.rating)
    return sorted(found, key=lambda one: one.at_ms), SeenTo(turn=end, rating=last, score=until)


def scored_by(engine: Engine) -> set[str]:
    """Return the scorers that answers were scored by lately, or are about to be."""
    with reading(engine) as connection:
        return scorers_lately(connection)


def answerers_of(engine: Engine) -> list[Answerer]:
    """Return all who ever answered."""
    with reading(engine) as connection:
        known = deployments_known(connection)
    return [Answerer.of(Candidate.from_record(each["candidate"])) for each in known.values()]


def _policy(candidate: Candidate) -> Policy | None:
    try:
        return None if candidate.guardrails is None else Policy.from_json(candidate.guardrails)
    except InputError:
        # Of another version of the lab: that it looks for anything is as much as is known.
        return DEFAULT


def after(cursor: SeenTo, seen: Iterable[Observed]) -> list[Observed]:
    """Return what a rule has not seen yet."""
    return [one for one in seen if one.place > getattr(cursor, one.source)]
