"""A candidate as a model MLflow can serve: the same call path as in the chat, no key inside.

MLflow runs this file when the model is loaded (models from code). What the model is comes from its
`model_config`; keys and addresses come from the environment of the process that serves it.
"""

from __future__ import annotations

import queue
import uuid
import warnings
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc.model import ChatModel, PythonModelContext
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

from llmflowlab.errors import InputError
from llmflowlab.providers.base import Message, Parameters, Provider, Request, StreamEvent, TextDelta
from llmflowlab.providers.calling import Answer, Cancellation, call, complete, policy_from
from llmflowlab.providers.factory import ModelReference, build
from llmflowlab.settings import load_settings
from llmflowlab.text.tokens import TokenCounter

__all__ = ["ChatAgent"]

_UNSET_TEMPERATURE = 1.0
"""What MLflow fills in where a request names no temperature; it cannot be told from a wish for 1.0."""

_COUNTER = TokenCounter()


class ChatAgent(ChatModel):
    """Answers chat requests as its candidate would.

    A request's own `temperature` (other than MLflow's default of 1.0), `top_p` and `max_tokens` go
    before the candidate's; a system message in the request replaces the candidate's system prompt.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Build the provider.

        Raises:
            NotConfigured: The serving process lacks the provider's key or address.
            InputError: The model's configuration names no known provider.
        """
        config: dict[str, Any] = context.model_config or {}
        self._settings = load_settings(stdin_is_terminal=False)
        reference = ModelReference(config["provider"], config["model"])
        self._provider: Provider = build(reference, self._settings)
        self._system: str | None = config.get("system_prompt")
        self._parameters = Parameters(**(config.get("parameters") or {}))

    def predict(  # type: ignore[override]  # ChatModel narrows PythonModel in the same way
        self, context: PythonModelContext, messages: list[ChatMessage], params: ChatParams
    ) -> ChatCompletionResponse:
        """Return the whole answer.

        Raises:
            InputError: The request asks for something the lab's models do not do.
            ProviderError: The provider failed, or the answer broke off.
        """
        request = self._request(messages, params)
        answer = complete(self._provider, request, policy=policy_from(self._settings))
        return ChatCompletionResponse(
            id=f"chatcmpl-{uuid.uuid4().hex}",
            model=answer.model_version or self._provider.model,
            choices=[
                ChatChoice(
                    message=ChatMessage(role="assistant", content=answer.text),
                    finish_reason=answer.finish_reason or "stop",
                )
            ],
            usage=_usage(answer, request, self._provider.model),
        )

    def predict_stream(  # type: ignore[override]  # as above
        self, context: PythonModelContext, messages: list[ChatMessage], params: ChatParams
    ) -> Generator[ChatCompletionChunk, None, None]:
        """Yield the answer piece by piece, its usage with the last one.

        Closing the generator ends the call.

        Raises:
            InputError: The request asks for something the lab's models do not do.
            ProviderError: The provider failed, or the answer broke off.
        """
        request = self._request(messages, params)
        events: queue.SimpleQueue[StreamEvent | Future[Answer]] = queue.SimpleQueue()
        cancelled = Cancellation()
        chunk_id = f"chatcmpl-{uuid.uuid4().hex}"

        def chunk(text: str, reason: str | None = None) -> ChatCompletionChunk:
            delta = ChatChoiceDelta(role="assistant", content=text)
            return ChatCompletionChunk(
                id=chunk_id,
                model=self._provider.model,
                choices=[ChatChunkChoice(delta=delta, finish_reason=reason)],
            )

        with ThreadPoolExecutor(1, thread_name_prefix="chat-agent") as pool:
            done = pool.submit(
                call,
                self._provider,
                request,
                policy=policy_from(self._settings),
                on_event=events.put,
                cancelled=cancelled,
            )
            done.add_done_callback(events.put)
            try:
                while not isinstance(event := events.get(), Future):
                    if isinstance(event, TextDelta):
                        yield chunk(event.text)
            finally:
                cancelled.set()
        answer = done.result()
        if answer.error is not None:
            raise answer.error
        last = chunk("", answer.finish_reason or "stop")
        last.model = answer.model_version or self._provider.model
        last.usage = _usage(answer, request, self._provider.model)
        yield last

    def _request(self, messages: list[ChatMessage], params: ChatParams) -> Request:
        if params.n != 1 or params.stop or params.tools:
            raise InputError("This model answers once per request, without tools and stop words.")
        system = [_text(m) for m in messages if m.role in {"system", "developer"}]
        said = [m for m in messages if m.role not in {"system", "developer"}]
        if not said:
            raise InputError("The request holds no user message; send at least one.")
        mine = self._parameters
        asked = None if params.temperature == _UNSET_TEMPERATURE else params.temperature
        return Request(
            messages=tuple(_message(m) for m in said),
            system="\n\n".join(system) or self._system,
            parameters=Parameters(
                temperature=mine.temperature if asked is None else asked,
                top_p=mine.top_p if params.top_p is None else params.top_p,
                max_tokens=mine.max_tokens if params.max_tokens is None else params.max_tokens,
                seed=mine.seed,
            ),
        )


def _message(message: ChatMessage) -> Message:
    if message.role == "user":
        return Message("user", _text(message))
    if message.role == "assistant":
        return Message("assistant", _text(message))
    raise InputError(f"A message has the role {message.role!r}; use system, user or assistant.")


def _text(message: ChatMessage) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content or [] if part.get("type") == "text"]
    if content is None or len(parts) != len(content):
        raise InputError("A message holds something other than text; this model takes text only.")
    return "\n".join(str(part) for part in parts)


def _usage(answer: Answer, request: Request, model: str) -> TokenUsageStats:
    """Return the provider's counts; what it does not count is counted or estimated here."""
    prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
    if prompt is None:
        said = [{"role": m.role, "content": m.content} for m in request.messages]
        system = [{"role": "system", "content": request.system}] if request.system else []
        prompt = _COUNTER.count_messages([*system, *said], model=model).value
    if completion is None:
        completion = _COUNTER.count(answer.reasoning + answer.text, model=model).value
    return TokenUsageStats(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )


with warnings.catch_warnings():
    # MLflow prefers another kind of agent; this one speaks OpenAI's chat protocol, as is wanted here.
    warnings.simplefilter("ignore", FutureWarning)
    set_model(ChatAgent())
