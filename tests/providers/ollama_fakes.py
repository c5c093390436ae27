"""The Ollama SDK's own types, made for tests."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import ollama

from llmflowlab.messages import Message, Request
from llmflowlab.providers.ollama.provider import OllamaProvider
from llmflowlab.settings import Settings

HELLO = Request(messages=(Message("user", "Say hello"),))

SettingsFrom = Callable[..., Settings]


def fake(provider: OllamaProvider, **methods: Any) -> SimpleNamespace:
    client = SimpleNamespace(close=lambda: None, **methods)
    provider._client_made = cast("ollama.Client", client)
    return client


def part(content: str = "", *, thinking: str | None = None, **more: Any) -> ollama.ChatResponse:
    message = {"role": "assistant", "content": content, "thinking": thinking}
    return ollama.ChatResponse.model_validate(
        {"model": "llama3.2", "message": message, "done": False} | more
    )


def done(**more: Any) -> ollama.ChatResponse:
    return part(**{"done": True, "done_reason": "stop", **more})
