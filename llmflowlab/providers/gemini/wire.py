"""What of Gemini's chunks is read, in the types that its SDK expects."""

from __future__ import annotations

from typing import Any

from llmflowlab.providers.arrival import field, name, pieces, whole, with_counts
from llmflowlab.providers.base import ReasoningDelta

__all__ = ["reduced"]

_COUNTS = (
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
)


def reduced(chunk: dict[str, Any]) -> dict[str, Any]:
    """Return a chunk without what the SDK would stumble over; errors stay as they are."""
    if chunk.get("error"):
        return chunk
    candidates, usage = chunk.get("candidates"), chunk.get("usageMetadata")
    counts = with_counts({each: field(usage, each) for each in _COUNTS}, [(e,) for e in _COUNTS])
    found: dict[str, Any] = {
        "candidates": [_candidate(each) for each in candidates]
        if isinstance(candidates, list)
        else None,
        "usageMetadata": {key: count for key, count in counts.items() if count is not None} or None,
        "modelVersion": name(chunk.get("modelVersion")),
    }
    if blocked := name(field(chunk, "promptFeedback", "blockReason")):
        found["promptFeedback"] = {"blockReason": blocked}
    return {key: value for key, value in found.items() if value is not None}


def _candidate(sent: object) -> dict[str, Any]:
    parts = field(sent, "content", "parts")
    found: dict[str, Any] = {
        "content": {
            "role": "model",
            "parts": [
                {"text": piece.text, "thought": isinstance(piece, ReasoningDelta)}
                for part in (parts if isinstance(parts, list) else [])
                for piece in pieces(field(part, "text"), thinking=field(part, "thought") is True)
            ],
        },
        "index": whole(field(sent, "index")),
        "finishReason": name(field(sent, "finishReason")),
    }
    return {key: value for key, value in found.items() if value is not None}
