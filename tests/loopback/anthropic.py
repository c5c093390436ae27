"""Anthropic's messages API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.loopback.exchange import Answered, Recorded, answer
from tests.loopback.scenario import Asked, Fault, Reply, Scenario, WireName
from tests.loopback.wires import Frame, sse

__all__ = ["AnthropicWire"]

_STOP = {"stop": "end_turn", "length": "max_tokens", "safety": "refusal"}


class AnthropicWire:
    name: WireName = "anthropic"

    def recognises(self, request: Recorded) -> bool:
        # `/v1/models` is OpenAI's and Gemini's too.
        return request.path == "/v1/messages" or "anthropic-version" in request.headers

    def key_of(self, request: Recorded) -> str | None:
        return request.headers.get("x-api-key")

    def read(self, request: Recorded) -> Asked | None:
        if request.path != "/v1/messages":
            return None
        body = request.body or {}
        messages = [_text(message.get("content")) for message in body.get("messages") or []]
        form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
        return Asked(
            wire=self.name,
            model=str(body.get("model", "")),
            question=messages[-1] if messages else "",
            whole="\n".join([_text(body.get("system")), *messages]),
            stream=bool(body.get("stream")),
            schema=form.get("schema"),
            max_tokens=body.get("max_tokens"),
            path=request.path,
        )

    def other(self, request: Recorded, scenario: Scenario) -> Answered | Iterator[bytes] | None:
        models = scenario.models["anthropic"]
        if request.path == "/v1/models":
            cards = [_card(name) for name in models]
            ends = {"first_id": models[0], "last_id": models[-1]} if models else {}
            return answer({"data": cards, "has_more": False, **ends})
        if request.path.startswith("/v1/models/"):
            name = request.path.removeprefix("/v1/models/")
            return answer(_card(name)) if name in models else _unknown(name)
        return None

    def knows(self, asked: Asked, scenario: Scenario) -> bool:
        return asked.model in scenario.models["anthropic"]

    def whole(self, reply: Reply, asked: Asked) -> Answered:
        content: list[dict[str, Any]] = []
        if reply.reasoning:
            thinking = "".join(reply.reasoning)
            content.append({"type": "thinking", "thinking": thinking, "signature": "loopback"})
        if reply.pieces:
            content.append({"type": "text", "text": reply.text})
        usage = {**_input_usage(reply), "output_tokens": _output(reply)}
        return answer(
            {**_message(reply, usage), "content": content, "stop_reason": _STOP[reply.finish]}
        )

    def content_type(self) -> str:
        return "text/event-stream; charset=utf-8"

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:
        usage = {**_input_usage(reply), "output_tokens": 1}
        yield Frame(_event("message_start", message=_message(reply, usage)))
        index = 0
        if reply.reasoning:
            block: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
            yield Frame(_event("content_block_start", index=index, content_block=block))
            for thought in reply.reasoning:
                yield Frame(_delta(index, type="thinking_delta", thinking=thought))
            yield Frame(_delta(index, type="signature_delta", signature="loopback"))
            yield Frame(_event("content_block_stop", index=index))
            index += 1
        if reply.pieces:
            block = {"type": "text", "text": ""}
            yield Frame(_event("content_block_start", index=index, content_block=block))
            yield Frame(_event("ping"))
            for piece in reply.pieces:
                yield Frame.piece(_delta(index, type="text_delta", text=piece))
            yield Frame(_event("content_block_stop", index=index))
        yield Frame(
            _event(
                "message_delta",
                delta={"stop_reason": _STOP[reply.finish], "stop_sequence": None},
                usage={"output_tokens": _output(reply)},
            )
        )
        yield Frame(_event("message_stop"))

    def error_frame(self) -> bytes:
        return _event("error", error={"type": "overloaded_error", "message": "Overloaded"})

    def broken_frame(self) -> bytes:
        return b'event: content_block_delta\ndata: {"type": \n\n'

    def refusal(self, fault: Fault, asked: Asked) -> Answered:
        wait = {} if fault.wait is None else {"Retry_After": f"{fault.wait:g}"}
        match fault.kind:
            case "rate_limited":
                return _error(
                    429,
                    "rate_limit_error",
                    "This request would exceed the rate limit for your organization of 50 requests "
                    "per minute.",
                    **wait,
                )
            case "quota_used_up":
                return _error(
                    400,
                    "invalid_request_error",
                    "Your credit balance is too low to access the Anthropic API. Please go to Plans "
                    "& Billing to upgrade or purchase credits.",
                )
            case "wrong_key":
                return _error(401, "authentication_error", "invalid x-api-key")
            case "forbidden":
                return _error(
                    403,
                    "permission_error",
                    "Your API key does not have permission to use the specified resource.",
                )
            case "unknown_model":
                return _unknown(asked.model)
            case "context_too_long":
                return _error(
                    400,
                    "invalid_request_error",
                    "prompt is too long: 208310 tokens > 200000 maximum",
                )
            case "bad_parameter":
                return _error(400, "invalid_request_error", "temperature: range: 0..1")
            case "blocked_prompt":
                return _error(
                    400, "invalid_request_error", "Output blocked by content filtering policy"
                )
            case "internal_error":
                return _error(500, "api_error", "Internal server error")
            case _:
                return _error(fault.status or 529, "overloaded_error", "Overloaded", **wait)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(block.get("text", "")) for block in content)
    return str(content or "")


def _output(reply: Reply) -> int:
    return reply.tokens.completion + reply.tokens.reasoning


def _input_usage(reply: Reply) -> dict[str, Any]:
    tokens = reply.tokens
    return {
        # Anthropic counts cached tokens apart.
        "input_tokens": tokens.prompt - tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
    }


def _message(reply: Reply, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_loopback",
        "type": "message",
        "role": "assistant",
        "model": f"{reply.served}-20251001" if "haiku" in reply.served else reply.served,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _event(kind: str, **fields: Any) -> bytes:
    return sse(json.dumps({"type": kind, **fields}, ensure_ascii=False), event=kind)


def _delta(index: int, **delta: Any) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


def _card(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2025-10-01T00:00:00Z",
        "max_input_tokens": 123456 if "future" in name else None,
    }


def _error(status: int, kind: str, message: str, **headers: str) -> Answered:
    body = {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_loopback",
    }
    return answer(body, status, request_id="req_loopback", **headers)


def _unknown(model: str) -> Answered:
    return _error(404, "not_found_error", f"model: {model}")
