"""OpenAI's chat completions, models and embeddings."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

from tests.loopback.exchange import Answered, Recorded, answer
from tests.loopback.scenario import Asked, Fault, Reply, Scenario, WireName
from tests.loopback.wires import Frame, sse

__all__ = ["OpenAIWire", "card", "embeddings", "vector"]

_CREATED = 1_767_225_600
_DIMENSIONS = 32


class OpenAIWire:
    """Served under `/v1`, where Ollama's models answer too, as on a real Ollama server."""

    name: WireName = "openai"

    def recognises(self, request: Recorded) -> bool:
        return request.path.startswith("/v1/")

    def key_of(self, request: Recorded) -> str | None:
        return request.headers.get("authorization", "").removeprefix("Bearer ") or None

    def read(self, request: Recorded) -> Asked | None:
        if request.path != "/v1/chat/completions":
            return None
        return self.asked(request, str((request.body or {}).get("model", "")))

    def asked(self, request: Recorded, model: str) -> Asked:
        body = request.body or {}
        messages = [_text(message) for message in body.get("messages") or []]
        form = body.get("response_format") or {}
        return Asked(
            wire=self.name,
            model=model,
            question=messages[-1] if messages else "",
            whole="\n".join(messages),
            stream=bool(body.get("stream")),
            schema=(form.get("json_schema") or {}).get("schema"),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            with_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            path=request.path,
        )

    def other(self, request: Recorded, scenario: Scenario) -> Answered | Iterator[bytes] | None:
        models = scenario.models["openai"]
        if request.path == "/v1/models":
            return answer({"object": "list", "data": [card(name) for name in models]})
        if request.path == "/v1/embeddings":
            return embeddings(request)
        if request.path.startswith("/v1/models/"):
            name = request.path.removeprefix("/v1/models/")
            return answer(card(name)) if name in models else _unknown(name)
        return None

    def knows(self, asked: Asked, scenario: Scenario) -> bool:
        local = scenario.models["ollama"]
        return (
            asked.model in scenario.models["openai"]
            or asked.model in local
            or f"{asked.model}:latest" in local
        )

    def whole(self, reply: Reply, asked: Asked) -> Answered:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": reply.text if reply.pieces else None,
            "refusal": None,
        }
        if reply.reasoning:
            message["reasoning_content"] = "".join(reply.reasoning)
        choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
        body = {
            "id": "chatcmpl-loopback",
            "object": "chat.completion",
            "created": _CREATED,
            "model": self._served(reply),
            "choices": [choice],
            "usage": _usage(reply),
        }
        return answer(body)

    def _served(self, reply: Reply) -> str:
        """OpenAI serves an alias as its dated version."""
        return f"{reply.served}-2025-04-14" if reply.served.startswith("gpt-4.1") else reply.served

    def content_type(self) -> str:
        return "text/event-stream; charset=utf-8"

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:
        yield Frame(
            self._chunk(reply, asked, {"role": "assistant", "content": "", "refusal": None})
        )
        for thought in reply.reasoning:
            yield Frame(self._chunk(reply, asked, {"reasoning_content": thought}))
        for piece in reply.pieces:
            yield Frame.piece(self._chunk(reply, asked, {"content": piece}))
        yield Frame(self._chunk(reply, asked, {}, finish=_finish(reply)))
        if asked.with_usage:
            yield Frame(self._chunk(reply, asked, None, usage=_usage(reply)))
        yield Frame(sse("[DONE]"))

    def _chunk(
        self,
        reply: Reply,
        asked: Asked,
        delta: dict[str, Any] | None,
        *,
        finish: str | None = None,
        usage: dict[str, Any] | None = None,
    ) -> bytes:
        choices = (
            []
            if delta is None
            else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        )
        body: dict[str, Any] = {
            "id": "chatcmpl-loopback",
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": self._served(reply),
            "system_fingerprint": "fp_loopback",
            "choices": choices,
        }
        if asked.with_usage:
            body["usage"] = usage
        return sse(json.dumps(body, ensure_ascii=False))

    def error_frame(self) -> bytes:
        message = "The server had an error processing your request. Sorry about that!"
        error = {"message": message, "type": "server_error", "param": None, "code": None}
        return sse(json.dumps({"error": error}))

    def broken_frame(self) -> bytes:
        return b'data: {"choices": [{\n\n'

    def refusal(self, fault: Fault, asked: Asked) -> Answered:
        wait = {} if fault.wait is None else {"Retry_After": f"{fault.wait:g}"}
        match fault.kind:
            case "rate_limited":
                return _error(
                    429,
                    f"Rate limit reached for {asked.model} in organization org-loopback on requests "
                    "per min (RPM): Limit 3, Used 3, Requested 1. Please try again later.",
                    "requests",
                    "rate_limit_exceeded",
                    **wait,
                )
            case "quota_used_up":
                return _error(
                    429,
                    "You exceeded your current quota, please check your plan and billing details.",
                    "insufficient_quota",
                    "insufficient_quota",
                )
            case "wrong_key":
                return _error(
                    401,
                    "Incorrect API key provided: loopback***wrong. You can find your API key at "
                    "https://platform.openai.com/account/api-keys.",
                    "invalid_request_error",
                    "invalid_api_key",
                )
            case "forbidden":
                return _error(
                    403,
                    fault.says or "Country, region, or territory not supported",
                    "request_forbidden",
                    "unsupported_country_region_territory",
                )
            case "unknown_model":
                return _unknown(asked.model)
            case "context_too_long":
                return _error(
                    400,
                    "This model's maximum context length is 128000 tokens. However, your messages "
                    "resulted in 150000 tokens. Please reduce the length of the messages.",
                    "invalid_request_error",
                    "context_length_exceeded",
                    "messages",
                )
            case "bad_parameter":
                return _error(
                    400,
                    "Unsupported value: 'temperature' does not support 0.2 with this model. Only "
                    "the default (1) value is supported.",
                    "invalid_request_error",
                    "unsupported_value",
                    "temperature",
                )
            case "blocked_prompt":
                return _error(
                    400,
                    "Invalid prompt: your prompt was flagged as potentially violating our usage "
                    "policy.",
                    "invalid_request_error",
                    "invalid_prompt",
                )
            case "internal_error":
                return _error(
                    500,
                    "The server had an error while processing your request. Sorry about that!",
                    "server_error",
                    None,
                )
            case _:
                return _error(
                    fault.status or 503,
                    "The server is currently overloaded with other requests. Sorry about that! You "
                    "can retry your request.",
                    "server_error",
                    None,
                    **wait,
                )


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content)


def _finish(reply: Reply) -> str:
    return "content_filter" if reply.finish == "safety" else reply.finish


def _usage(reply: Reply) -> dict[str, Any]:
    tokens = reply.tokens
    completion = tokens.completion + tokens.reasoning
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": completion,
        "total_tokens": tokens.prompt + completion,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


def card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "loopback"}


def embeddings(request: Recorded) -> Answered:
    body = request.body or {}
    texts = body.get("input") or []
    texts = [texts] if isinstance(texts, str) else texts
    encoded = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": at, "embedding": _encoded(str(text), encoded=encoded)}
        for at, text in enumerate(texts)
    ]
    words = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return answer({"object": "list", "data": data, "model": body.get("model"), "usage": usage})


def vector(text: str) -> list[float]:
    """Return a unit vector that is a function of the text's words: like texts, like vectors."""
    sums = [0.0] * _DIMENSIONS
    for word in text.lower().split() or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        sums = [have + byte - 127.5 for have, byte in zip(sums, digest, strict=True)]
    length = sum(value * value for value in sums) ** 0.5 or 1.0
    return [value / length for value in sums]


def _encoded(text: str, *, encoded: bool) -> list[float] | str:
    found = vector(text)
    if encoded:
        return base64.b64encode(struct.pack(f"<{_DIMENSIONS}f", *found)).decode()
    return found


def _error(
    status: int, message: str, kind: str, code: str | None, param: str | None = None, **headers: str
) -> Answered:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return answer({"error": error}, status, **headers)


def _unknown(model: str) -> Answered:
    return _error(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    )
