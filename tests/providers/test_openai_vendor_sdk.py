"""What the providers on the openai and anthropic SDKs share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import pytest

from llmflowlab.providers.stream_end import read_to_the_end
from llmflowlab.providers.vendor_sdk import close_schema, is_strict, known_window, shown


def test_a_closed_schema_allows_no_further_properties_at_any_depth():
    inner = {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": inner}, "c": {"anyOf": [inner]}},
        "required": ["a", "c"],
    }
    closed = close_schema(schema)
    assert closed["additionalProperties"] is False
    assert closed["properties"]["a"]["items"]["additionalProperties"] is False
    assert closed["properties"]["c"]["anyOf"][0]["additionalProperties"] is False
    assert "additionalProperties" not in schema, "the caller's schema must stay as it is"
    assert is_strict(closed)


def test_a_schema_that_asks_for_further_properties_keeps_them():
    schema = {"type": "object", "additionalProperties": True}
    assert close_schema(schema) == schema
    assert not is_strict(schema)


def test_a_schema_with_optional_properties_is_not_strict():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert not is_strict(close_schema(schema))
    assert not is_strict({"anyOf": [close_schema(schema)]})


def test_a_property_called_type_does_not_confuse_anything():
    schema = {
        "type": "object",
        "properties": {"type": {"type": "string"}},
        "required": ["type"],
    }
    assert is_strict(close_schema(schema))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://me:secret@host:8443/v1?key=x#y", "https://host:8443/v1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, expected: str):
    assert shown(address) == expected


def test_a_window_of_an_unknown_model_or_vendor_is_unknown():
    assert known_window("openai", "no-such-model") is None
    assert known_window("no-such-vendor", "gpt-4.1") is None


@pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])
class TestReadToTheEnd:
    """Of both packages, since SDK releases stand on either."""

    def response(self, http: Any, *parts: bytes | Exception) -> tuple[Any, list[str]]:
        log: list[str] = []

        class Line(http.AsyncByteStream):  # type: ignore[misc]  # one class for two packages
            async def __aiter__(self) -> AsyncIterator[bytes]:
                for part in parts:
                    if isinstance(part, Exception):
                        raise part
                    yield part
                log.append("read to the end")

            async def aclose(self) -> None:
                log.append("closed")

        response = http.Response(200, headers={"content-type": "text/event-stream"}, stream=Line())
        response.request = http.Request("POST", "http://127.0.0.1:9")
        read_to_the_end(http)(response)
        return response, log

    def read(self, response: Any, parts: int) -> None:
        """Read so many parts and give the rest up."""

        async def work() -> None:
            found = response.aiter_bytes()
            for _ in range(parts):
                await anext(found)
            await response.aclose()

        asyncio.run(work())

    def test_a_response_left_after_its_last_event_is_read_to_its_end(self, http: Any):
        response, log = self.response(http, b"data: 1\n\ndata: [DO", b"NE]\n\n")
        self.read(response, 2)
        assert log == ["read to the end", "closed"]

    def test_a_response_given_up_in_the_middle_is_only_closed(self, http: Any):
        response, log = self.response(http, b"data: 1\n\n", b"data: [DONE]\n\n")
        self.read(response, 1)
        assert log == ["closed"]

    def test_a_line_that_breaks_after_the_last_event_is_no_failure(self, http: Any):
        response, log = self.response(http, b"data: [DONE]\n\n", http.ReadError("reset"))
        self.read(response, 1)
        assert log == ["closed"]

    def test_other_responses_are_left_alone(self, http: Any):
        response = http.Response(200, json={})
        before = response.stream
        read_to_the_end(http)(response)
        assert response.stream is before
