"""Each vendor's own messages with fields dropped, nulled, retyped and repeated, through its own SDK.

The answer stays right or is an error of the lab's; a count stays right or is unknown.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmflowlab.errors import BadAnswer, LabError, StreamInterrupted
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import (
    Finished,
    Provider,
    ReasoningDelta,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.factory import build
from llmflowlab.providers.receiving import events_of
from llmflowlab.settings import load_settings
from tests.loopback.anthropic import AnthropicWire
from tests.loopback.azure import AzureWire
from tests.loopback.gemini import GeminiWire
from tests.loopback.ollama import OllamaWire
from tests.loopback.openai import OpenAIWire
from tests.loopback.scenario import Asked, Reply, Tokens, WireName
from tests.loopback.wires import Wire
from tests.providers.http_of import answer_by

HELLO = Request(messages=(Message("user", "Say hello"),))
WIRES: dict[str, Wire] = {
    "openai": OpenAIWire(),
    "azure": AzureWire(),
    "anthropic": AnthropicWire(),
    "gemini": GeminiWire(),
    "ollama": OllamaWire(),
}
REPLY = Reply(
    pieces=("Hello ", "world"),
    reasoning=("hm ",),
    tokens=Tokens(prompt=12, completion=5),
    served="a-model",
)
JUNK: list[Any] = [None, -5, 3.5, "7", 10**30, True, [], {}, [[1]], {"x": [1]}, "\ud800x"]
# What may stand where a piece of the text stood: nothing, the piece, or another text in its place.
TEXT = re.compile("(Hello |7|\ufffdx)*(world|7|\ufffdx)*")

pytestmark = pytest.mark.usefixtures("requests_allowed")


@cache
def provider_of(vendor: str) -> Provider:
    environment = {
        "OPENAI_API_KEY": "k" * 20,
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "AZURE_OPENAI_API_KEY": "k" * 20,
        "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
        "ANTHROPIC_API_KEY": "k" * 20,
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        "GEMINI_API_KEY": "k" * 20,
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9",
        "OLLAMA_HOST": "http://127.0.0.1:9",
    }
    return build(
        f"{vendor}:a-model", load_settings(environment, cwd=Path("/"), stdin_is_terminal=False)
    )


def served(vendor: str, body: bytes) -> Provider:
    """Return the vendor's provider, whose SDK is answered with these bytes instead of by a server."""
    provider = provider_of(vendor)
    package: Any = httpx if vendor == "ollama" else httpx2
    head = {"content-type": WIRES[vendor].content_type()}
    answer_by(
        provider,
        package.MockTransport(lambda request: package.Response(200, headers=head, content=body)),
    )
    return provider


def messages(vendor: str, reply: Reply = REPLY) -> list[Any]:
    """Return the messages of one streamed answer; a text for what is no JSON."""
    asked = Asked(
        wire=cast("WireName", vendor), model="a-model", question="", whole="", stream=True
    )
    lines = b"".join(WIRES[vendor].frames(reply, asked)).decode().splitlines()
    found = [
        line.removeprefix("data: ") for line in lines if line and not line.startswith("event:")
    ]
    return [json.loads(line) if line.startswith("{") else line for line in found]


def dressed(vendor: str, found: list[Any]) -> bytes:
    out = b""
    for message in found:
        text = message if isinstance(message, str) else json.dumps(message)
        if vendor == "ollama":
            out += text.encode(errors="surrogatepass") + b"\n"
        else:
            event = message.get("type") if isinstance(message, dict) else None
            head = f"event: {event}\n" if vendor == "anthropic" else ""
            out += f"{head}data: {text}\n\n".encode(errors="surrogatepass")
    return out


def paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if before:
        yield before
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from paths(inner, (*before, key))


def changed(found: list[Any], path: tuple[Any, ...], how: str, junk: Any) -> None:
    place: Any = found
    for step in path[:-1]:
        try:
            place = place[step]
        except (LookupError, TypeError):
            return
    try:
        if how == "drop":
            del place[path[-1]]
        elif how == "repeat" and isinstance(place, list):
            place.insert(path[-1], copy.deepcopy(place[path[-1]]))
        else:
            _ = place[path[-1]]
            place[path[-1]] = junk
    except (LookupError, TypeError):
        return


def outcome(provider: Provider) -> tuple[str, Usage, Finished | None, LabError | None]:
    text, usage, finished = "", Usage(), None
    try:
        for event in events_of(provider, HELLO):
            match event:
                case TextDelta(piece):
                    text += piece
                case UsageReport(counted):
                    usage = counted
                case Finished():
                    finished = event
                case ReasoningDelta(thought):
                    assert isinstance(thought, str)
    except LabError as exc:
        return text, usage, finished, exc
    return text, usage, finished, None


@pytest.mark.parametrize("vendor", WIRES)
def test_the_messages_as_they_are_give_the_answer(vendor: str):
    text, usage, finished, error = outcome(served(vendor, dressed(vendor, messages(vendor))))
    assert (text, error) == ("Hello world", None)
    assert (usage.prompt_tokens, usage.completion_tokens) == (12, 5)
    assert finished is not None
    assert finished.reason == "stop"


@pytest.mark.parametrize("vendor", WIRES)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_spoilt_message_gives_the_answer_or_one_of_our_errors(vendor: str, data: st.DataObject):
    found = messages(vendor)
    # Without its mark a thought is nothing else than text, and words in `refusal` are a refusal.
    everywhere = [path for path in paths(found) if path[-1] not in ("thought", "refusal")]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(everywhere))
        how = data.draw(st.sampled_from(["drop", "repeat", "retype", "retype"]))
        changed(found, path, how, data.draw(st.sampled_from(JUNK)))
    text, usage, finished, error = outcome(served(vendor, dressed(vendor, found)))
    assert TEXT.fullmatch(text), text
    if error is None:
        assert usage.prompt_tokens in {12, None}
        assert usage.completion_tokens in {5, None}
        assert usage.cached_tokens in {0, None}
        assert finished is not None
        assert finished.reason in {"stop", "other"}
        assert finished.model_version is None or isinstance(finished.model_version, str)


OTHER = "another answer"
COUNTED = replace(REPLY, tokens=Tokens(prompt=12, completion=5, cached=3, reasoning=2))


def with_another(vendor: str, found: list[Any]) -> None:
    """Put another answer beside the first into each message that can hold several."""
    for message in found:
        choices = (
            message.get("choices") or message.get("candidates") if vendor != "ollama" else None
        )
        if not choices:
            continue
        other = copy.deepcopy(choices[0])
        other["index"] = 1
        if vendor == "gemini":
            other["content"] = {"role": "model", "parts": [{"text": OTHER}]}
        else:
            other["delta"] = {"content": OTHER}
        # A server may send them in any order.
        choices.insert(0, other)


def optional(vendor: str, found: list[Any]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return every change that leaves the answer's text, and what marks it as such, in its place."""
    changes = []
    for path in paths(found):
        place: Any = found
        for step in path[:-1]:
            place = place[step]
        inside = json.dumps(place[path[-1]])
        marks = {"thought", "type"} | ({"index"} if OTHER in json.dumps(place) else set())
        # A server without a cache leaves these out, and one that has them says so.
        marks |= {"cache_read_input_tokens", "cache_creation_input_tokens"}
        holds = any(text in inside for text in ("Hello ", "world", "hm ", OTHER))
        if path[-1] not in marks and not holds:
            changes += [("drop", path), ("null", path)]
        if isinstance(place, list) and not (holds and (len(path) == 1 or "parts" in path)):
            changes.append(("repeat", path))
    return changes


@pytest.mark.parametrize("vendor", WIRES)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_is_optional_may_be_missing_and_the_answer_is_right(vendor: str, data: st.DataObject):
    whole = messages(vendor, COUNTED)
    found = [message for message in whole if not isinstance(message, str)]
    rest = [message for message in whole if isinstance(message, str)]
    with_another(vendor, found)
    for _ in range(data.draw(st.integers(1, 3))):
        how, path = data.draw(st.sampled_from(optional(vendor, found)))
        changed(found, path, how, None)
    text, usage, finished, error = outcome(served(vendor, dressed(vendor, [*found, *rest])))
    assert text == "Hello world"
    assert usage.prompt_tokens in {12, None}
    assert usage.completion_tokens in {7, None}
    assert usage.cached_tokens in {3, 0, None}
    if error is None:
        assert finished is not None
        assert finished.reason in {"stop", "other"}
    else:
        # That it ended is not optional.
        assert isinstance(error, StreamInterrupted)


@pytest.mark.parametrize("vendor", WIRES)
@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_no_count_spoils_an_answer(vendor: str, junk: Any):
    whole = messages(vendor)
    counts = [
        path
        for path in paths(whole)
        if re.search("usage|eval_count|_duration", str(path)) and path[-1] != "usage"
    ]
    assert counts
    for path in counts:
        found = copy.deepcopy(whole)
        changed(found, path, "retype", junk)
        text, usage, finished, error = outcome(served(vendor, dressed(vendor, found)))
        assert (text, error) == ("Hello world", None), path
        assert finished is not None
        assert usage.prompt_tokens in {12, None}, path
        assert usage.completion_tokens in {5, None}, path


@pytest.mark.parametrize("vendor", WIRES)
def test_a_body_nested_without_end_is_an_answer_that_cannot_be_read(vendor: str):
    deep = '{"choices": ' + "[" * 10_000 + "]" * 10_000 + "}"
    *_, error = outcome(served(vendor, dressed(vendor, [deep])))
    assert isinstance(error, BadAnswer)
    found = messages(vendor)
    text, *_, error = outcome(served(vendor, dressed(vendor, [*found[:-2], deep])))
    assert text in {"Hello world", "Hello "}
    assert isinstance(error, StreamInterrupted)


@pytest.mark.parametrize("vendor", WIRES)
def test_half_characters_in_two_messages_are_one_character(vendor: str):
    found = json.dumps(messages(vendor)).replace("Hello ", "\\ud83d").replace("world", "\\ude00!")
    text, *_ = outcome(served(vendor, dressed(vendor, json.loads(found))))
    assert text == "\U0001f600!"
