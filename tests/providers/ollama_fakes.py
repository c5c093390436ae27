"""The Ollama SDK's own types, made for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any, cast

import ollama

from llmflowlab.messages import Message, Request
from llmflowlab.providers.ollama.provider import OllamaProvider
from llmflowlab.settings import Settings

HELLO = Request(messages=(Message("user", "Say hello"),))

SettingsFrom = Callable[..., Settings]


def fake(provider: OllamaProvider, **methods: Any) -> None:
    """Have a provider use these in place of its SDK's methods; an iterator is read as a stream."""
    on_loop = {name: _on_loop(method) for name, method in methods.items()}
    provider._client_made = cast("ollama.AsyncClient", SimpleNamespace(**on_loop))


def _on_loop(method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def called(*args: Any, **sent: Any) -> Any:
        found = method(*args, **sent)
        return _stream(found) if isinstance(found, Iterator) else found

    return called


async def _stream(chunks: Iterator[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def part(content: str = "", *, thinking: str | None = None, **more: Any) -> ollama.ChatResponse:
    message = {"role": "assistant", "content": content, "thinking": thinking}
    return ollama.ChatResponse.model_validate(
        {"model": "llama3.2", "message": message, "done": False} | more
    )


def done(**more: Any) -> ollama.ChatResponse:
    return part(**{"done": True, "done_reason": "stop", **more})
