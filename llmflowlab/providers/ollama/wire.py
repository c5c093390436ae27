"""What of Ollama's chat messages is read, in the types that its SDK expects."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import Any

from llmflowlab.loading import load
from llmflowlab.providers.arrival import field, name, pieces, whole
from llmflowlab.providers.base import TextDelta

__all__ = ["import_sdk", "reduced"]

_NUMBERS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


_importing = threading.Lock()


def import_sdk() -> None:
    """Import Ollama's SDK.

    It makes a client of its own as it is imported, which nobody uses, and which a SOCKS proxy or a
    certificate file that is not there prevents: then it is made without a look at the environment.

    Raises:
        ImportError: It is not there.
    """
    httpx: Any = load("httpx")
    with _importing:
        try:
            load("ollama")
        except (ImportError, OSError, ValueError):
            if find_spec("ollama") is None:
                raise
            plain = httpx.Client
            httpx.Client = lambda **given: plain(**{**given, "trust_env": False})
            try:
                load("ollama")
            finally:
                httpx.Client = plain


_CALL = [{"function": {"name": "any", "arguments": {}}}]
"""That a tool was called is all that is read of a call."""


def _calls(said: object) -> bool:
    calls = field(said, "tool_calls")
    return isinstance(calls, list) and bool(calls)


def reduced(message: dict[str, Any]) -> dict[str, Any]:
    """Return a line of `/api/chat` without what the SDK would stumble over; errors stay as they are."""
    if message.get("error"):
        return message
    said = message.get("message")
    content = list(pieces(field(said, "content")))
    content += pieces(field(said, "thinking"), thinking=True)
    texts = [piece.text for piece in content if isinstance(piece, TextDelta)]
    thoughts = [piece.text for piece in content if not isinstance(piece, TextDelta)]
    return {
        "model": name(message.get("model")),
        "message": {
            "role": "assistant",
            "content": "".join(texts),
            "thinking": "".join(thoughts) or None,
            "tool_calls": _CALL if _calls(said) else None,
        },
        "done": message.get("done") is True,
        "done_reason": name(message.get("done_reason")),
        **{number: whole(message.get(number)) for number in _NUMBERS},
    }
