"""A model server that answers after a fixed time: what the measuring programs talk to.

Speaks OpenAI's chat protocol, streamed or not, and the streams of Gemini and Ollama, on aiohttp and uvloop in
a process of its own, so that it takes no processor time from what is measured. `python -m benchmarks.server --latency-ms 200`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import time
from collections import deque
from typing import Any

import uvloop
from aiohttp import web

SENTENCES = 20
"""Frames of a long answer."""
USAGE = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}


class Model:
    """Answers questions of the form "q17" with "a17", "s17" with sentences, and judges with yes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.requests = 0
        self.refused = 0
        self.answered_ms = 0
        self._taken: deque[float] = deque()
        self._random = random.Random(1)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        judged = "response_format" in body or body["model"] == "judge"
        if (refused := await self._refused_after_work(request, judged=judged)) is not None:
            return refused
        question = body["messages"][-1]["content"]
        if not judged and question.startswith("s") and question[1:].isdigit():
            return await self._sentences(request, int(question[1:]))
        text = verdict(body) if judged else _answer(question.rpartition("\n")[2])
        if not body.get("stream"):
            return web.json_response({**_frame(text, "message"), "usage": USAGE})
        frames = [*map(_event, (_frame(text, "delta"), *_END)), b"data: [DONE]\n\n"]
        return await _sent(request, "text/event-stream", frames)

    async def _sentences(self, request: web.Request, number: int) -> web.StreamResponse:
        """Stream a long answer, a sentence a frame, at an even pace."""
        response = await _sent(request, "text/event-stream", [])
        begun = time.monotonic()
        for place in range(SENTENCES):
            due = begun + place * self.options.gap_ms / 1000
            await asyncio.sleep(due - time.monotonic())
            await response.write(_event(_frame(sentence(number, place), "delta")))
        await response.write(b"".join(map(_event, _END)) + b"data: [DONE]\n\n")
        return response

    async def gemini(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        judged = "responseJsonSchema" in (body.get("generationConfig") or {})
        if (refused := await self._refused_after_work(request, judged=judged)) is not None:
            return refused
        asked = body["contents"][-1]["parts"][0]["text"]
        counted = {"promptTokenCount": 20, "candidatesTokenCount": 5, "totalTokenCount": 25}
        part = {"text": _VERDICT if judged else _answer(asked)}
        chunks: list[dict[str, Any]] = [
            {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]},
            {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": counted},
        ]
        frames = [_event({**chunk, "modelVersion": "bench-1"}) for chunk in chunks]
        return await _sent(request, "text/event-stream", frames)

    async def ollama(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        judged = bool(body.get("format"))
        if (refused := await self._refused_after_work(request, judged=judged)) is not None:
            return refused
        text = _VERDICT if judged else _answer(body["messages"][-1]["content"])
        counted = {"done_reason": "stop", "prompt_eval_count": 20, "eval_count": 5}
        chunks: list[dict[str, Any]] = [
            {"message": {"role": "assistant", "content": text}, "done": False},
            {"message": {"role": "assistant", "content": ""}, "done": True, **counted},
        ]
        frames = [json.dumps({"model": "bench", **chunk}).encode() + b"\n" for chunk in chunks]
        return await _sent(request, "application/x-ndjson", frames)

    async def _refused_after_work(
        self, request: web.Request, *, judged: bool
    ) -> web.StreamResponse | None:
        """Take the time of an answer, or refuse at once."""
        self.requests += 1
        fault = self._fault()
        if fault is None:
            wait = self.options.judge_latency_ms if judged else self.options.latency_ms
            await asyncio.sleep(wait / 1000)
            self.answered_ms = int(time.monotonic() * 1000)
            return None
        self.refused += 1
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.json_response({"error": {"message": "slow down"}}, status=int(fault))

    def _fault(self) -> str | None:
        options = self.options
        if options.per_second:
            now = time.monotonic()
            while self._taken and self._taken[0] <= now - 1:
                self._taken.popleft()
            if len(self._taken) >= options.per_second:
                return "429"
            self._taken.append(now)
        drawn = self._random.random()
        if drawn < options.refuse:
            return "429"
        if drawn < options.refuse + options.overload:
            return "503"
        return "reset" if drawn < options.refuse + options.overload + options.reset else None

    async def counts(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "requests": self.requests,
                "refused": self.refused,
                "answered_ms": self.answered_ms,
            }
        )

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "bench", "object": "model"}]})


_VERDICT = '{"rationale": "fits", "result": "yes"}'
"""In this lab's form."""


def sentence(number: int, place: int) -> str:
    """Return a sentence of a long answer, long enough to leave guardrails by itself."""
    words = "and the air in front of it scatters the light of the sun once more " * 4
    return f"Part {place} of answer {number} says that the sky is blue {words}today. "


def _answer(question: str) -> str:
    return "a" + question.removeprefix("q")


def _event(chunk: Any) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


async def _sent(request: web.Request, kind: str, frames: list[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": kind})
    await response.prepare(request)
    await response.write(b"".join(frames))
    return response


def verdict(body: dict[str, Any]) -> str:
    """Say yes in the form that the judge's owner reads: this lab's, Inspect's, promptfoo's."""
    if "response_format" in body:
        return _VERDICT
    if "GRADE" in json.dumps(body["messages"]):
        return "It fits.\n\nGRADE: C"
    return '{"reason": "fits", "pass": true, "score": 1}'


def _frame(text: str | None, kind: str, finish: str | None = None) -> dict[str, Any]:
    message = {"role": "assistant", "content": text} if text is not None else {}
    return {
        "id": "c",
        "object": "chat.completion" + (".chunk" if kind == "delta" else ""),
        "created": 0,
        "model": "bench-1",
        "choices": [
            {
                "index": 0,
                kind: message,
                "finish_reason": "stop" if kind == "message" else finish,
            }
        ],
    }


_END: tuple[dict[str, Any], ...] = (
    _frame(None, "delta", finish="stop"),
    {**_frame(None, "delta"), "choices": [], "usage": USAGE},
)
"""How a stream ends."""


async def _serve(options: argparse.Namespace) -> None:
    # Clients that are killed in the middle of an answer are what some programs are about.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    model = Model(options)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.chat)
    app.router.add_post("/v1beta/models/{call}", model.gemini)
    app.router.add_post("/api/chat", model.ollama)
    app.router.add_get("/v1/models", model.models)
    app.router.add_get("/counts", model.counts)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port)
    await site.start()
    port = runner.addresses[0][1]
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=200)
    parser.add_argument("--judge-latency-ms", type=float, default=300)
    parser.add_argument("--refuse", type=float, default=0.0, help="share answered with 429")
    parser.add_argument("--overload", type=float, default=0.0, help="share answered with 503")
    parser.add_argument("--reset", type=float, default=0.0, help="share of connections reset")
    parser.add_argument("--per-second", type=int, default=0, help="refuse above this rate")
    parser.add_argument("--gap-ms", type=float, default=20, help="between sentences")
    uvloop.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
