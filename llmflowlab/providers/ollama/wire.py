"""What of Ollama's chat messages is read, in the types that its SDK expects."""

from __future__ import annotations

from typing import Any

from llmflowlab.providers.arrival import field, name, pieces, whole
from llmflowlab.providers.base import TextDelta

__all__ = ["reduced"]

_NUMBERS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


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
