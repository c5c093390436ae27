"""OpenAI's `/v1/responses`, for clients that speak it; nothing of a response is stored under its id."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request

from llmflowlab.agents.core import Reply
from llmflowlab.asking.metering import Tokens
from llmflowlab.service.entrance import Asking, asking, refused_with
from llmflowlab.service.event_stream import HEARTBEAT, event
from llmflowlab.service.generation import Generation
from llmflowlab.service.json_body import json_body
from llmflowlab.service.openai_answers import answer, finish_reason, said
from llmflowlab.service.responses_bodies import RESPONSES_SCHEMA, read_responses_request

if TYPE_CHECKING:
    from llmflowlab.agents.responses_payload import ResponseUnderWay

__all__ = ["preload", "router"]

router = APIRouter(prefix="/v1", tags=["openai"])


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
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": RESPONSES_SCHEMA}},
        }
    },
)
async def responses(request: Request, who: Annotated[Asking, Depends(asking)]) -> Any:
    """Answer as OpenAI's Responses do. The header `x-llmflowlab-trace` names the answer's trace."""
    # Imported here: it imports MLflow.
    from llmflowlab.agents.responses_payload import ResponseUnderWay

    begun = time.monotonic()
    asked, wish = read_responses_request(await json_body(request))

    def answering(generation: Generation) -> ResponseUnderWay:
        order = generation.order
        return ResponseUnderWay(
            asked,
            order.offer.name,
            order.request.parameters,
            id="resp_" + order.trace_id.removeprefix("tr-"),
            created_at=int(time.time() - (time.monotonic() - order.begun)),
        )

    return await answer(
        who,
        wish,
        door="responses",
        begun=begun,
        frames=lambda generation: _events(generation, answering(generation)),
        document=lambda generation: answering(generation).document(_reply(generation)),
    )


def _reply(generation: Generation) -> Reply:
    record = generation.record
    assert record is not None
    return Reply(
        text=said(generation),
        finish_reason=finish_reason(generation),
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
        yield event(answering.failed(generation.refusal.body()["error"]), "error")
        return
    assert generation.record is not None
    reply = _reply(generation)
    if generation.record.state == "blocked":
        found = answering.piece(said(generation))
        yield event(found, found["type"])
    for each in answering.ended(reply):
        yield event(each, each["type"])
