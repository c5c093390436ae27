"""OpenAI's `/v1/responses`, for clients that speak it; nothing of a response is stored under its id."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from llmflowlab.agents.core import Reply
from llmflowlab.asking.metering import Tokens
from llmflowlab.errors import InputError
from llmflowlab.providers.base import FinishReason
from llmflowlab.service.answering_requests import answer_alone
from llmflowlab.service.entrance import Asking, asking, refused_with
from llmflowlab.service.event_stream import HEARTBEAT, EventStream, Whole, event
from llmflowlab.service.generation import Generation
from llmflowlab.service.http_refusals import HttpRefusal
from llmflowlab.service.json_body import json_body
from llmflowlab.service.openai_bodies import flag, name_of, sampling
from llmflowlab.service.openai_routes import TRACE_HEADER, said

if TYPE_CHECKING:
    from llmflowlab.agents.responses_payload import ResponseUnderWay

__all__ = ["preload", "router"]

router = APIRouter(prefix="/v1", tags=["openai"])

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["input"],
    "properties": {
        "model": {"type": ["string", "null"], "description": "One of GET /v1/models."},
        "input": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": "object"}},
            ]
        },
        "instructions": {"type": ["string", "null"]},
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
        "stream": {"type": ["boolean", "null"]},
    },
    "example": {"input": "What is a token?"},
}


def preload() -> None:
    """Import MLflow's types of the protocol, so that no request has to wait for them."""
    import llmflowlab.agents.responses_payload  # noqa: F401 - for its sake


@router.post(
    "/responses",
    summary="Answer a conversation, in the Responses protocol",
    responses={
        200: {"content": {"application/json": {}, "text/event-stream": {}}},
        **refused_with(400, 401, 404, 413, 429, 502, 503, 504),
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}
    },
)
async def responses(request: Request, who: Annotated[Asking, Depends(asking)]) -> Any:
    """Answer as OpenAI's Responses do. The header `x-llmflowlab-trace` names the answer's trace."""
    from llmflowlab.agents.responses_payload import (
        ResponseUnderWay,
        conversation_of,
        read_request,
        wishes_of,
    )

    begun, state = time.monotonic(), who.state
    document = await json_body(request)
    try:
        asked = read_request(document)
        conversation, wishes = conversation_of(asked), wishes_of(asked)
    except InputError as exc:
        raise HttpRefusal("bad_request", exc.message) from exc
    # As they were sent: MLflow's class makes numbers of texts, and has no place for the model.
    values = {name: document.get(name) for name in ("temperature", "top_p")}
    seed = wishes.parameters.seed
    parameters = sampling({**values, "max_tokens": document.get("max_output_tokens"), "seed": seed})
    offer, streamed = state.offer(name_of(document.get("model"))), flag(document, "stream")
    generation = await answer_alone(
        state,
        who.caller,
        offer,
        door="responses",
        messages=conversation.messages,
        system=conversation.system,
        parameters=parameters,
        custom_inputs=wishes.custom_inputs,
        stop=wishes.stop,
        begun=begun,
    )
    order = generation.order
    answering = ResponseUnderWay(
        asked, order.offer.name, id="resp_" + order.trace_id.removeprefix("tr-")
    )
    headers = {TRACE_HEADER: order.trace_id}
    if streamed:
        return EventStream(generation, _events(generation, answering), headers)

    async def whole() -> JSONResponse:
        refusal = generation.refusal
        if refusal is not None:
            return JSONResponse(refusal.body(), refusal.status, {**refusal.headers(), **headers})
        return JSONResponse(answering.document(_reply(generation)), headers=headers)

    return Whole(generation, whole)


def _reply(generation: Generation) -> Reply:
    record = generation.record
    assert record is not None
    reason: FinishReason = "stop"
    if record.state == "blocked" or record.finish_reason == "safety":
        reason = "safety"
    elif record.state in {"interrupted", "incomplete"} or record.finish_reason == "length":
        reason = "length"
    return Reply(
        text=said(generation),
        finish_reason=reason,
        tokens=Tokens(
            prompt=record.prompt_tokens or 0,
            completion=record.completion_tokens or 0,
            estimated=record.tokens_estimated,
            cached=record.cached_tokens,
            reasoning=record.reasoning_tokens,
        ),
        model=generation.order.offer.name,
    )


async def _events(
    generation: Generation, answering: ResponseUnderWay
) -> AsyncIterator[bytes | None]:
    for each in answering.begun():
        yield event(each, each["type"])
    async for piece in generation.pieces(HEARTBEAT):
        if piece is None:
            yield None
        elif piece.text:
            found = answering.piece(piece.text)
            yield event(found, found["type"])
    if generation.refusal is not None:
        # As OpenAI's own stream tells of a failure.
        error = generation.refusal.body()["error"]
        yield event({**error, "type": "error", "sequence_number": 0}, "error")
        return
    assert generation.record is not None
    reply = _reply(generation)
    if generation.record.state == "blocked":
        found = answering.piece(said(generation))
        yield event(found, found["type"])
    for each in answering.ended(reply):
        yield event(each, each["type"])
