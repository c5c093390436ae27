"""What all agents share: from a conversation to an answer, as in the chat, with every step traced."""

from __future__ import annotations

import queue
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from llmflowlab.agents.config import AgentConfig
from llmflowlab.agents.live import LiveProvider
from llmflowlab.agents.steps import Step
from llmflowlab.agents.stop_words import StopWords, cut
from llmflowlab.agents.trace_delivery import warm
from llmflowlab.asking.calling import Cancellation, policy_from
from llmflowlab.asking.metering import Metering, Tokens
from llmflowlab.asking.pacing import Gate
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.conversations import Conversation, Wishes, overlaid
from llmflowlab.errors import AuthenticationFailed, Blocked, InputError, NotConfigured
from llmflowlab.guardrails.checking import preload
from llmflowlab.guardrails.guarded import asker_for, guard_of
from llmflowlab.guardrails.masking import hidden
from llmflowlab.messages import Request
from llmflowlab.providers.base import FinishReason, Provider, Rethought, StreamEvent, TextDelta
from llmflowlab.providers.factory import build, is_free
from llmflowlab.settings import Settings
from llmflowlab.template import filled, refuse_unfilled, spoken
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter

__all__ = ["FILL", "AgentCore", "Reply", "messages_of"]

FILL = "name it in the custom_inputs of the request"
"""What to do about a variable without a value."""

_COUNTER = TokenCounter()


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
        self._metering = _metering(self.live.settings)
        named = (config.guardrails or {}).get("detector")
        self._detectors = {} if named is None else {named: build(named, self.live.settings)}
        self.hide = None if config.guardrails is None else hidden
        """Makes of a step's values what traces may keep."""
        # Here, where a server still starts, and not in its first request.
        self.live.use(self._prepare)
        if config.guardrails is not None:
            preload()
        if config.tracing:
            warm()

    def _prepare(self, provider: Provider) -> None:
        wanted = self.config.weights
        if wanted is not None and provider.weights != wanted:
            raise NotConfigured(
                f"This model was made of {wanted['file']} with the SHA-256 {wanted['sha256']}, and "
                f"the file of that name in {provider.settings.models_dir} is another one; put the "
                "right one there.",
                provider=provider.name,
            )
        provider.prepare()

    def request(
        self, conversation: Conversation, wishes: Wishes, *, system: str | None = None
    ) -> Request:
        """Return what the model is sent.

        Parameters of the request go before configured ones. So does a system message, unless `system`
        is handed in.

        Raises:
            InputError: A variable of the prompt has no value.
        """
        config = self.config
        values = {**(config.values or {}), **(wishes.custom_inputs or {})}
        own = None if system or conversation.system else config.system_prompt
        refuse_unfilled(own, config.messages, values, what="The agent's prompt", remedy=FILL)
        return Request(
            messages=spoken(config.messages, conversation.messages, values),
            system=system or conversation.system or filled(own, values),
            parameters=overlaid(self.config.parameters, wishes.parameters),
            stop=wishes.stop,
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
        with step.step(name, "CHAT_MODEL", self._inputs(request)) as calling:
            cancelled = Cancellation()
            stop = StopWords(request.stop, cancelled, lambda event: None)
            on_event = stop.event if request.stop else None

            def ask(provider: Provider) -> Paid:
                asker = self._asker(provider, gate)
                return _heard(asker.ask_blocking(request, on_event=on_event, cancelled=cancelled))

            return self._reply(self.live.use(ask), request, calling)

    def stream(self, request: Request, step: Step) -> Generator[str | Reply, None, None]:
        """Yield the answer's pieces, and the whole of it at the end; closing it ends the call.

        Raises:
            ProviderError: The provider failed, or the answer broke off.
            ConfigurationError: The provider cannot be used as things are.
        """
        events: queue.SimpleQueue[StreamEvent | Future[Paid]] = queue.SimpleQueue()
        cancelled = Cancellation()
        stop = StopWords(request.stop, cancelled, events.put)

        def ask(provider: Provider) -> Paid:
            asker = self._asker(provider)
            try:
                return _heard(asker.ask_blocking(request, on_event=stop.event, cancelled=cancelled))
            finally:
                stop.finish()

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
            paid = done.result()
            if isinstance(paid.error, Blocked):
                yield paid.error.message
            yield self._reply(paid, request, calling)

    def _asker(self, provider: Provider, gate: Gate | None = None) -> Asker:
        policy, metering = policy_from(self.live.settings), self._metering
        guard = guard_of(
            self.config.guardrails, self._detectors, policy=policy, metering=metering, served=True
        )
        return asker_for(provider, guard, policy=policy, metering=metering, gate=gate)

    def _reply(self, paid: Paid, request: Request, calling: Step) -> Reply:
        model = str(self.config.reference.model)
        # Noted of a call that failed as well: it may have been paid for.
        if paid.prompt_tokens is not None or paid.completion_tokens is not None:
            calling.used(paid.prompt_tokens or 0, paid.completion_tokens or 0)
        calling.note(
            tokens_estimated=paid.tokens_estimated,
            cost_usd=None if paid.spent is None else float(paid.spent),
            wasted_usd=float(paid.wasted) if paid.wasted else None,
            tries=paid.tries,
            waited_seconds=paid.waited,
        )
        if paid.violations:
            calling.note(**{"llmflowlab.guardrails": list(paid.violations)})
        tokens = Tokens(
            prompt=paid.prompt_tokens or 0,
            completion=paid.completion_tokens or 0,
            estimated=paid.tokens_estimated,
            cached=paid.cached_tokens,
            reasoning=paid.reasoning_tokens,
        )
        if isinstance(paid.error, Blocked):
            calling.note(finish_reason="safety", blocked=paid.error.reason)
            return Reply(
                text=paid.error.message, finish_reason="safety", tokens=tokens, model=model
            )
        text = "" if paid.answer is None else cut(paid.answer.text, request.stop)
        stopped = paid.answer is not None and text != paid.answer.text
        answer = paid.answer if paid.answer is not None and stopped else paid.whole()
        reason: FinishReason = "stop" if stopped else answer.finish_reason or "stop"
        calling.note(
            model=answer.model_version or model,
            finish_reason=reason,
            time_to_first_token=answer.time_to_first_token,
        )
        calling.gave({"choices": [{"message": {"role": "assistant", "content": text}}]})
        return Reply(
            text=text,
            finish_reason=reason,
            tokens=tokens,
            model=answer.model_version or model,
        )

    def _inputs(self, request: Request) -> dict[str, Any]:
        return {
            "model": str(self.config.reference),
            "messages": messages_of(request),
            **request.parameters.given(),
        }


def messages_of(request: Request) -> list[dict[str, str]]:
    """Return all that is sent, system prompt first, as `{"role", "content"}`."""
    return request.openai_messages()


def _heard(paid: Paid) -> Paid:
    """Return what came of a call.

    Raises:
        AuthenticationFailed: The key was refused; there may be a new one.
    """
    if isinstance(paid.error, AuthenticationFailed):
        raise paid.error
    return paid


def _metering(settings: Settings) -> Metering:
    try:
        prices = Prices(settings, is_free=is_free)
    except InputError:
        # What a price file says is worth no answer: the cost is unknown then.
        return Metering(_COUNTER)
    prices.preload()
    return Metering(_COUNTER, prices)
