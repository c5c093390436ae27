"""How the bytes of a streamed chat completion become chunks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmflowlab.providers.openai.chat_line import ChatReply, Refused


def chunks(*parts: bytes) -> list[Any]:
    """Return what is read from a body that comes in these parts."""

    async def aiter_bytes() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def read() -> list[Any]:
        response = SimpleNamespace(aiter_bytes=aiter_bytes)
        return [chunk async for chunk in ChatReply(response, streamed=True)]

    return asyncio.run(read())


STREAM = (
    '\ndata: {"text": "Grüße 🌍"}\n\n'
    ': a comment\nevent: message\nid: 7\nretry: 9\ndata:{"n":\ndata: 1}\n\n'
    "event: ping\n\ndata\n\n"
    "data: []\n\ndata: [DONE]\n\ndata: 4\n\n"
)


@given(
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.sets(st.integers(0, 200)),
)
def test_chunks_are_the_same_however_the_bytes_are_cut(ending: str, cuts: set[int]):
    body = STREAM.replace("\n", ending).encode()
    places = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    parts = [body[start:end] for start, end in pairwise(places)]
    assert chunks(*parts) == [{"text": "Grüße 🌍"}, {"n": 1}, []]


def test_what_does_not_end_was_not_said():
    assert chunks(b'data: {"a": 1}\n\ndata: {"b": 2}\n') == [{"a": 1}]


@pytest.mark.parametrize("error", [{"message": "busy", "code": 503}, "busy"])
def test_an_error_inside_the_stream_is_a_refusal(error: Any):
    with pytest.raises(Refused, match="busy") as caught:
        chunks(f"data: {json.dumps({'error': error})}\n\n".encode())
    assert caught.value.refusal.status == (503 if isinstance(error, dict) else None)


@pytest.mark.parametrize("body", [b"data: nonsense\n\n", b'data: "\xff"\n\n'])
def test_what_is_no_json_is_a_value_error(body: bytes):
    with pytest.raises(ValueError, match=r".*"):
        chunks(body)
