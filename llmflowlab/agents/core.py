"""What all agents share: from a conversation to an answer, as in the chat, with every step traced."""

from __future__ import annotations

import queue
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from llmflowlab.agents.config import AgentConfig
from llmflowlab.agents.live import LiveProvider
from llmflowlab.agents.steps import Step
from llmflowlab.asking.calling import Answer, Cancellation, call, complete, policy_from
from llmflowlab.asking.pacing import Gate
from llmflowlab.conversations import Conversation, Wishes, filled, overlaid
from llmflowlab.errors import Interrupted
from llmflowlab.messages import Parameters, Request
from llmflowlab.providers.base import FinishReason, Provider, Rethought, StreamEvent, TextDelta
from llmflowlab.text.tokens import TokenCounter

__all__ = ["AgentCore", "Reply", "Tokens", "messages_of"]

_COUNTER = TokenCounter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of an answer; what the provider did not count is counted or estimated here."""

    prompt: int
    completion: int
    estimated: bool = False
    cached: int | None = None
    """The part of `prompt` read from the provider's cache; None where it did not say."""
    reasoning: int | None = None
    """The part of `completion` spent on hidden reasoning; None where it did not say."""

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def __add__(self, other: Tokens) -> Tokens:
        # Parts that one of the two does not know are unknown of both.
        known = None not in {self.cached, other.cached}
        cached = (self.cached or 0) + (other.cached or 0) if known else None
        known = None not in {self.reasoning, other.reasoning}
        reasoning = (self.reasoning or 0) + (other.reasoning or 0) if known else None
        return Tokens(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            estimated=self.estimated or other.estimated,
            cached=cached,
            reasoning=reasoning,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer."""

    text: str
    finish_reason: FinishReason
    tokens: Tokens
    model: str
    """What the provider says it served, else what was asked for."""


class AgentCore:
    """One candidate, ready to answer; keeps nothing of a request.

    Args:
        config: The candidate.
        live: Its provider; made from the configuration where none is handed in.

    Raises:
        NotConfigured: The provider's key or address is missing.
        ConfigurationError: The key file cannot be used.
        InputError: The configuration names no known provider.
    """

    def __init__(self, config: AgentConfig, live: LiveProvider | None = None) -> None:
        self.config = config
        self.live = live or LiveProvider(config.reference, key_file=config.key_file)
        # Here, where a server still starts, and not in its first request.
        self.live.use(lambda provider: provider.prepare())

    def request(
        self, conversation: Conversation, wishes: Wishes, *, system: str | None = None
    ) -> Request:
        """Return what the model is sent.

        Parameters of the request go before configured ones. So does a system message, unless `system`
        is handed in.
        """
        own = filled(self.config.system_prompt, wishes.custom_inputs)
        return Request(
            messages=conversation.messages,
            system=system or conversation.system or own,
            parameters=overlaid(self.config.parameters, wishes.parameters),
        )

    def answer(
        self, request: Request, step: Step, *, name: str = "model_call", gate: Gate | None = None
    ) -> Reply:
        """Return the whole answer.

        Args:
            request: What to send.
            step: The step that this call belongs to.
            name: The call's span.
            gate: Asked for leave before each try.

        Raises:
            ProviderError: The provider failed, or the answer broke off.
            ConfigurationError: The provider cannot be used as things are.
        """
        policy = policy_from(self.live.settings)
        with step.step(name, "CHAT_MODEL", self._inputs(request)) as calling:
            answer = self.live.use(
                lambda provider: complete(provider, request, policy=policy, gate=gate)
            )
            return self._reply(answer, request, calling)

    def stream(self, request: Request, step: Step) -> Generator[str | Reply, None, None]:
        """Yield the answer's pieces, and the whole of it at the end; closing it ends the call.

        Raises:
            ProviderError: The provider failed, or the answer broke off.
            ConfigurationError: The provider cannot be used as things are.
        """
        events: queue.SimpleQueue[StreamEvent | Future[Answer]] = queue.SimpleQueue()
        cancelled = Cancellation()
        policy = policy_from(self.live.settings)

        def ask(provider: Provider) -> Answer:
            return call(provider, request, policy=policy, on_event=events.put, cancelled=cancelled)

        with (
            step.step("model_call", "CHAT_MODEL", self._inputs(request)) as calling,
            ThreadPoolExecutor(1, thread_name_prefix="agent-stream") as pool,
        ):
            done = pool.submit(self.live.use, ask)
            done.add_done_callback(events.put)
            try:
                while not isinstance(event := events.get(), Future):
                    if isinstance(event, TextDelta):
                        yield event.text
                    elif isinstance(event, Rethought):
                        # What was sent on cannot be taken back; the tag tells whoever reads it.
                        yield event.mark
            finally:
                cancelled.set()
            answer = done.result()
            if answer.error is not None:
                raise answer.error
            if answer.state == "interrupted":
                raise Interrupted
            yield self._reply(answer, request, calling)

    def _reply(self, answer: Answer, request: Request, calling: Step) -> Reply:
        model = str(self.config.reference.model)
        tokens = _tokens(answer, request, model)
        calling.used(tokens.prompt, tokens.completion)
        calling.note(
            model=answer.model_version or model,
            finish_reason=answer.finish_reason,
            tokens_estimated=tokens.estimated,
            tries=answer.tries,
            waited_seconds=answer.waited,
            time_to_first_token=answer.time_to_first_token,
        )
        calling.gave({"choices": [{"message": {"role": "assistant", "content": answer.text}}]})
        return Reply(
            text=answer.text,
            finish_reason=answer.finish_reason or "stop",
            tokens=tokens,
            model=answer.model_version or model,
        )

    def _inputs(self, request: Request) -> dict[str, Any]:
        return {
            "model": str(self.config.reference),
            "messages": messages_of(request),
            **_named(request.parameters),
        }


def messages_of(request: Request) -> list[dict[str, str]]:
    """Return all that is sent, system prompt first, as `{"role", "content"}`."""
    system = [{"role": "system", "content": request.system}] if request.system else []
    return system + [{"role": m.role, "content": m.content} for m in request.messages]


def _named(parameters: Parameters) -> Mapping[str, Any]:
    named = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "max_tokens": parameters.max_tokens,
        "seed": parameters.seed,
    }
    return {name: value for name, value in named.items() if value is not None}


def _tokens(answer: Answer, request: Request, model: str) -> Tokens:
    prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
    estimated = prompt is None or completion is None
    if prompt is None:
        prompt = _COUNTER.count_messages(messages_of(request), model=model).value
    if completion is None:
        completion = _COUNTER.count(answer.reasoning + answer.text, model=model).value
    return Tokens(
        prompt=prompt,
        completion=completion,
        estimated=estimated,
        cached=answer.usage.cached_tokens,
        reasoning=answer.usage.reasoning_tokens,
    )
