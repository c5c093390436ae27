"""A candidate as a model MLflow can serve: the same call path as in the chat, no key inside.

MLflow runs this file when the model is loaded (models from code). What the model is comes from its
`model_config`; keys and addresses come from the process that serves it.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import AbstractContextManager, closing

from mlflow.pyfunc.model import ChatModel, PythonModelContext
from mlflow.types.llm import (
    ChatCompletionChunk,
    ChatCompletionResponse,
    ChatMessage,
    ChatParams,
)

from llmflowlab.agents.chat_payload import Chunks, conversation_of, response, shown, wishes_of
from llmflowlab.agents.config import read_agent_config
from llmflowlab.agents.core import AgentCore, Reply, messages_of
from llmflowlab.agents.served import arrived, failures_for_mlflow, hand_over
from llmflowlab.agents.steps import Step, begin
from llmflowlab.messages import Request

__all__ = ["ChatAgent"]


class ChatAgent(ChatModel):
    """Answers chat requests as its candidate would.

    A request's own `temperature` (other than MLflow's default of 1.0), `top_p` and `max_tokens` go
    before the candidate's; a system message in the request replaces the candidate's system prompt.
    `custom_inputs` fill the prompt's placeholders, and may hold `temperature` and `seed`.
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

    def predict(  # type: ignore[override]  # ChatModel narrows PythonModel in the same way
        self, context: PythonModelContext, messages: list[ChatMessage], params: ChatParams
    ) -> ChatCompletionResponse:
        """Return the whole answer.

        Raises:
            AgentFailed: The request asks for something the lab's models do not do, the provider
                failed, or the answer broke off.
        """
        core = self._loaded()
        with failures_for_mlflow(), _begun(core, messages, params) as step:
            request = _assembled(core, messages, params, step)
            reply = core.answer(request, step)
            step.gave(reply.text)
            return response(reply)

    def predict_stream(  # type: ignore[override]  # as above
        self, context: PythonModelContext, messages: list[ChatMessage], params: ChatParams
    ) -> Generator[ChatCompletionChunk, None, None]:
        """Yield the answer piece by piece, its usage with the last one.

        Closing the generator ends the call.

        Raises:
            AgentFailed: As `predict`; what came before the failure was yielded.
        """
        core = self._loaded()
        chunks = Chunks(str(core.config.reference.model))
        with failures_for_mlflow(), _begun(core, messages, params) as step:
            request = _assembled(core, messages, params, step)
            with closing(core.stream(request, step)) as parts:
                for part in parts:
                    if isinstance(part, Reply):
                        step.gave(part.text)
                        yield chunks.end(part)
                    else:
                        yield chunks.piece(part)

    def _loaded(self) -> AgentCore:
        assert self._core is not None, "MLflow calls load_context before predict"
        return self._core


def _begun(
    core: AgentCore, messages: list[ChatMessage], params: ChatParams
) -> AbstractContextManager[Step]:
    return begin(
        "chat_agent",
        shown(messages),
        traced=core.config.tracing,
        hide=core.hide,
        attributes={"prompt": core.config.prompt, "custom_inputs": params.custom_inputs},
    )


def _assembled(
    core: AgentCore, messages: list[ChatMessage], params: ChatParams, step: Step
) -> Request:
    with step.step("conversation", "CHAIN") as assembling:
        request = core.request(conversation_of(messages), wishes_of(params))
        assembling.gave(messages_of(request))
    return request


with warnings.catch_warnings():
    # MLflow prefers another kind of agent; this one speaks OpenAI's chat protocol, as is wanted here.
    warnings.simplefilter("ignore", FutureWarning)
    hand_over(__name__, ChatAgent())
