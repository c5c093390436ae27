"""Answers put into a service's database as the service would, at a time of the test's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.evaluation.scores import Score
from llmflowlab.service.store.online_scores import await_scores, claim_scores, keep_score
from llmflowlab.service.store.served_turns import keep_deployment, keep_rating, keep_turn
from llmflowlab.service.store.service_database import database_of
from llmflowlab.settings import Settings
from llmflowlab.tracking.records import RatingRecord, TurnRecord, new_trace_id

__all__ = ["NOW", "candidate", "deployed", "found", "rate", "score", "serve", "turn"]

NOW = 1_790_000_000.0
"""Seconds since the epoch at which these tests are."""


def candidate(model: str = "openai:gpt-4.1-mini", **more: Any) -> Candidate:
    return Candidate(model=model, display_name="OpenAI", supplier="OpenAI", **more)


def turn(ago: float = 60.0, **more: Any) -> TurnRecord:
    """Return an answer that was asked for so many seconds before `NOW`."""
    values: dict[str, Any] = {
        "trace_id": new_trace_id(),
        "index": 0,
        "date": "2026-09-21 12:00:00",
        "started_ms": int((NOW - ago) * 1000),
        "prompt": "What is a run?",
        "answer": "A run is one execution.",
        "language": "en",
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "cost_usd": "0.001",
        "inference_time": 1.0,
        "time_to_first_token": 0.25,
    }
    return TurnRecord(**{**values, **more})


def found(action: str = "block", category: str = "injection", direction: str = "in") -> Any:
    return {"category": category, "direction": direction, "action": action, "rule": "r"}


def deployed(settings: Settings, who: Candidate, name: str = "d1") -> str:
    with database_of(settings) as connection:
        described = {"name": who.model, "candidate": who.to_record()}
        keep_deployment(connection, name, described)
    return name


def serve(
    settings: Settings,
    turns: Iterable[TurnRecord],
    *,
    deployment: str = "d1",
    session: str | None = None,
) -> None:
    with database_of(settings) as connection:
        for each in turns:
            keep_turn(
                connection,
                each,
                owner="",
                session_id=session,
                deployment=deployment,
                door="chat",
            )


def rate(settings: Settings, trace_id: str, value: bool | int) -> None:
    with database_of(settings) as connection:
        rating = RatingRecord(trace_id=trace_id, value=value, rated_ms=int(NOW * 1000))
        assert keep_rating(connection, "", rating)


def score(
    settings: Settings,
    trace_id: str,
    value: float | None,
    *,
    scorer: str = "contains",
    ago: float = 0,
) -> None:
    """Keep what came of a score, settled so many seconds before `NOW`."""
    at = int((NOW - ago) * 1000)
    what = Score(
        scorer=scorer, value=value, not_scored=None if value is not None else "judge_failed"
    )
    with database_of(settings) as connection:
        await_scores(connection, trace_id, [scorer], at)
        (waiting,) = claim_scores(connection, [scorer], most=1, now_ms=at, until_ms=at)
        assert keep_score(
            connection,
            waiting.number,
            what,
            deployment="d1",
            judge_exam=None,
            now_ms=at,
            again_ms=None,
        )
