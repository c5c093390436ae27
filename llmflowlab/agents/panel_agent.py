"""Several models that work on one answer, as a model MLflow can serve: one answers, the next improves.

MLflow runs this file when the model is loaded (models from code).
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

from mlflow.pyfunc.model import ChatModel, PythonModelContext
from mlflow.types.llm import ChatCompletionChunk, ChatCompletionResponse, ChatMessage, ChatParams

from llmflowlab.agents.chat_payload import Chunks, conversation_of, response, shown, wishes_of
from llmflowlab.agents.config import AgentConfig, PanelConfig, Role, read_panel_config
from llmflowlab.agents.core import FILL, AgentCore, Reply, messages_of
from llmflowlab.agents.live import LiveProvider
from llmflowlab.agents.served import arrived, failures_for_mlflow, hand_over
from llmflowlab.agents.steps import Step, begin
from llmflowlab.agents.stop_words import cut
from llmflowlab.conversations import Conversation, Wishes
from llmflowlab.errors import ConfigurationError, ProviderError
from llmflowlab.messages import Message, Request
from llmflowlab.template import filled, refuse_unfilled

__all__ = ["PanelAgent"]


@dataclass(frozen=True, slots=True)
class _Panel:
    """The loaded roles, in their order."""

    config: PanelConfig
    cores: tuple[AgentCore, ...]


@dataclass(slots=True)
class _Work:
    """What became of one request so far; made anew for each."""

    reply: Reply | None = None
    author: str = ""
    """The role whose answer `reply` is."""
    roles: list[dict[str, Any]] = field(default_factory=list)
    fell_back: bool = False


class PanelAgent(ChatModel):
    """Asks its roles one after the other and returns the last answer that is good.

    The first role must answer. Where a later one fails, breaks off or says nothing, the answer before
    it is returned, and `custom_outputs` and the trace say so. A request's own parameters hold for
    every role, and its system message stands beneath each role's instruction.
    """

    def __init__(self) -> None:
        self._panel: _Panel | None = None

    def load_context(self, context: PythonModelContext) -> None:
        """Build the roles' providers.

        Raises:
            AgentFailed: The serving process lacks a key or address, or the model's configuration
                cannot be used.
        """
        arrived()
        with failures_for_mlflow():
            config = read_panel_config(context.model_config)
            alone = len({role.reference.provider for role in config.roles}) == 1
            self._panel = _Panel(
                config, tuple(_core(role, config, bare_key=alone) for role in config.roles)
            )

    def predict(  # type: ignore[override]  # ChatModel narrows PythonModel in the same way
        self, context: PythonModelContext, messages: list[ChatMessage], params: ChatParams
    ) -> ChatCompletionResponse:
        """Return the panel's answer.

        `custom_outputs` holds `roles` (name, model, `answered` or `failed`, tokens or the reason),
        `answered_by`, and `fallback`.

        Raises:
            AgentFailed: The request cannot be answered, or the first role failed.
        """
        with failures_for_mlflow():
            reply, remarks = self._answer(messages, params)
            return response(reply, remarks)

    def predict_stream(  # type: ignore[override]  # as above
        self, context: PythonModelContext, messages: list[ChatMessage], params: ChatParams
    ) -> Generator[ChatCompletionChunk, None, None]:
        """Yield the answer in one piece, then its end.

        Only a finished answer can be taken back in favour of the one before it.

        Raises:
            AgentFailed: As `predict`.
        """
        with failures_for_mlflow():
            reply, remarks = self._answer(messages, params)
            chunks = Chunks(reply.model)
            yield chunks.piece(reply.text)
            yield chunks.end(reply, remarks)

    def _answer(
        self, messages: list[ChatMessage], params: ChatParams
    ) -> tuple[Reply, dict[str, Any]]:
        panel = self._panel
        assert panel is not None, "MLflow calls load_context before predict"
        with begin(
            "panel_agent",
            shown(messages),
            traced=panel.config.tracing,
            attributes={"custom_inputs": params.custom_inputs},
            hide=panel.cores[0].hide,
        ) as step:
            conversation, wishes = conversation_of(messages), wishes_of(params)
            work = _Work()
            for role, core in zip(panel.config.roles, panel.cores, strict=True):
                request = _assembled(panel.config, role, core, conversation, wishes, work, step)
                _ask(role, core, request, work, step)
            return _concluded(work, wishes.stop, step)


def _core(role: Role, config: PanelConfig, *, bare_key: bool) -> AgentCore:
    live = LiveProvider(role.reference, key_file=config.key_file, bare_key=bare_key)
    own = AgentConfig(
        reference=role.reference,
        system_prompt=role.instruction,
        parameters=role.parameters,
        tracing=config.tracing,
        guardrails=config.guardrails,
    )
    return AgentCore(own, live)


def _assembled(
    config: PanelConfig,
    role: Role,
    core: AgentCore,
    conversation: Conversation,
    wishes: Wishes,
    work: _Work,
    step: Step,
) -> Request:
    """Put together what a role is sent: the conversation, and the answer it is to improve."""
    with step.step(f"conversation for {role.name}", "CHAIN") as assembling:
        values = wishes.custom_inputs or {}
        refuse_unfilled(role.instruction, (), values, what=f"The {role.name}", remedy=FILL)
        instruction = filled(role.instruction, values)
        system = "\n\n".join(text for text in (instruction, conversation.system) if text)
        if work.reply is not None:
            handover = config.handover.replace("{role}", work.author)
            added = (Message("assistant", work.reply.text), Message("user", handover))
            conversation = replace(conversation, messages=(*conversation.messages, *added))
        request = core.request(conversation, replace(wishes, stop=()), system=system)
        assembling.gave(messages_of(request))
    return request


def _ask(role: Role, core: AgentCore, request: Request, work: _Work, step: Step) -> None:
    """Ask a role; a failure of any but the first leaves the answer that is there.

    Raises:
        ProviderError: The first role failed.
        ConfigurationError: The first role cannot be used.
    """
    told: dict[str, Any] = {"name": role.name, "model": str(role.reference)}
    try:
        reply = core.answer(request, step, name=role.name)
    except (ProviderError, ConfigurationError) as exc:
        if work.reply is None:
            raise
        reason = exc.reason if isinstance(exc, ProviderError) else "not_configured"
        _fall_back(work, told, reason, exc.message)
        return
    unusable = _unusable(reply)
    if work.reply is not None and unusable is not None:
        tokens = work.reply.tokens + reply.tokens
        work.reply = replace(work.reply, tokens=tokens)
        _fall_back(work, told, *unusable)
        return
    work.roles.append(
        {
            **told,
            "state": "answered",
            "model_version": reply.model,
            "prompt_tokens": reply.tokens.prompt,
            "completion_tokens": reply.tokens.completion,
        }
    )
    if work.reply is not None:
        reply = replace(reply, tokens=work.reply.tokens + reply.tokens)
    work.reply, work.author = reply, role.name


def _unusable(reply: Reply) -> tuple[str, str] | None:
    """Say why an answer cannot take the place of the one before it."""
    if reply.finish_reason == "length":
        return "cut_off", "The answer was cut off at max_tokens."
    if reply.finish_reason == "safety":
        return "refused_by_safety", "The provider's filter stopped the answer."
    if not reply.text.strip():
        return "empty", "The answer was empty."
    return None


def _fall_back(work: _Work, told: dict[str, Any], reason: str, message: str) -> None:
    work.roles.append({**told, "state": "failed", "reason": reason, "error": message})
    work.fell_back = True


def _concluded(work: _Work, stop: tuple[str, ...], step: Step) -> tuple[Reply, dict[str, Any]]:
    assert work.reply is not None, "the first role answered or raised"
    # A draft is not what the caller wants ended.
    reply = replace(work.reply, text=cut(work.reply.text, stop))
    remarks = {"answered_by": work.author, "fallback": work.fell_back, "roles": work.roles}
    with step.step("answer", "CHAIN") as choosing:
        choosing.note(**remarks)
        choosing.gave(reply.text)
    step.note(fallback=work.fell_back, answered_by=work.author)
    step.gave(reply.text)
    return reply, remarks


with warnings.catch_warnings():
    # MLflow prefers another kind of agent; this one speaks OpenAI's chat protocol, as is wanted here.
    warnings.simplefilter("ignore", FutureWarning)
    hand_over(__name__, PanelAgent())
