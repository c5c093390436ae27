"""Ollama's own API: chat as lines of JSON, tags, show, ps, pull."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.loopback.exchange import Answered, Recorded, answer
from tests.loopback.openai import vector
from tests.loopback.scenario import Asked, Fault, Reply, Scenario, WireName
from tests.loopback.wires import Frame

__all__ = ["OllamaWire"]

_CREATED = "2026-01-01T00:00:00.000000Z"
_DIGEST = "0" * 64
_SIZE = 2_019_393_189


class OllamaWire:
    name: WireName = "ollama"

    def recognises(self, request: Recorded) -> bool:
        return request.path == "/" or request.path.startswith("/api/")

    def key_of(self, request: Recorded) -> str | None:
        return request.headers.get("authorization", "").removeprefix("Bearer ") or None

    def read(self, request: Recorded) -> Asked | None:
        if request.path != "/api/chat":
            return None
        body = request.body or {}
        messages = body.get("messages") or []
        form = body.get("format")
        return Asked(
            wire=self.name,
            model=str(body.get("model", "")),
            question=str(messages[-1].get("content", "")) if messages else "",
            whole="\n".join(str(message.get("content", "")) for message in messages),
            stream=bool(body.get("stream", True)),
            schema=form if isinstance(form, dict) else None,
            max_tokens=(body.get("options") or {}).get("num_predict"),
            path=request.path,
        )

    def other(self, request: Recorded, scenario: Scenario) -> Answered | Iterator[bytes] | None:
        models = scenario.models["ollama"]
        match request.path:
            case "/":
                return answer(b"Ollama is running", Content_Type="text/plain; charset=utf-8")
            case "/api/version":
                return answer({"version": "0.13.5"})
            case "/api/tags":
                return answer({"models": [_card(name) for name in models]})
            case "/api/ps":
                return answer({"models": []})
            case "/api/show":
                name = str((request.body or {}).get("model", ""))
                return _show() if _full(name) in models else _unknown(name)
            case "/api/embed":
                return _embed(request)
            case "/api/pull":
                return _pull(str((request.body or {}).get("model", "")), models)
            case _:
                return None

    def knows(self, asked: Asked, scenario: Scenario) -> bool:
        return _full(asked.model) in scenario.models["ollama"]

    def whole(self, reply: Reply, asked: Asked) -> Answered:
        message = {"role": "assistant", "content": reply.text}
        if reply.reasoning:
            message["thinking"] = "".join(reply.reasoning)
        return answer({**_final(reply), "message": message})

    def content_type(self) -> str:
        return "application/x-ndjson"

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:
        for thought in reply.reasoning:
            yield Frame(_line(_part(reply, "", thinking=thought)))
        for piece in reply.pieces:
            yield Frame.piece(_line(_part(reply, piece)))
        yield Frame(_line(_final(reply)))

    def error_frame(self) -> bytes:
        return _line({"error": "an error was encountered while running the model: unexpected EOF"})

    def broken_frame(self) -> bytes:
        return b'{"model": \n'

    def refusal(self, fault: Fault, asked: Asked) -> Answered:
        wait = {} if fault.wait is None else {"Retry_After": f"{fault.wait:g}"}
        match fault.kind:
            case "rate_limited" | "quota_used_up":
                return answer(
                    {"error": "you (loopback) have reached your hourly usage limit"}, 429, **wait
                )
            case "wrong_key":
                return answer({"error": "unauthorized"}, 401)
            case "forbidden":
                return answer({"error": "this model requires a subscription"}, 403)
            case "unknown_model":
                return _unknown(asked.model)
            case "context_too_long":
                return answer({"error": "the input length exceeds the context length"}, 400)
            case "bad_parameter":
                return answer({"error": 'option "temperature" must be of type float32'}, 400)
            case "blocked_prompt":
                # Local models have no filter; what comes nearest is a refusal in words.
                return answer({**_final(Reply(pieces=())), "message": {"role": "assistant"}})
            case "internal_error":
                return answer({"error": "llama runner process has terminated: exit status 2"}, 500)
            case _:
                return answer(
                    {"error": "server busy, please try again.  maximum pending requests exceeded"},
                    fault.status or 503,
                    **wait,
                )


def _embed(request: Recorded) -> Answered:
    body = request.body or {}
    given = body.get("input") or []
    texts = [given] if isinstance(given, str) else given
    return answer(
        {
            "model": body.get("model"),
            "embeddings": [vector(str(text)) for text in texts],
            "prompt_eval_count": sum(len(str(text).split()) for text in texts),
        }
    )


def _full(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def _line(body: Any) -> bytes:
    return (json.dumps(body, ensure_ascii=False) + "\n").encode()


def _part(reply: Reply, content: str, *, thinking: str | None = None) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    if thinking is not None:
        message["thinking"] = thinking
    return {"model": reply.served, "created_at": _CREATED, "message": message, "done": False}


def _final(reply: Reply) -> dict[str, Any]:
    tokens = reply.tokens
    count: dict[str, Any] = {"eval_count": tokens.completion + tokens.reasoning}
    # Ollama leaves the count out where the whole prompt was still in memory.
    if tokens.prompt > tokens.cached:
        count["prompt_eval_count"] = tokens.prompt
    return {
        **_part(reply, ""),
        "done": True,
        "done_reason": "length" if reply.finish == "length" else "stop",
        "total_duration": 5_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_duration": 1_000_000,
        **count,
        "eval_duration": 3_000_000,
    }


def _details() -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "3.2B",
        "quantization_level": "Q4_K_M",
    }


def _card(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-01-01T00:00:00.000000+00:00",
        "size": _SIZE,
        "digest": _DIGEST,
        "details": _details(),
    }


def _show() -> Answered:
    return answer(
        {
            "license": "",
            "modelfile": "",
            "parameters": 'stop                           "<|eot_id|>"',
            "template": "{{ .Prompt }}",
            "details": _details(),
            "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
            "capabilities": ["completion", "tools"],
            "modified_at": "2026-01-01T00:00:00.000000+00:00",
        }
    )


def _unknown(name: str) -> Answered:
    return answer({"error": f"model '{name}' not found"}, 404)


def _pull(name: str, models: list[str]) -> Iterator[bytes]:
    """Yield the progress of a download; names that begin with `missing` are not in the library."""
    yield _line({"status": "pulling manifest"})
    if name.startswith("missing"):
        yield _line({"error": "pull model manifest: file does not exist"})
        return
    layer = f"sha256:{_DIGEST}"
    status = f"pulling {_DIGEST[:12]}"
    yield _line({"status": status, "digest": layer, "total": _SIZE})
    for part in (1, 2, 3, 4):
        done = _SIZE * part // 4
        yield _line({"status": status, "digest": layer, "total": _SIZE, "completed": done})
    for last in ("verifying sha256 digest", "writing manifest"):
        yield _line({"status": last})
    if _full(name) not in models:
        models.append(_full(name))
    yield _line({"status": "success"})
