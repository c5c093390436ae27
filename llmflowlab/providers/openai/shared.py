"""Chat completions: what OpenAI, servers like it and Azure have in common.

They go over HTTP alone (`chat_line.py`); lists of models and embeddings go over the openai SDK.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import NotConfigured
from llmflowlab.loading import load
from llmflowlab.messages import Request
from llmflowlab.providers.adapting import adapted
from llmflowlab.providers.arrival import field, name, the_answer, token_chances, usage, vectors
from llmflowlab.providers.base import (
    Embeddings,
    FinishReason,
    StreamEvent,
    require_requests_allowed,
)
from llmflowlab.providers.connections import unbuildable
from llmflowlab.providers.event_loop import OnLoop
from llmflowlab.providers.limits import limits_of
from llmflowlab.providers.openai.chat_line import ChatLine, Refused, line_errors, refusal_from
from llmflowlab.providers.openai.direct_post import direct_post
from llmflowlab.providers.reading import Reading
from llmflowlab.providers.refused_requests import Advice, Refusal
from llmflowlab.providers.vendor_errors import mapped_errors
from llmflowlab.providers.vendor_sdk import close_schema, http_client_and_lines, is_strict, quieten
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI

__all__ = ["FINISH_REASONS", "ChatCompletions"]

_RESOURCES = (
    "openai.lib.azure",
    "openai.resources.embeddings",
    "openai.resources.models",
)
"""What the SDK itself would import at a first call."""

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "safety",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
"""Every finish reason of the SDK; one it does not know counts as "other"."""

_MOST_TOLD = 20
"""First tokens whose chances are told: the most that OpenAI takes."""

_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details")


_COUNTS = (
    ("prompt_tokens",),
    ("completion_tokens",),
    ("prompt_tokens_details", "cached_tokens"),
    ("completion_tokens_details", "reasoning_tokens"),
)


class ChatCompletions(OnLoop[ChatLine]):
    """A model behind `chat/completions`; a subclass knows the address, the key and their names."""

    can_embed = True
    requirements = ("openai",)

    def __init__(self, model: str, settings: Settings, *, address: str) -> None:
        super().__init__(model.strip(), settings)
        self._address = address
        self._sdk_client: AsyncOpenAI | None = None

    @property
    @abstractmethod
    def _advice(self) -> Advice:
        """What to do about refusals."""

    @property
    @abstractmethod
    def _token_limit(self) -> str:
        """Name of the parameter that limits the answer's tokens."""

    @property
    @abstractmethod
    def _chat_url(self) -> str:
        """The whole address of chat completions."""

    @property
    @abstractmethod
    def _headers(self) -> dict[str, str]:
        """What says who asks, where the SDK would say it."""

    @abstractmethod
    def _build(self, http: Any) -> AsyncOpenAI:
        """Return the SDK's client over an HTTP client."""

    async def astream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        require_requests_allowed(self.display_name)
        line = self._client()
        arguments = self._arguments(request)
        reading = Reading(self, FINISH_REASONS)
        finished = False
        with line_errors(self, self._address, self._advice, reading):
            chunks = await adapted(
                lambda body: line.send(self._body(body)),
                arguments,
                provider=self,
                address=self._address,
                refused=Refused,
                refusal=attrgetter("refusal"),
            )
            self.limits = limits_of(chunks)
            async with chunks:
                async for chunk in chunks:
                    if finished:
                        continue
                    for event in _events(chunk, reading):
                        yield event
                    # Nothing is to come after these two; the caller need not wait for the line's end.
                    if reading.reason is not None and field(chunk, "usage") is not None:
                        finished = True
                        for event in reading.end(self._advice.address):
                            yield event
        if not finished:
            for event in reading.end(self._advice.address):
                yield event

    def _body(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        extra = arguments.get("extra_body") or {}
        sent = {k: v for k, v in arguments.items() if k != "extra_body"}
        return {"model": self.model, **sent, **extra}

    async def aembed(self, texts: Sequence[str]) -> Embeddings:
        require_requests_allowed(self.display_name)
        client = self._sdk_over(self._client())
        with self._mapped():
            found = await client.embeddings.create(
                model=self.model, input=list(texts), encoding_format="float"
            )
            items = list(found.data)
            places = [field(item, "index") for item in items]
            # Servers may return them in another order than they were asked for, or without numbers.
            if sorted(map(str, places)) == sorted(map(str, range(len(items)))):
                items.sort(key=lambda item: int(item.index))
            elif any(place is not None for place in places):
                raise ValueError("vectors of which nobody can tell whose they are")
            rows = vectors([item.embedding for item in items], len(texts))
            counted = usage(field(found, "usage", "prompt_tokens"), 0)
            return Embeddings(rows, counted, name(found.model))

    def _arguments(self, request: Request) -> dict[str, Any]:
        parameters = request.parameters
        messages = [{"role": "system", "content": request.system}] if request.system else []
        messages += [{"role": each.role, "content": each.content} for each in request.messages]
        given = {
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            self._token_limit: parameters.max_tokens,
            "seed": parameters.seed,
            "response_format": _response_format(request.response_schema),
            "logprobs": True if request.token_chances else None,
            "top_logprobs": _MOST_TOLD if request.token_chances else None,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        return {
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            **chosen,
        }

    def _make_client(self) -> ChatLine:
        try:
            http = load("httpx2")
        except ImportError as exc:
            raise self._missing("httpx2") from exc
        with unbuildable(provider=self):
            client, lines = http_client_and_lines(http.AsyncClient, self, self._address)
        url, headers = self._chat_url, self._headers
        return ChatLine(client, url, headers, direct_post(http, client, lines, url, headers))

    def _sdk_over(self, line: ChatLine) -> AsyncOpenAI:
        """Return the SDK's client, for all that is asked once in a while."""
        if self._sdk_client is None:
            with suppress(ImportError):
                # The SDK looks at every call whether somebody has it, and another provider's thread
                # may just be importing it.
                load("httpx")
            try:
                openai = self._sdk()
            except ImportError as exc:
                raise self._missing("openai") from exc
            quieten("openai")
            with unbuildable(openai.OpenAIError, provider=self):
                self._sdk_client = self._build(line.http)
        return self._sdk_client

    def _missing(self, package: str) -> NotConfigured:
        return NotConfigured(
            f"The package {package} is missing; run `pip install -r requirements.txt`.",
            provider=self.name,
        )

    @staticmethod
    def _sdk() -> Any:
        return load("openai", *_RESOURCES)

    def _mapped(self) -> AbstractContextManager[None]:
        """Turn what the SDK raises into our errors."""
        openai = self._sdk()
        return mapped_errors(
            openai,
            openai.OpenAIError,
            provider=self,
            address=self._address,
            advice=self._advice,
            refusal=_refusal,
            reading=None,
        )


def _events(chunk: object, reading: Reading) -> Iterator[StreamEvent]:
    reading.served(field(chunk, "model"), field(chunk, "system_fingerprint"))
    choice = the_answer(field(chunk, "choices"))
    delta = field(choice, "delta") or field(choice, "message")
    # Not OpenAI's own: vLLM, DeepSeek, OpenRouter and others stream their models' thoughts so; those
    # that send more than one of these send the same thought in each.
    for thoughts in _THOUGHTS:
        if thought := list(reading.take(field(delta, thoughts), thinking=True)):
            yield from thought
            break
    yield from reading.take(field(delta, "content"))
    reading.refused(field(delta, "refusal"))
    if told := field(choice, "logprobs", "content"):
        reading.first_token(token_chances(told))
    reading.ended(field(choice, "finish_reason"))
    if (sent := field(chunk, "usage")) is not None:
        yield reading.count(usage(*(field(sent, *path) for path in _COUNTS)))


def _response_format(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    closed = close_schema(schema)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", str(closed.get("title") or "answer"))[:64]
    form = {"name": name, "schema": closed, "strict": is_strict(closed)}
    return {"type": "json_schema", "json_schema": form}


def _refusal(exc: APIError) -> Refusal:
    response = getattr(exc, "response", None)
    return refusal_from(
        exc.body,
        status=getattr(exc, "status_code", None),
        headers=None if response is None else response.headers,
    )
