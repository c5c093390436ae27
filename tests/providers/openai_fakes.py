"""What servers of OpenAI's protocol send, made for tests, and what the provider makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from openai.types.chat import ChatCompletionChunk

from llmflowlab.errors import (
    ProviderError,
)
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import (
    StreamEvent,
)
from llmflowlab.providers.openai.chat_line import ChatLine, Refused
from llmflowlab.providers.openai.provider import OpenAIProvider
from llmflowlab.settings import Settings, load_settings

KEY = "sk-not-a-real-key-1234567890"
HELLO = Request(messages=(Message("user", "Say hello"),))
SENT = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions")


def settings_of(tmp_path: Path, **environ: str) -> Settings:
    return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)


class FakeStream:
    """Stands where a `ChatReply` stands: yields chunks, then perhaps raises."""

    def __init__(self, chunks: list[Any], error: BaseException | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self.closed = False

    async def __aenter__(self) -> FakeStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.closed = True

    async def __aiter__(self) -> AsyncIterator[Any]:
        for chunk in self._chunks:
            yield chunk
        if self._error is not None:
            raise self._error


def answering(stream: Any) -> Any:
    """Return what stands where a `ChatLine` stands; whatever is sent brings this stream."""

    async def send(body: Any) -> Any:
        return stream

    return SimpleNamespace(send=send)


def chunk(text: str | None = None, finish: str | None = None, **delta: Any) -> ChatCompletionChunk:
    return ChatCompletionChunk.model_validate(
        {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "gpt-4.1-mini-2025-04-14",
            "choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}],
        }
    )


def events(
    provider: OpenAIProvider, *chunks: Any, error: BaseException | None = None
) -> list[StreamEvent]:
    """Return what the provider makes of chunks, or of an error after them."""
    stream = FakeStream(list(chunks), error)
    provider._client_made = answering(stream)
    return list(provider.stream(HELLO))


def refused(status: int, body: Any, **headers: str) -> Refused:
    """Return what becomes of an HTTP answer that is no success."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, json=body, headers=named)

    async def send() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
            await ChatLine(http, str(SENT.url), {}).send({})

    with pytest.raises(Refused) as caught:
        asyncio.run(send())
    return caught.value


def failure(provider: OpenAIProvider, error: BaseException, *chunks: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        events(provider, *chunks, error=error)
    return caught.value
