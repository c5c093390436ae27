"""Asks the loopback server in every vendor's protocol."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.loopback import LoopbackServer, WireName
from tests.patience import PATIENCE

WIRES: tuple[WireName, ...] = ("gemini", "ollama", "openai", "azure", "anthropic")
MODELS = {
    "gemini": "gemini-2.5-flash",
    "ollama": "llama3.2",
    "openai": "gpt-4.1-mini",
    "azure": "gpt-4.1-mini",
    "anthropic": "claude-haiku-4-5",
}
SCHEMA = {
    "type": "object",
    "properties": {"result": {"type": "string"}, "rationale": {"type": "string"}},
}


class Reply:
    """A response as it came over the line, read without any SDK."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.data = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def send(server: LoopbackServer, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        data = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        line.request(method, path, data, named)
        return Reply(line.getresponse())
    finally:
        line.close()


def ask(
    server: LoopbackServer,
    wire: WireName,
    question: str = "Hello",
    *,
    stream: bool = False,
    schema: dict[str, Any] | None = None,
    model: str | None = None,
    key: str | None = None,
) -> Reply:
    """Ask a question in a vendor's own form."""
    model = model or MODELS[wire]
    key = key or server.scenario.keys.get(wire, "")
    messages = [{"role": "user", "content": question}]
    openai: dict[str, Any] = {"model": model, "messages": messages, "stream": stream}
    if stream:
        openai["stream_options"] = {"include_usage": True}
    if schema:
        form = {"name": "answer", "schema": schema}
        openai["response_format"] = {"type": "json_schema", "json_schema": form}
    body: dict[str, Any]
    if wire == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = {
            "contents": [{"role": "user", "parts": [{"text": question}]}],
            "generationConfig": {"responseJsonSchema": schema},
        }
        path = f"/v1beta/models/{model}:{method}"
        return send(server, "POST", path, body, x_goog_api_key=key)
    if wire == "ollama":
        body = {
            "model": model,
            "messages": messages,
            "stream": stream,
            "format": schema,
        }
        return send(server, "POST", "/api/chat", body)
    if wire == "openai":
        return send(server, "POST", "/v1/chat/completions", openai, authorization=f"Bearer {key}")
    if wire == "azure":
        path = f"/openai/deployments/{model}/chat/completions?api-version=2025-04-01-preview"
        return send(server, "POST", path, openai, api_key=key)
    body = {
        "model": model,
        "messages": messages,
        "stream": stream,
        "max_tokens": 99,
    }
    if schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    return send(server, "POST", "/v1/messages", body, x_api_key=key, anthropic_version="2023-06-01")


def text_of(wire: WireName, body: Any) -> str:
    if wire == "gemini":
        return "".join(part["text"] for part in body["candidates"][0]["content"]["parts"])
    if wire == "ollama":
        return str(body["message"]["content"])
    if wire == "anthropic":
        return "".join(block["text"] for block in body["content"])
    return str(body["choices"][0]["message"]["content"])


def events_of(wire: WireName, data: bytes) -> list[Any]:
    lines = data.decode().splitlines()
    if wire == "ollama":
        return [json.loads(line) for line in lines]
    payloads = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"]
