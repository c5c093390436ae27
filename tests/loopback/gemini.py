"""The Gemini Developer API, as far as the lab speaks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.loopback.exchange import Answered, Recorded, answer
from tests.loopback.scenario import Asked, Fault, Reply, Scenario, WireName
from tests.loopback.wires import Frame, sse

__all__ = ["GeminiWire"]

_PATH = re.compile(r"/v1(?:beta|alpha)?/models(?:/(?P<model>[^:]+))?(?::(?P<method>\w+))?")
_SERVICE = "generativelanguage.googleapis.com"


class GeminiWire:
    name: WireName = "gemini"

    def recognises(self, request: Recorded) -> bool:
        found = _PATH.fullmatch(request.path)
        if found is None:
            return False
        # `/v1/models` is OpenAI's and Anthropic's too.
        return (
            request.path.startswith("/v1beta")
            or found["method"] is not None
            or "x-goog-api-key" in request.headers
            or "key" in request.query
        )

    def key_of(self, request: Recorded) -> str | None:
        return request.headers.get("x-goog-api-key") or request.query.get("key")

    def read(self, request: Recorded) -> Asked | None:
        found = _PATH.fullmatch(request.path)
        if found is None or found["method"] not in {"generateContent", "streamGenerateContent"}:
            return None
        body = request.body or {}
        config = body.get("generationConfig") or {}
        contents = [_text(content) for content in body.get("contents") or []]
        system = _text(body.get("systemInstruction") or body.get("system_instruction") or {})
        return Asked(
            wire=self.name,
            model=found["model"],
            question=contents[-1] if contents else "",
            whole="\n".join([system, *contents]),
            stream=found["method"] == "streamGenerateContent",
            schema=config.get("responseJsonSchema") or config.get("responseSchema"),
            max_tokens=config.get("maxOutputTokens"),
            path=request.path,
        )

    def other(self, request: Recorded, scenario: Scenario) -> Answered | Iterator[bytes] | None:
        found = _PATH.fullmatch(request.path)
        if found is None or request.method != "GET" or found["method"]:
            return None
        if found["model"] is None:
            return self._page(request, scenario)
        if found["model"] not in scenario.models["gemini"]:
            return _unknown(found["model"])
        return answer(_card(found["model"]))

    def _page(self, request: Recorded, scenario: Scenario) -> Answered:
        cards = [_card(name) for name in scenario.models["gemini"]]
        cards.append(
            {**_card("gemini-embedding-001"), "supportedGenerationMethods": ["embedContent"]}
        )
        size = int(request.query.get("pageSize", 50))
        start = int(request.query.get("pageToken") or 0)
        page: dict[str, Any] = {"models": cards[start : start + size]}
        if start + size < len(cards):
            page["nextPageToken"] = str(start + size)
        return answer(page)

    def knows(self, asked: Asked, scenario: Scenario) -> bool:
        return asked.model in scenario.models["gemini"]

    def whole(self, reply: Reply, asked: Asked) -> Answered:
        parts = [{"text": thought, "thought": True} for thought in reply.reasoning]
        if reply.pieces:
            parts.append({"text": reply.text})
        return answer(_response(reply, parts, len(reply.pieces), finished=True))

    def content_type(self) -> str:
        return "text/event-stream"

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:
        for thought in reply.reasoning:
            part = {"text": thought, "thought": True}
            yield Frame(_event(_response(reply, [part], 0, finished=False)))
        for number, piece in enumerate(reply.pieces, 1):
            yield Frame.piece(_event(_response(reply, [{"text": piece}], number, finished=False)))
        yield Frame(_event(_response(reply, [], len(reply.pieces), finished=True)))

    def error_frame(self) -> bytes:
        return _event(_error(503, "UNAVAILABLE", "The service is currently unavailable.").body)

    def broken_frame(self) -> bytes:
        return b'data: {"candidates": [{\r\n\r\n'

    def refusal(self, fault: Fault, asked: Asked) -> Answered:
        match fault.kind:
            case "rate_limited" | "quota_used_up":
                return _quota(fault, asked)
            case "wrong_key":
                return _wrong_key()
            case "forbidden":
                return _error(403, "PERMISSION_DENIED", "The caller does not have permission")
            case "unknown_model":
                return _unknown(asked.model)
            case "context_too_long":
                return _error(
                    400,
                    "INVALID_ARGUMENT",
                    "The input token count (1200000) exceeds the maximum number of tokens allowed "
                    "(1048576).",
                )
            case "bad_parameter":
                return _error(
                    400,
                    "INVALID_ARGUMENT",
                    "* GenerateContentRequest.generation_config.temperature: temperature must be in "
                    "the range [0.0, 2.0].\n",
                )
            case "blocked_prompt":
                return answer(
                    {
                        "promptFeedback": {
                            "blockReason": "PROHIBITED_CONTENT",
                            "safetyRatings": [],
                        },
                        "usageMetadata": {
                            "promptTokenCount": _tokens(asked),
                            "totalTokenCount": _tokens(asked),
                        },
                        "modelVersion": asked.model,
                    }
                )
            case "internal_error":
                return _error(500, "INTERNAL", "An internal error has occurred. Please retry.")
            case _:
                return _error(
                    fault.status or 503,
                    "UNAVAILABLE",
                    "The model is overloaded. Please try again later.",
                )


def _tokens(asked: Asked) -> int:
    return max(1, len(asked.whole.split()))


def _text(content: dict[str, Any]) -> str:
    return "".join(str(part.get("text", "")) for part in content.get("parts") or [])


def _event(body: Any) -> bytes:
    return sse(json.dumps(body, ensure_ascii=False), end="\r\n\r\n")


def _response(
    reply: Reply, parts: list[dict[str, Any]], done: int, *, finished: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0}
    if parts or not finished:
        candidate["content"] = {"parts": parts, "role": "model"}
    elif reply.finish != "length":
        candidate["content"] = {"parts": [{"text": ""}], "role": "model"}
    if finished:
        reasons = {"stop": "STOP", "length": "MAX_TOKENS", "safety": "SAFETY"}
        candidate["finishReason"] = reasons[reply.finish]
        if reply.finish == "safety":
            candidate["safetyRatings"] = [
                {
                    "category": "HARM_CATEGORY_DANGEROUS_CONTENT",
                    "probability": "HIGH",
                    "blocked": True,
                }
            ]
    tokens = reply.tokens
    # Cumulative, as Google counts: the last chunk has the whole call's numbers.
    share = done / len(reply.pieces) if reply.pieces else 1.0
    answered = tokens.completion if finished else int(tokens.completion * share)
    usage: dict[str, Any] = {
        "promptTokenCount": tokens.prompt,
        "totalTokenCount": tokens.prompt + answered + tokens.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.prompt}],
    }
    if reply.pieces:
        usage["candidatesTokenCount"] = answered
    if tokens.reasoning:
        usage["thoughtsTokenCount"] = tokens.reasoning
    if tokens.cached:
        usage["cachedContentTokenCount"] = tokens.cached
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": reply.served,
        "responseId": "loopback-response",
    }


def _card(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "A model of the loopback server.",
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
    }


def _error(status: int, name: str, message: str, *details: dict[str, Any]) -> Answered:
    error: dict[str, Any] = {"code": status, "message": message, "status": name}
    if details:
        error["details"] = list(details)
    return answer({"error": error}, status)


def _unknown(model: str) -> Answered:
    return _error(
        404,
        "NOT_FOUND",
        f"models/{model} is not found for API version v1beta, or is not supported for "
        "generateContent. Call ListModels to see the list of available models and their supported "
        "methods.",
    )


def _wrong_key() -> Answered:
    message = "API key not valid. Please pass a valid API key."
    return _error(
        400,
        "INVALID_ARGUMENT",
        message,
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": _SERVICE},
        },
        {
            "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
            "locale": "en-US",
            "message": message,
        },
    )


def _quota(fault: Fault, asked: Asked) -> Answered:
    per = "Day" if fault.kind == "quota_used_up" else "Minute"
    details: list[dict[str, Any]] = [
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [
                {
                    "quotaMetric": f"{_SERVICE}/generate_content_free_tier_requests",
                    "quotaId": f"GenerateRequestsPer{per}PerProjectPerModel-FreeTier",
                    "quotaDimensions": {"location": "global", "model": asked.model},
                    "quotaValue": "10",
                }
            ],
        }
    ]
    retry = ""
    if fault.wait is not None:
        retry = f" Please retry in {fault.wait:g}s."
        details.append(
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{fault.wait:g}s"}
        )
    return _error(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.\n"
        f"* Quota exceeded for metric: {_SERVICE}/generate_content_free_tier_requests, limit: 10"
        f"\n{retry}",
        *details,
    )
