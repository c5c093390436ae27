"""A candidate behind OpenAI's Responses protocol, as MLflow's own agent server speaks it.

The twin of `chat_agent.py`. MLflow runs this file when the model is loaded (models from code).
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any

from mlflow.pyfunc.model import PythonModelContext, ResponsesAgent
from mlflow.types.responses import (
    ResponsesAgentRequest,
    ResponsesAgentResponse,
    ResponsesAgentStreamEvent,
)

from llmflowlab.agents.config import read_agent_config
from llmflowlab.agents.core import AgentCore, Reply, messages_of
from llmflowlab.agents.served import arrived, failures_for_mlflow, hand_over
from llmflowlab.agents.steps import Step, begin
from llmflowlab.conversations import (
    Conversation,
    Wishes,
    read_conversation,
    read_parameters,
)
from llmflowlab.errors import InputError
from llmflowlab.messages import Request

__all__ = ["TwinAgent"]


class TwinAgent(ResponsesAgent):
    """Answers Responses requests as its candidate would.

    A request's `temperature`, `top_p` and `max_output_tokens` go before the candidate's; a system
    message among its `input` replaces the candidate's system prompt. `custom_inputs` fill the
    prompt's placeholders, and may hold `seed`.
    """

    def __init__(self) -> None:
        self._core: AgentCore | None = None

    def load_context(self, context: PythonModelContext) -> None:
        """Build the provider.

        Raises:
            AgentFailed: The serving process lacks the provider's key or address, or the model's
                configuration cannot be used.
        """
        arrived()
        with failures_for_mlflow():
            self._core = AgentCore(read_agent_config(context.model_config))

    def predict(  # type: ignore[override]  # ResponsesAgent narrows PythonModel in the same way
        self, request: ResponsesAgentRequest
    ) -> ResponsesAgentResponse:
        """Return the whole answer.

        Raises:
            AgentFailed: The request asks for something the lab's models do not do, the provider
                failed, or the answer broke off.
        """
        core = self._loaded()
        with (
            failures_for_mlflow(),
            begin(
                "responses_agent",
                _inputs(request),
                traced=core.config.tracing,
                hide=core.hide,
            ) as step,
        ):
            reply = core.answer(_assembled(core, request, step), step)
            step.gave(reply.text)
            item = self.create_text_output_item(reply.text, _new_id("msg"))
            return ResponsesAgentResponse(**_response(item, reply, _new_id("resp")))

    def predict_stream(  # type: ignore[override]  # as above
        self, request: ResponsesAgentRequest
    ) -> Generator[ResponsesAgentStreamEvent, None, None]:
        """Yield text as it comes, then the whole item, then the finished response with its usage.

        Raises:
            AgentFailed: As `predict`; what came before the failure was yielded.
        """
        core = self._loaded()
        item_id, response_id = _new_id("msg"), _new_id("resp")
        with (
            failures_for_mlflow(),
            begin(
                "responses_agent",
                _inputs(request),
                traced=core.config.tracing,
                hide=core.hide,
            ) as step,
            closing(core.stream(_assembled(core, request, step), step)) as parts,
        ):
            for part in parts:
                if not isinstance(part, Reply):
                    yield ResponsesAgentStreamEvent(**self.create_text_delta(part, item_id))
                    continue
                step.gave(part.text)
                item = self.create_text_output_item(part.text, item_id)
                yield _event("response.output_item.done", item=item)
                yield _event("response.completed", response=_response(item, part, response_id))

    def _loaded(self) -> AgentCore:
        assert self._core is not None, "MLflow calls load_context before predict"
        return self._core


def _new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


def _event(kind: str, **fields: Any) -> ResponsesAgentStreamEvent:
    return ResponsesAgentStreamEvent(**{"type": kind, **fields})


def _inputs(request: ResponsesAgentRequest) -> dict[str, Any]:
    return request.model_dump(exclude_none=True, include={"input", "custom_inputs"})


def _assembled(core: AgentCore, request: ResponsesAgentRequest, step: Step) -> Request:
    with step.step("conversation", "CHAIN") as assembling:
        assembled = core.request(_conversation(request), _wishes(request))
        assembling.gave(messages_of(assembled))
    return assembled


def _conversation(request: ResponsesAgentRequest) -> Conversation:
    items = [item.model_dump(exclude_none=True) for item in request.input]
    for item in items:
        if item.get("type", "message") != "message":
            raise InputError(
                f"The input holds an item of type {item['type']!r}; this model takes messages only."
            )
    return read_conversation(items)


def _wishes(request: ResponsesAgentRequest) -> Wishes:
    if request.tools or request.background:
        raise InputError("This model answers at once, without tools and stored conversations.")
    custom: Mapping[str, Any] = request.custom_inputs or {}
    asked = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_output_tokens,
        "seed": custom.get("seed"),
    }
    return Wishes(parameters=read_parameters(asked), custom_inputs=custom or None)


def _response(item: dict[str, Any], reply: Reply, response_id: str) -> dict[str, Any]:
    tokens = reply.tokens
    whole = reply.finish_reason == "stop"
    reason = "max_output_tokens" if reply.finish_reason == "length" else "content_filter"
    return {
        "id": response_id,
        "model": reply.model,
        "status": "completed" if whole else "incomplete",
        "incomplete_details": None if whole else {"reason": reason},
        "output": [item],
        "usage": {
            "input_tokens": tokens.prompt,
            # The protocol knows no "unknown" here.
            "input_tokens_details": {"cached_tokens": tokens.cached or 0},
            "output_tokens": tokens.completion,
            "output_tokens_details": {"reasoning_tokens": tokens.reasoning or 0},
            "total_tokens": tokens.total,
        },
        "custom_outputs": {"tokens_estimated": True} if tokens.estimated else None,
    }


hand_over(__name__, TwinAgent())
