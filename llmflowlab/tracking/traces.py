"""A chat turn as an MLflow trace, and a person's rating as feedback on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlflow.entities import AssessmentSource, Feedback, Span, TraceInfo

from llmflowlab.candidate import Candidate
from llmflowlab.machine import person
from llmflowlab.tracking.page_links import prompt_tag
from llmflowlab.tracking.records import RatingRecord, SessionStart, TurnRecord, last_ratings
from llmflowlab.tracking.spans import SpanSpec, TokenUse, TraceSpec, build_spans, build_trace_info
from llmflowlab.tracking.violations import counts

__all__ = ["turn_spans", "turn_trace"]

_NAME = "chat_turn"


def turn_trace(
    start: SessionStart,
    turn: TurnRecord,
    ratings: Sequence[RatingRecord],
    *,
    experiment_id: str,
    run_id: str,
    model_id: str | None = None,
    rater: str | None = None,
) -> TraceInfo:
    """Return the header of a turn's trace, with its ratings; writing it again changes nothing.

    Args:
        start: The turn's session.
        turn: The turn.
        ratings: All ratings of the session; those of other turns are passed over.
        experiment_id: Where the trace belongs.
        run_id: The session's run.
        model_id: The logged model that answered, once it is known.
        rater: Whose the ratings are; None: the person's of this account.
    """
    begin, end = _times(turn)
    candidate = start.candidate
    info = build_trace_info(
        TraceSpec(
            trace_id=turn.trace_id,
            experiment_id=experiment_id,
            name=_NAME,
            run_id=run_id,
            start_ns=begin,
            end_ns=end,
            ok=turn.state != "failed",
            request=turn.prompt,
            response=turn.answer or turn.error or "",
            tokens=_tokens(turn),
            session_id=start.session_id,
            model_id=model_id,
            tags=_tags(candidate, turn),
        )
    )
    info.assessments = _feedback(turn, ratings, rater or person())
    return info


def turn_spans(start: SessionStart, turn: TurnRecord, *, experiment_id: str) -> list[Span]:
    """Return a turn's spans: one, the model's call, with messages and answer as OpenAI writes them."""
    begin, end = _times(turn)
    candidate = start.candidate
    message: dict[str, Any] = {"role": "assistant", "content": turn.answer}
    if turn.reasoning:
        message["reasoning_content"] = turn.reasoning
    outputs: dict[str, Any] = {
        "object": "chat.completion",
        "model": turn.model_version or candidate.model_id,
        "choices": [{"index": 0, "message": message, "finish_reason": turn.finish_reason}],
    }
    if turn.total_tokens is not None:
        outputs["usage"] = {
            "prompt_tokens": turn.prompt_tokens,
            "completion_tokens": turn.completion_tokens,
            "total_tokens": turn.total_tokens,
        }
    spec = SpanSpec(
        name=_NAME,
        kind="CHAT_MODEL",
        inputs={
            "model": candidate.model_id,
            "messages": turn.messages or [{"role": "user", "content": turn.prompt}],
            **candidate.parameters.given(),
        },
        outputs=None if turn.unanswered else outputs,
        start_ns=begin,
        end_ns=end,
        ok=turn.state != "failed",
        error=turn.error,
        tokens=_tokens(turn),
        model=turn.model_version or candidate.model_id,
        provider=candidate.provider,
        attributes={
            "mlflow.message.format": "openai",
            "llmflowlab.state": turn.state,
            "llmflowlab.error_reason": turn.error_reason,
            "llmflowlab.time_to_first_token": turn.time_to_first_token,
            "llmflowlab.earlier_exchanges": turn.earlier_exchanges or None,
            "llmflowlab.previous_trace": turn.previous_trace,
            "llmflowlab.tries": turn.tries,
            "llmflowlab.waited_seconds": turn.waited,
        },
    )
    return build_spans(turn.trace_id, experiment_id, [spec])


def _times(turn: TurnRecord) -> tuple[int, int]:
    begin = turn.started_ms * 1_000_000
    return begin, begin + int((turn.inference_time + turn.waited) * 1e9)


def _tokens(turn: TurnRecord) -> TokenUse:
    return TokenUse(
        prompt=turn.prompt_tokens,
        completion=turn.completion_tokens,
        cached=turn.cached_tokens,
        cost_usd=None if turn.cost is None else float(turn.cost),
    )


def _tags(candidate: Candidate, turn: TurnRecord) -> dict[str, str]:
    tags = {
        "llmflowlab.model": candidate.model,
        "llmflowlab.turn": str(turn.index),
        "llmflowlab.state": turn.state,
        "llmflowlab.tokens": "counted" if turn.tokens_estimated else "reported",
    }
    tags |= prompt_tag(candidate.prompt)
    if turn.violations:
        tags["llmflowlab.guardrails"] = ", ".join(counts(turn.violations))
    if turn.language:
        tags["llmflowlab.language"] = turn.language
    return tags


def _feedback(turn: TurnRecord, ratings: Sequence[RatingRecord], rater: str) -> list[Any]:
    found = []
    for name, rating in last_ratings(ratings, turn.trace_id).items():
        feedback = Feedback(
            name=name,
            value=rating.value,
            source=AssessmentSource(source_type="HUMAN", source_id=rater),
            trace_id=turn.trace_id,
            rationale=rating.comment,
            metadata=None,
            create_time_ms=rating.rated_ms,
            last_update_time_ms=rating.rated_ms,
        )
        # An id of ours makes a repeated delivery, or a changed mind, overwrite instead of add.
        feedback.assessment_id = f"a-{turn.trace_id.removeprefix('tr-')}-{name}"
        found.append(feedback)
    return found
