"""OpenAI's chat protocol in MLflow's values, to and from the lab's own."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from mlflow.types.llm import (
    ChatChoice,
    ChatChoiceDelta,
    ChatChunkChoice,
    ChatCompletionChunk,
    ChatCompletionResponse,
    ChatMessage,
    ChatParams,
    TokenUsageStats,
)

from llmflowlab.agents.core import Reply
from llmflowlab.asking.metering import Tokens
from llmflowlab.conversations import (
    Conversation,
    Wishes,
    read_conversation,
    read_parameters,
    read_stop,
)
from llmflowlab.errors import InputError

__all__ = ["Chunks", "conversation_of", "response", "shown", "wishes_of"]

_UNSET_TEMPERATURE = 1.0
"""What MLflow fills in where a request names no temperature; it cannot be told from a wish for 1.0."""

_PARAMETERS_AMONG_CUSTOM = ("temperature", "seed")
"""What `custom_inputs` may ask for: the protocol loses the one and MLflow lacks the other."""


def conversation_of(messages: Sequence[ChatMessage]) -> Conversation:
    """Return what was said.

    Raises:
        InputError: A message is of a kind that the lab's models do not take.
    """
    return read_conversation([{"role": m.role, "content": m.content} for m in messages])


def shown(messages: Sequence[ChatMessage]) -> dict[str, Any]:
    """Return what was asked as a trace shows it."""
    return {"messages": [{"role": m.role, "content": m.content} for m in messages]}


def wishes_of(params: ChatParams) -> Wishes:
    """Return what the request asks for.

    Raises:
        InputError: It asks for something the lab's models do not do.
    """
    if params.n != 1 or params.tools:
        raise InputError("This model answers once per request, without tools.")
    custom = params.custom_inputs or {}
    asked: dict[str, Any] = {"top_p": params.top_p, "max_tokens": params.max_tokens}
    if params.temperature != _UNSET_TEMPERATURE:
        asked["temperature"] = params.temperature
    for name in _PARAMETERS_AMONG_CUSTOM:
        if name in custom:
            asked[name] = custom[name]
    return Wishes(
        parameters=read_parameters(asked),
        custom_inputs=custom or None,
        stop=read_stop(params.stop),
    )


def response(reply: Reply, custom_outputs: dict[str, Any] | None = None) -> ChatCompletionResponse:
    """Return a whole answer."""
    return ChatCompletionResponse(
        id=_new_id(),
        model=reply.model,
        choices=[
            ChatChoice(
                message=ChatMessage(role="assistant", content=reply.text),
                finish_reason=reply.finish_reason,
            )
        ],
        usage=_usage(reply.tokens),
        custom_outputs=_with_remarks(reply, custom_outputs),
    )


class Chunks:
    """The chunks of one streamed answer.

    Args:
        model: Named in every chunk but the last, which names what was served.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._id = _new_id()

    def piece(self, text: str) -> ChatCompletionChunk:
        """Return a piece of the answer."""
        return self._chunk(text, self._model, None)

    def end(
        self, reply: Reply, custom_outputs: dict[str, Any] | None = None
    ) -> ChatCompletionChunk:
        """Return the last chunk: no text, but the reason of the end and the usage."""
        last = self._chunk("", reply.model, reply.finish_reason)
        last.usage = _usage(reply.tokens)
        last.custom_outputs = _with_remarks(reply, custom_outputs)
        return last

    def _chunk(self, text: str, model: str, reason: str | None) -> ChatCompletionChunk:
        delta = ChatChoiceDelta(role="assistant", content=text)
        return ChatCompletionChunk(
            id=self._id, model=model, choices=[ChatChunkChoice(delta=delta, finish_reason=reason)]
        )


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def _usage(tokens: Tokens) -> TokenUsageStats:
    return TokenUsageStats(
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        total_tokens=tokens.total,
    )


def _with_remarks(reply: Reply, custom_outputs: dict[str, Any] | None) -> dict[str, Any] | None:
    remarks = dict(custom_outputs or {})
    if reply.tokens.estimated:
        remarks["tokens_estimated"] = True
    return remarks or None
