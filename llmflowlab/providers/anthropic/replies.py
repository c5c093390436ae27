"""What Claude sends back: events of a stream into ours, counts, errors; and what is sent to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmflowlab.messages import Request
from llmflowlab.providers.arrival import field, tokens, usage, with_counts
from llmflowlab.providers.base import FinishReason, StreamEvent, Usage, UsageReport
from llmflowlab.providers.reading import Reading
from llmflowlab.providers.refused_requests import Refusal, words_of
from llmflowlab.providers.vendor_sdk import close_schema

if TYPE_CHECKING:
    from anthropic import APIError
    from anthropic.types import RawMessageStreamEvent

__all__ = ["STOP_REASONS", "Counts", "arguments", "counts_as_sent", "deltas", "refusal"]

_DEFAULT_MAX_TOKENS = 4096

STOP_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "safety",
    "tool_use": "tool_calls",
    "pause_turn": "other",
}
"""Every stop reason of the SDK; one it does not know counts as "other"."""

_COUNTED = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
    "output_tokens_details.thinking_tokens",
)


def arguments(request: Request) -> dict[str, Any]:
    """Return what a call sends beside the model; parameters that Claude lacks are left out."""
    parameters, schema = request.parameters, request.response_schema
    given: dict[str, Any] = {
        "max_tokens": parameters.max_tokens or _DEFAULT_MAX_TOKENS,
        "system": request.system or None,
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
    }
    body = {name: value for name, value in given.items() if value is not None}
    last = len(request.messages) - 1
    # An answer that was stopped before its first word is empty, and Anthropic takes no empty message.
    body["messages"] = [
        {"role": each.role, "content": each.content}
        for at, each in enumerate(request.messages)
        if each.content.strip() or at == last
    ]
    # The SDK's later releases have no arguments for these, and its earlier ones none for the schema.
    extra: dict[str, Any] = {
        name: body.pop(name) for name in ("temperature", "top_p") if name in body
    }
    if schema is not None:
        form = {"type": "json_schema", "schema": close_schema(schema)}
        extra["output_config"] = {"format": form}
    return {**body, "extra_body": extra} if extra else body


def deltas(event: RawMessageStreamEvent, reading: Reading) -> Iterator[StreamEvent]:
    """Yield the pieces of one event, and note what it says about the answer."""
    kind = field(event, "type")
    if kind == "message_start":
        reading.served(field(event, "message", "model"))
    elif kind == "content_block_start":
        # Empty at Anthropic itself; gateways begin with the first words, or put all of them there.
        block = field(event, "content_block")
        if field(block, "type") in {"text", "thinking"}:
            yield from reading.take([block])
    elif kind == "content_block_delta":
        delta = field(event, "delta")
        if field(delta, "type") == "text_delta":
            yield from reading.take(field(delta, "text"))
        elif field(delta, "type") == "thinking_delta":
            yield from reading.take(field(delta, "thinking"), thinking=True)
    elif kind == "message_delta":
        reading.ended(field(event, "delta", "stop_reason"))


def counts_as_sent(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event whose counts the SDK cannot take for others than were sent."""
    message = event.get("message")
    if isinstance(message, dict) and isinstance(message.get("usage"), dict):
        return {**event, "message": counts_as_sent(message)}
    sent = event.get("usage")
    paths = [tuple(path.split(".")) for path in _COUNTED]
    return event if not isinstance(sent, dict) else {**event, "usage": with_counts(sent, paths)}


class Counts:
    """The usage of one message; counts are cumulative, and each event may leave some out."""

    def __init__(self) -> None:
        self._seen: dict[str, int | None] = {}
        """None for what was sent and cannot be read."""

    def take(self, event: RawMessageStreamEvent) -> Iterator[UsageReport]:
        """Yield the usage so far where an event has news of it."""
        place = {"message_start": ("message", "usage"), "message_delta": ("usage",)}
        kind = field(event, "type")
        sent = field(event, *place[kind]) if kind in ("message_start", "message_delta") else None
        found = {path: field(sent, *path.split(".")) for path in _COUNTED}
        news = {
            path: tokens(count)
            for path, count in found.items()
            # What the first event says of the answer is a beginning, and no count of the whole.
            if count is not None and (kind == "message_delta" or path not in _COUNTED[3:])
        }
        if news and {**self._seen, **news} != self._seen:
            self._seen.update(news)
            yield UsageReport(self._usage())

    def _usage(self) -> Usage:
        fresh, cached, written, completion, thoughts = map(self._seen.get, _COUNTED)
        # Anthropic counts the three apart; the lab's prompt tokens hold them all.
        unread = any(self._seen.get(path, 0) is None for path in _COUNTED[:3])
        prompt = None if fresh is None or unread else fresh + (cached or 0) + (written or 0)
        return usage(prompt, completion, cached, thoughts)


def refusal(exc: APIError) -> Refusal:
    """Read the SDK's exception of a request that was refused, or of an error inside a stream."""
    response = getattr(exc, "response", None)
    status: int | None = getattr(exc, "status_code", None)
    body = exc.body
    error = body.get("error") if isinstance(body, Mapping) else None
    kind = str(error.get("type") or "") if isinstance(error, Mapping) else ""
    return Refusal(
        # Inside a stream the SDK reports the status of the response that had begun well.
        status=None if status is not None and status < 300 else status,
        codes=frozenset({kind} - {""}),
        text=words_of(error or body),
        headers={} if response is None else response.headers,
        readable=isinstance(error, Mapping),
    )
