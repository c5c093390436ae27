"""OpenAI's `/v1/chat/completions` and `/v1/models`, for clients that speak them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from llmflowlab.service.entrance import Asking, asking, refused_with
from llmflowlab.service.event_stream import HEARTBEAT, event
from llmflowlab.service.generation import AnswerPiece, Generation
from llmflowlab.service.json_body import json_body
from llmflowlab.service.openai_answers import answer, finish_reason, said
from llmflowlab.service.openai_bodies import COMPLETION_SCHEMA, read_completion

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["openai"])


@router.get("/models", summary="The models on offer", responses=refused_with(401, 429, 500, 503))
async def models(who: Annotated[Asking, Depends(asking)]) -> Any:
    """List the models; the first answers where a request names none.

    Under `llmflowlab` stand the model behind the name, the prompt of the registry that it answers with, if
    any, and whether guardrails look at what goes in and out. `custom_inputs` are the variables of its prompt that every request has to fill.
    """
    return JSONResponse(
        {
            "object": "list",
            "data": [
                {
                    "id": name,
                    "object": "model",
                    "created": who.state.started,
                    "owned_by": offer.candidate.supplier,
                    "llmflowlab": {
                        "model": offer.candidate.model,
                        "prompt": offer.candidate.prompt,
                        "guarded": offer.guarded,
                    },
                    **({"custom_inputs": list(offer.inputs)} if offer.inputs else {}),
                }
                for name, offer in who.state.offers.items()
            ],
        }
    )


@router.post(
    "/chat/completions",
    summary="Answer a conversation",
    responses={
        200: {"content": {"application/json": {}, "text/event-stream": {}}},
        **refused_with(400, 401, 404, 408, 413, 429, 500, 502, 503, 504),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": COMPLETION_SCHEMA}},
        }
    },
)
async def completions(request: Request, who: Annotated[Asking, Depends(asking)]) -> Any:
    """Answer as OpenAI's chat completions do.

    The header `x-llmflowlab-trace` names the answer's trace; what else is known of it stands under
    `llmflowlab`.
    """
    begun = time.monotonic()
    asked = read_completion(await json_body(request))
    return await answer(
        who,
        asked,
        door="chat.completions",
        begun=begun,
        frames=partial(_chunks, usage=asked.usage_in_stream),
        document=_completion,
    )


def _head(generation: Generation, kind: str) -> dict[str, Any]:
    order = generation.order
    return {
        "id": "chatcmpl-" + order.trace_id.removeprefix("tr-"),
        "object": kind,
        "created": int(time.time()),
        "model": order.offer.name,
    }


def _completion(generation: Generation) -> dict[str, Any]:
    record = generation.record
    assert record is not None
    message: dict[str, Any] = {"role": "assistant", "content": said(generation), "refusal": None}
    if record.reasoning:
        message["reasoning_content"] = record.reasoning
    return {
        **_head(generation, "chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": _reason(generation),
            }
        ],
        "usage": _usage(generation),
        "llmflowlab": _known(generation),
    }


def _reason(generation: Generation) -> str:
    reason = finish_reason(generation)
    return "content_filter" if reason == "safety" else reason


def _known(generation: Generation) -> dict[str, Any]:
    """Return what is known of an answer beside what OpenAI's shape has a place for."""
    record = generation.record
    assert record is not None
    return {
        "trace_id": record.trace_id,
        "state": record.state,
        "model_version": record.model_version,
        "cost_usd": record.cost_usd,
        "tokens_estimated": record.tokens_estimated,
        "violations": record.violations,
        "seconds": time.monotonic() - generation.order.begun,
        "time_to_first_token": generation.first_token,
    }


def _usage(generation: Generation) -> dict[str, Any]:
    record = generation.record
    assert record is not None
    usage: dict[str, Any] = {
        "prompt_tokens": record.prompt_tokens or 0,
        "completion_tokens": record.completion_tokens or 0,
        "total_tokens": record.total_tokens or 0,
    }
    if record.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": record.cached_tokens}
    if record.reasoning_tokens is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": record.reasoning_tokens}
    return usage


async def _chunks(generation: Generation, *, usage: bool) -> AsyncIterator[bytes | None]:
    head = _head(generation, "chat.completion.chunk")

    def chunk(delta: Mapping[str, Any], reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return event({**head, "choices": [choice], **more})

    unknown = {"usage": None} if usage else {}
    yield chunk({"role": "assistant", "content": "", "refusal": None}, **unknown)
    async for piece in generation.pieces(HEARTBEAT):
        if piece is None:
            yield None
        elif not piece.withdrawn:
            yield chunk(_delta(piece), **unknown)
    if generation.refusal is not None:
        yield event(generation.refusal.body())
        return
    assert generation.record is not None
    if generation.record.state == "blocked":
        yield chunk({"content": said(generation)}, **unknown)
    yield chunk({}, _reason(generation), llmflowlab=_known(generation), **unknown)
    if usage:
        yield event({**head, "choices": [], "usage": _usage(generation)})
    yield event("[DONE]")


def _delta(piece: AnswerPiece) -> dict[str, str]:
    return {"reasoning_content": piece.thinking} if piece.thinking else {"content": piece.text}
