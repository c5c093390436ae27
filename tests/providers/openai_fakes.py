"""The OpenAI SDK's own types, made for tests, and what the provider makes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import openai.lib.azure
import pytest
from openai.types.chat import ChatCompletionChunk

from llmflowlab.errors import (
    ProviderError,
)
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import (
    StreamEvent,
)
from llmflowlab.providers.openai.provider import OpenAIProvider
from llmflowlab.settings import Settings, load_settings

KEY = "sk-not-a-real-key-1234567890"
HELLO = Request(messages=(Message("user", "Say hello"),))
SENT = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions")


def settings_of(tmp_path: Path, **environ: str) -> Settings:
    return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)


class FakeStream:
    """Stands where the SDK's stream stands: yields chunks, then perhaps raises."""

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
    """Return what stands where the SDK's client stands; whatever is sent brings this stream."""

    async def post(path: str, *, body: Any, **options: Any) -> Any:
        assert path == "/chat/completions"
        return stream

    return SimpleNamespace(post=post)


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
    """Return what the provider makes of the SDK's chunks, or of an error after them."""
    stream = FakeStream(list(chunks), error)
    provider._client_made = answering(stream)
    return list(provider.stream(HELLO))


def refused(status: int, body: Any, **headers: str) -> openai.APIStatusError:
    """Return the SDK's exception for an HTTP answer, made by the SDK itself."""
    response = httpx2.Response(
        status,
        request=SENT,
        json=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9")
    try:
        return client._make_status_error_from_response(response)
    finally:
        client.close()


def failure(provider: OpenAIProvider, error: BaseException, *chunks: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        events(provider, *chunks, error=error)
    return caught.value
