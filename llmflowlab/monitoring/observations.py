"""What rules look at, one thing after the other: answers, and what was said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llmflowlab.candidate import Candidate
from llmflowlab.monitoring.alert_rules import AlertRule
from llmflowlab.monitoring.traffic import LATE_MS, Answerer, settled
from llmflowlab.monitoring.traffic_figures import erred
from llmflowlab.people.answer_words import value_of
from llmflowlab.people.ratings import rating_word
from llmflowlab.service.store.served_traffic import (
    ServedRow,
    deployments_known,
    last_before,
    rated_after,
    rows_after,
    scored_after,
)
from llmflowlab.service.store.service_database import Engine, reading
from llmflowlab.tracking.summaries import answered

__all__ = ["Observed", "SeenTo", "begin_at", "observe", "seen_by"]


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
    guarded: bool = False
    source: Literal["turn", "rating", "score"] = "turn"
    row: ServedRow | None = None
    scorer: str = ""
    score: float = 0.0


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
    end = settled(rows, after.turn, now_ms)
    found = [
        Observed(
            at_ms=row.ended_ms,
            place=row.number,
            answerer=answerers[row.deployment],
            guarded=who[row.deployment].guardrails is not None,
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
        )
        for one in scores
        if one.value is not None
    ]
    last = max((rated.number for rated in ratings), default=after.rating)
    return sorted(found, key=lambda one: one.at_ms), SeenTo(turn=end, rating=last, score=until)


def seen_by(rule: AlertRule, one: Observed) -> str | float | None:
    """Return what a rule makes of it: a value from 0 to 1, USD, a language or a length; None: nothing."""
    if not rule.chosen.takes(one.answerer):
        return None
    if rule.kind == "score_drop":
        return one.score if one.row is None and one.scorer == rule.options["scorer"] else None
    if one.row is None or (rule.kind == "violation_rate" and not one.guarded):
        return None
    return _SEEN[rule.kind](rule, one.row)


def _violated(rule: AlertRule, row: ServedRow) -> float:
    wanted = {
        key: rule.options[key]
        for key in ("category", "direction", "action")
        if rule.options[key] is not None
    }
    return float(
        any(
            all(found.get(key) == value for key, value in wanted.items())
            for found in row.record.violations
        )
    )


def _slow(rule: AlertRule, row: ServedRow) -> float | None:
    if not answered(row.record):
        return None
    return float(row.record.inference_time > rule.options["above"])


def _first_answer(row: ServedRow) -> bool:
    """Whether it begins a conversation: those that follow in one are too much like it."""
    turn = row.record
    return turn.index == 0 and not turn.earlier_exchanges and turn.state == "complete"


_SEEN: Mapping[str, Callable[[AlertRule, ServedRow], str | float | None]] = {
    "error_rate": lambda rule, row: float(erred(row.record)),
    "violation_rate": _violated,
    "latency": _slow,
    "cost_per_hour": lambda rule, row: float(row.record.cost or 0),
    "language_drift": lambda rule, row: row.record.language if _first_answer(row) else None,
    "length_drift": lambda rule, row: float(row.length) if _first_answer(row) else None,
}


def after(cursor: SeenTo, seen: Iterable[Observed]) -> list[Observed]:
    """Return what a rule has not seen yet."""
    return [one for one in seen if one.place > getattr(cursor, one.source)]
