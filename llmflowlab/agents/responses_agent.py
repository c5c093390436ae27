"""A candidate behind OpenAI's Responses protocol, as MLflow's own agent server speaks it.

The twin of `chat_agent.py`. MLflow runs this file when the model is loaded (models from code).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, closing
from typing import Any

from mlflow.pyfunc.model import PythonModelContext, ResponsesAgent
from mlflow.types.responses import (
    ResponsesAgentRequest,
    ResponsesAgentResponse,
    ResponsesAgentStreamEvent,
)

from llmflowlab.agents.config import read_agent_config
from llmflowlab.agents.core import AgentCore, Reply, messages_of
from llmflowlab.agents.responses_payload import (
    Answered,
    Asked,
    ResponseUnderWay,
    asked_of,
    conversation_of,
    shown,
    take_whole_requests,
    wishes_of,
)
from llmflowlab.agents.served import arrived, failures_for_mlflow, hand_over
from llmflowlab.agents.steps import Step, begin
from llmflowlab.messages import Request

__all__ = ["TwinAgent"]


class _Answers:
    """What a twin does; apart from its class, whose own methods MLflow would trace beside ours."""

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

    def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        """Return the whole answer.

        Raises:
            AgentFailed: The request asks for something the lab's models do not do, the provider
                failed, or the answer broke off.
        """
        core = self._loaded()
        with failures_for_mlflow():
            asked = asked_of(request)
        with failures_for_mlflow(), _begun(core, asked) as step:
            assembled = _assembled(core, asked, step)
            reply = core.answer(assembled, step)
            step.gave(reply.text)
            answering = _under_way(core, asked, assembled)
            return Answered(**answering.document(reply))

    def predict_stream(
        self, request: ResponsesAgentRequest
    ) -> Generator[ResponsesAgentStreamEvent, None, None]:
        """Yield the events of the protocol: what began, text as it comes, the whole of it and its usage.

        Raises:
            AgentFailed: As `predict`; what came before the failure was yielded.
        """
        core = self._loaded()
        with failures_for_mlflow():
            asked = asked_of(request)
        with failures_for_mlflow(), _begun(core, asked) as step:
            assembled = _assembled(core, asked, step)
            answering = _under_way(core, asked, assembled)
            with closing(core.stream(assembled, step)) as parts:
                begun = False
                for part in parts:
                    if not begun:
                        # Not before the provider said something: until then a failure has its status.
                        yield from map(_event, answering.begun())
                        begun = True
                    if isinstance(part, Reply):
                        step.gave(part.text)
                        yield from map(_event, answering.ended(part))
                    else:
                        yield _event(answering.piece(part))

    def _loaded(self) -> AgentCore:
        assert self._core is not None, "MLflow calls load_context before predict"
        return self._core


class TwinAgent(_Answers, ResponsesAgent):  # type: ignore[misc]  # narrows predict as ResponsesAgent does
    """Answers Responses requests as its candidate would.

    A request's `temperature`, `top_p` and `max_output_tokens` go before the candidate's; its
    `instructions` and the system messages among its `input` replace the candidate's system prompt.
    `custom_inputs` fill the prompt's placeholders, and may hold `seed`. `stop` ends the answer.
    """

    takes_whole_requests = True


def _event(document: dict[str, Any]) -> ResponsesAgentStreamEvent:
    return ResponsesAgentStreamEvent(**document)


def _under_way(core: AgentCore, asked: Asked, assembled: Request) -> ResponseUnderWay:
    return ResponseUnderWay(asked, str(core.config.reference.model), assembled.parameters)


def _begun(core: AgentCore, asked: Asked) -> AbstractContextManager[Step]:
    return begin(
        "responses_agent",
        shown(asked),
        traced=core.config.tracing,
        attributes={"prompt": core.config.prompt},
        hide=core.hide,
    )


def _assembled(core: AgentCore, asked: Asked, step: Step) -> Request:
    with step.step("conversation", "CHAIN") as assembling:
        assembled = core.request(conversation_of(asked), wishes_of(asked))
        assembling.gave(messages_of(assembled))
    return assembled


take_whole_requests()
hand_over(__name__, TwinAgent())
