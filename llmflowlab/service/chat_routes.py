"""`/chat`, its sessions, and what people say of answers."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from llmflowlab.conversations import read_parameters
from llmflowlab.errors import Blocked, InputError
from llmflowlab.service.answer_scores import score_shown, scored, scorers_of
from llmflowlab.service.answering_requests import answer_in_session
from llmflowlab.service.chat_bodies import (
    ChatAnswer,
    ChatBody,
    FeedbackBody,
    FeedbackKept,
    SessionId,
    SessionList,
    SessionShown,
)
from llmflowlab.service.entrance import Asking, asking, refused_with
from llmflowlab.service.event_stream import HEARTBEAT, EventStream, Whole, event
from llmflowlab.service.generation import Generation
from llmflowlab.service.http_refusals import HttpRefusal
from llmflowlab.service.store.online_scores import scores_of
from llmflowlab.service.store.served_turns import (
    keep_rating,
    names_of,
    ratings_of,
    said_in,
    sessions_of,
)
from llmflowlab.tracking.records import RatingRecord, TurnRecord

__all__ = ["router"]

router = APIRouter(tags=["chat"])

_BLOCKED = {"blocked_in": "in", "blocked_out": "out"}
"""`Blocked.reason`, and where it was blocked."""


@router.post(
    "/chat",
    response_model=ChatAnswer,
    summary="Say something in a session",
    responses={
        200: {
            "content": {
                "text/event-stream": {
                    "example": 'event: start\ndata: {"trace_id": "tr-…", "session_id": "3f2a"}\n\n'
                    'event: delta\ndata: {"text": "A token is"}\n\n'
                    'event: done\ndata: {"answer": "A token is …"}\n\n',
                }
            }
        },
        **refused_with(400, 401, 404, 408, 409, 413, 429, 500, 502, 503, 504),
    },
)
async def chat(body: ChatBody, request: Request, who: Annotated[Asking, Depends(asking)]) -> Any:
    """Answer a query in a session, which keeps what was said; a new one where none is named.

    As server-sent events with `"stream": true` or `Accept: text/event-stream`: `start`, then `delta`
    (`text`) and `thinking` as they come, `withdrawn` where what came so far was no part of the answer,
    and `done` with what an unstreamed answer holds, or `error`.
    """
    begun, state = time.monotonic(), who.state
    offer = state.offer(body.model)
    try:
        parameters = read_parameters(body.parameters)
        scorers = None if body.evaluate is None else scorers_of(body.evaluate.scorers)
    except InputError as exc:
        raise HttpRefusal("bad_request", exc.message) from exc
    session_id = body.session_id or secrets.token_hex(16)
    generation = await answer_in_session(
        state,
        who.caller,
        offer,
        session_id=session_id,
        query=body.query,
        parameters=parameters,
        custom_inputs=body.custom_inputs,
        begun=begun,
    )

    async def document() -> dict[str, Any]:
        found = answered(generation)
        if scorers is not None and body.evaluate is not None:
            found["evaluation"] = await scored(generation, scorers, body.evaluate.expected)
        return found

    async def whole() -> JSONResponse:
        if generation.refusal is not None and not (generation.record and generation.record.answer):
            return JSONResponse(
                generation.refusal.body(), generation.refusal.status, generation.refusal.headers()
            )
        return JSONResponse(await document())

    async def frames() -> AsyncIterator[bytes | None]:
        head = {
            "trace_id": generation.order.trace_id,
            "session_id": session_id,
            "model": offer.name,
        }
        yield event(head, "start")
        async for piece in generation.pieces(HEARTBEAT):
            if piece is None:
                yield None
            elif piece.withdrawn:
                yield event({}, "withdrawn")
            elif piece.thinking:
                yield event({"text": piece.thinking}, "thinking")
            else:
                yield event({"text": piece.text}, "delta")
        if generation.refusal is not None:
            yield event(generation.refusal.body(), "error")
        if generation.record is not None and generation.record.state != "failed":
            yield event(await document(), "done")

    if not (body.stream or "text/event-stream" in request.headers.get("accept", "")):
        return Whole(generation, whole)
    return EventStream(generation, frames(), who.headers)


def answered(generation: Generation) -> dict[str, Any]:
    """Return an answer with all that is known of it."""
    order, record, paid = generation.order, generation.record, generation.paid
    assert record is not None
    assert paid is not None
    blocked = paid.error if isinstance(paid.error, Blocked) else None
    return {
        "answer": record.answer if blocked is None else blocked.message,
        "state": record.state,
        "session_id": order.session_id,
        "turn": record.index,
        "trace_id": record.trace_id,
        "model": order.offer.name,
        "model_version": record.model_version,
        "finish_reason": record.finish_reason,
        "language": record.language,
        "guardrails": {
            "blocked": None if blocked is None else blocked.direction,
            "violations": record.violations,
            "remarks": list(paid.remarks),
        },
        "usage": _usage(record),
        "cost_usd": record.cost_usd,
        "latency": {
            "seconds": time.monotonic() - order.begun,
            "time_to_first_token": generation.first_token,
            "inference_time": record.inference_time,
        },
        "evaluation": None,
    }


def _usage(record: TurnRecord) -> dict[str, Any]:
    return {
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "total_tokens": record.total_tokens,
        "cached_tokens": record.cached_tokens,
        "reasoning_tokens": record.reasoning_tokens,
        "estimated": record.tokens_estimated,
    }


@router.get(
    "/sessions",
    response_model=SessionList,
    summary="A key's sessions",
    responses=refused_with(401, 429, 500, 503),
)
async def sessions(who: Annotated[Asking, Depends(asking)]) -> Any:
    """List the sessions of this key, the last used first, 200 at most."""
    owner = who.caller.owner
    found = await who.state.desk.do(lambda connection: sessions_of(connection, owner))
    return {
        "sessions": [
            {
                "session_id": s.id,
                "title": s.title,
                "made_ms": s.made_ms,
                "used_ms": s.used_ms,
                "turns": s.turns,
            }
            for s in found
        ]
    }


@router.get(
    "/sessions/{session_id}",
    response_model=SessionShown,
    summary="What was said in a session",
    responses=refused_with(400, 401, 404, 429, 500, 503),
)
async def session(session_id: SessionId, who: Annotated[Asking, Depends(asking)]) -> Any:
    """Return a session's turns, oldest first, with what was thought of them."""
    owner = who.caller.owner
    said = await who.state.desk.do(lambda connection: said_in(connection, owner, session_id))
    if not said:
        raise HttpRefusal("session_not_found", "No session of this key has that id.")
    traces = [each.trace_id for each in said]
    ratings = await who.state.desk.do(lambda connection: ratings_of(connection, traces))
    scores = await who.state.desk.do(lambda connection: scores_of(connection, traces))
    deployed = {each.deployment for each in said}
    names = await who.state.desk.do(lambda connection: names_of(connection, deployed))
    turns = []
    for number, each in enumerate(said):
        values = [rating.value for rating in ratings.get(each.trace_id, ())]
        thumbs = [value for value in values if isinstance(value, bool)]
        grades = [value for value in values if not isinstance(value, bool)]
        turns.append(
            {
                "turn": number,
                "query": each.prompt,
                "answer": each.answer or each.record.error or "",
                "state": each.record.state,
                "trace_id": each.trace_id,
                "made_ms": each.made_ms,
                "model": names.get(each.deployment),
                "model_version": each.record.model_version,
                "finish_reason": each.record.finish_reason,
                "language": each.record.language,
                "blocked": _BLOCKED.get(each.record.error_reason or ""),
                "usage": _usage(each.record),
                "cost_usd": each.record.cost_usd,
                "inference_time": each.record.inference_time,
                "thumb": ("up" if thumbs[-1] else "down") if thumbs else None,
                "rating": grades[-1] if grades else None,
                "scores": [score_shown(kept.score) for kept in scores.get(each.trace_id, ())],
            }
        )
    return {"session_id": session_id, "turns": turns}


@router.post(
    "/feedback",
    response_model=FeedbackKept,
    summary="Say what you think of an answer",
    responses=refused_with(400, 401, 404, 408, 413, 429, 500, 503),
)
async def feedback(body: FeedbackBody, who: Annotated[Asking, Depends(asking)]) -> Response:
    """Keep a thumb or a grade for an answer that this key was given; the last word of each kind holds."""
    if (body.thumb is None) == (body.rating is None):
        raise HttpRefusal(
            "bad_request", "Give a thumb (up, down) or a rating (1 to 5), one of the two."
        )
    rating = RatingRecord(
        trace_id=body.trace_id,
        value=body.rating if body.rating is not None else body.thumb == "up",
        comment=body.comment or None,
        rated_ms=int(time.time() * 1000),
    )
    owner = who.caller.owner
    if not await who.state.desk.do(lambda connection: keep_rating(connection, owner, rating)):
        raise HttpRefusal(
            "trace_not_found", "No answer given to this key has that trace id.", param="trace_id"
        )
    return JSONResponse({"kept": True, "trace_id": body.trace_id})
