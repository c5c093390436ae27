"""What OpenAI's doors have in common: the answer to a conversation that the client keeps, whole or in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from starlette.responses import JSONResponse, Response

from llmflowlab.errors import Blocked
from llmflowlab.service.answering_requests import answer_alone
from llmflowlab.service.entrance import Asking
from llmflowlab.service.event_stream import EventStream, Whole
from llmflowlab.service.generation import Generation
from llmflowlab.service.openai_bodies import AnswerWish

__all__ = ["TRACE_HEADER", "answer", "finish_reason", "said"]

TRACE_HEADER = "x-llmflowlab-trace"
"""Names an answer's trace, for `POST /feedback`."""


async def answer(
    who: Asking,
    asked: AnswerWish,
    *,
    door: str,
    begun: float,
    frames: Callable[[Generation], AsyncIterator[bytes | None]],
    document: Callable[[Generation], dict[str, Any]],
) -> Response:
    """Answer in a protocol.

    Args:
        who: Who asks.
        asked: What was understood.
        door: The address.
        begun: When the request came.
        frames: Makes the stream's events.
        document: Makes the whole answer.

    Raises:
        HttpRefusal: There is no such model, or too much is under way.
    """
    generation = await answer_alone(
        who.state,
        who.caller,
        who.state.offer(asked.model),
        door=door,
        messages=asked.messages,
        system=asked.system,
        parameters=asked.parameters,
        custom_inputs=asked.custom_inputs,
        stop=asked.stop,
        begun=begun,
    )
    headers = {TRACE_HEADER: generation.order.trace_id}
    if asked.stream:
        return EventStream(generation, frames(generation), headers)

    async def whole() -> JSONResponse:
        refusal = generation.refusal
        if refusal is not None:
            # These shapes have no place for "as far as it came": a part must not pass for an answer.
            return JSONResponse(refusal.body(), refusal.status, {**refusal.headers(), **headers})
        return JSONResponse(document(generation), headers=headers)

    return Whole(generation, whole)


def finish_reason(generation: Generation) -> Literal["stop", "length", "safety"]:
    """Return why an answer ended, as far as OpenAI's protocols can say it."""
    record = generation.record
    assert record is not None
    if record.state == "blocked" or record.finish_reason == "safety":
        return "safety"
    cut = record.state in {"interrupted", "incomplete"} or record.finish_reason == "length"
    return "length" if cut else "stop"


def said(generation: Generation) -> str:
    """Return an answer, or the guardrails' word where they withhold it."""
    assert generation.record is not None
    error = None if generation.paid is None else generation.paid.error
    return error.message if isinstance(error, Blocked) else generation.record.answer
