"""What the Claude provider reads from the settings, and what becomes of the SDK's own types and errors."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import anthropic
import anthropic._exceptions
import httpx2
import pytest
from anthropic.types import RawMessageStreamEvent, StopReason
from pydantic import TypeAdapter

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    ContextTooLong,
    NotConfigured,
    Overloaded,
    ProviderError,
    RateLimited,
    RefusedBySafety,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.anthropic.provider import AnthropicProvider
from llmflowlab.providers.anthropic.replies import STOP_REASONS
from llmflowlab.providers.base import (
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.settings import Settings, load_settings
from tests.loopback import LoopbackServer

KEY = "sk-ant-not-a-real-key-1234567890"
HELLO = Request(messages=(Message("user", "Say hello"),))
SENT = httpx2.Request("POST", "https://api.anthropic.com/v1/messages")

MAPPED_ERRORS = {
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AnthropicError",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "DeadlineExceededError",
    "InternalServerError",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTooLargeError",
    "ServiceUnavailableError",
    "UnprocessableEntityError",
    # Of parts of the SDK that the provider does not use; they would be a `BadRequest`.
    "APIWebhookValidationError",
    "CredentialsError",
    "IdentityTokenFileError",
    "RetryableError",
}


def settings_of(tmp_path: Path, **environ: str) -> Settings:
    return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)


@pytest.fixture
def provider(tmp_path: Path, requests_allowed: None) -> AnthropicProvider:
    return AnthropicProvider("claude-haiku-4-5", settings_of(tmp_path, ANTHROPIC_API_KEY=KEY))


class FakeStream:
    """Stands where the SDK's stream stands: yields events, then perhaps raises."""

    def __init__(self, events: list[Any], error: BaseException | None) -> None:
        self._events = events
        self._error = error

    async def __aenter__(self) -> FakeStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Nothing is open."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        for event in self._events:
            yield event
        if self._error is not None:
            raise self._error


def creating(stream: Any) -> Any:
    async def create(**arguments: Any) -> Any:
        return stream

    return create


def event(kind: str, **fields: Any) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    return adapter.validate_python({"type": kind, **fields})


def start(**usage: int) -> Any:
    message: dict[str, Any] = {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 1, **usage},
    }
    return event("message_start", message=message)


def delta(**fields: Any) -> Any:
    return event("content_block_delta", index=0, delta=fields)


def text(words: str) -> Any:
    return delta(type="text_delta", text=words)


def stop(reason: str | None, **usage: Any) -> list[Any]:
    last = event(
        "message_delta",
        delta={"stop_reason": reason, "stop_sequence": None},
        usage={"output_tokens": 9, **usage},
    )
    return [last, event("message_stop")]


def events(
    provider: AnthropicProvider, *sent: Any, error: BaseException | None = None
) -> list[StreamEvent]:
    stream = FakeStream(list(sent), error)
    fake: Any = SimpleNamespace(messages=SimpleNamespace(create=creating(stream)))
    provider._client_made = fake
    return list(provider.stream(HELLO))


def refused(status: int, kind: str, message: str, **headers: str) -> anthropic.APIStatusError:
    """Return the SDK's exception for an HTTP answer, made by the SDK itself."""
    body = {"type": "error", "error": {"type": kind, "message": message}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, request=SENT, json=body, headers=named)
    client = anthropic.Anthropic(api_key="none", base_url="http://127.0.0.1:9")
    try:
        return client._make_status_error_from_response(response)
    finally:
        client.close()


def failure(provider: AnthropicProvider, error: BaseException, *sent: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        events(provider, *sent, error=error)
    return caught.value


@pytest.mark.parametrize(
    ("environ", "ready", "said"),
    [
        ({}, False, "set ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": KEY}, True, "ANTHROPIC_API_KEY is set"),
        (
            {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "http://proxy:1/"},
            True,
            "ANTHROPIC_API_KEY is set, http://proxy:1",
        ),
        (
            {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "proxy"},
            False,
            "ANTHROPIC_BASE_URL is no address; write it as in https://host or http://host:port.",
        ),
    ],
)
def test_readiness_says_what_is_there_or_what_to_set(
    tmp_path: Path, environ: dict[str, str], ready: bool, said: str
):
    found = AnthropicProvider.readiness(settings_of(tmp_path, **environ), 1.0)
    assert (found.ready, found.text) == (ready, said)


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # What an import finds where a package is not installed.
    monkeypatch.setattr("llmflowlab.providers.anthropic.provider.find_spec", lambda name: None)
    settings = settings_of(tmp_path, ANTHROPIC_API_KEY=KEY)
    found = AnthropicProvider.readiness(settings, 1.0)
    assert (found.ready, found.text) == (False, "pip install anthropic")
    assert AnthropicProvider.readiness(settings_of(tmp_path), 1.0).text == (
        "set ANTHROPIC_API_KEY; pip install anthropic"
    )
    with pytest.raises(NotConfigured, match="pip install anthropic"):
        AnthropicProvider("claude-haiku-4-5", settings)


def test_a_package_that_cannot_be_imported_says_what_to_install(
    provider: AnthropicProvider, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(NotConfigured, match="pip install anthropic"):
        provider.prepare()


def test_without_a_key_it_is_not_configured(tmp_path: Path):
    with pytest.raises(NotConfigured, match="set ANTHROPIC_API_KEY"):
        AnthropicProvider("claude-haiku-4-5", settings_of(tmp_path))


def test_only_the_settings_key_is_sent(
    tmp_path: Path,
    loopback: LoopbackServer,
    requests_allowed: None,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "not-a-real-token")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    environ = loopback.environment("anthropic")
    environ["ANTHROPIC_BASE_URL"] += "/v1"
    provider = AnthropicProvider("claude-haiku-4-5", settings_of(tmp_path, **environ))
    assert isinstance(list(provider.stream(HELLO))[-1], Finished)
    provider.close()
    assert loopback.last.headers["x-api-key"] == loopback.scenario.keys["anthropic"]
    assert "authorization" not in loopback.last.headers


def test_events_become_ours(provider: AnthropicProvider):
    found = events(
        provider,
        start(cache_read_input_tokens=3, cache_creation_input_tokens=2),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        delta(type="thinking_delta", thinking="hm"),
        delta(type="signature_delta", signature="x"),
        text("Hel"),
        text(""),
        text("lo"),
        event("content_block_stop", index=0),
        *stop("end_turn", output_tokens_details={"thinking_tokens": 4}),
    )
    assert found == [
        # Anthropic counts fresh, read and written tokens apart; ours hold them all.
        UsageReport(Usage(prompt_tokens=10, cached_tokens=3)),
        ReasoningDelta("hm"),
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(
            Usage(prompt_tokens=10, completion_tokens=9, cached_tokens=3, reasoning_tokens=4)
        ),
        Finished("stop", "claude-haiku-4-5-20251001"),
    ]


def test_an_answer_without_a_limit_gets_one_since_anthropic_demands_it(
    tmp_path: Path, loopback: LoopbackServer, requests_allowed: None
):
    environ = loopback.environment("anthropic")
    provider = AnthropicProvider("claude-haiku-4-5", settings_of(tmp_path, **environ))
    list(provider.stream(HELLO))
    assert loopback.last.body["max_tokens"] == 4096
    list(provider.stream(Request(messages=HELLO.messages, parameters=Parameters(max_tokens=7))))
    assert loopback.last.body["max_tokens"] == 7
    provider.close()


def test_an_empty_answer_of_before_is_left_out_since_anthropic_refuses_it(
    tmp_path: Path, loopback: LoopbackServer, requests_allowed: None
):
    environ = loopback.environment("anthropic")
    provider = AnthropicProvider("claude-haiku-4-5", settings_of(tmp_path, **environ))
    talk = (Message("user", "a"), Message("assistant", ""), Message("user", "b"))
    list(provider.stream(Request(messages=talk)))
    provider.close()
    assert [turn["content"] for turn in loopback.last.body["messages"]] == ["a", "b"]


def test_every_stop_reason_of_the_sdk_is_known():
    assert set(get_args(StopReason)) == set(STOP_REASONS)


@pytest.mark.parametrize(("reason", "ours"), [*STOP_REASONS.items()], ids=list(STOP_REASONS))
def test_a_stop_reason_becomes_ours(provider: AnthropicProvider, reason: str, ours: str):
    found = events(provider, start(), text("Hi"), *stop(reason))
    assert found[-1] == Finished(ours, "claude-haiku-4-5-20251001")  # type: ignore[arg-type]  # of the table


def test_a_refusal_before_any_text_is_an_error(provider: AnthropicProvider):
    with pytest.raises(RefusedBySafety):
        events(provider, start(), *stop("refusal"))


def test_a_window_that_has_no_room_for_an_answer_is_an_error(provider: AnthropicProvider):
    with pytest.raises(ContextTooLong):
        events(provider, start(), *stop("model_context_window_exceeded"))


def test_a_stream_that_breaks_after_its_stop_reason_is_not_finished(provider: AnthropicProvider):
    with pytest.raises(StreamInterrupted):
        events(provider, start(), text("Hi"), stop("end_turn")[0])


def test_a_stream_without_any_event_is_a_bad_answer(provider: AnthropicProvider):
    with pytest.raises(BadAnswer, match="ANTHROPIC_BASE_URL"):
        events(provider)


def test_every_exception_class_of_the_sdk_is_accounted_for():
    found = {
        name
        for name, value in vars(anthropic._exceptions).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert found == MAPPED_ERRORS


@pytest.mark.parametrize(
    ("status", "kind", "message", "ours"),
    [
        (400, "invalid_request_error", "top_p: range: 0..1", BadRequest),
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", ContextTooLong),
        (400, "invalid_request_error", "Your credit balance is too low to", BadRequest),
        (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            RefusedBySafety,
        ),
        (401, "authentication_error", "invalid x-api-key", AuthenticationFailed),
        (402, "billing_error", "no", BadRequest),
        (403, "permission_error", "no", AuthenticationFailed),
        (404, "not_found_error", "model: claude-9", UnknownModel),
        (404, "not_found_error", "Not found", BadAnswer),
        (409, "conflict_error", "busy", Overloaded),
        (413, "request_too_large", "large", ContextTooLong),
        (422, "invalid_request_error", "no", BadRequest),
        (429, "rate_limit_error", "slow down", RateLimited),
        (500, "api_error", "oops", Overloaded),
        (503, "api_error", "oops", Overloaded),
        (504, "timeout_error", "slow", Overloaded),
        (529, "overloaded_error", "Overloaded", Overloaded),
    ],
)
def test_an_http_error_becomes_ours(
    provider: AnthropicProvider, status: int, kind: str, message: str, ours: type[ProviderError]
):
    error = failure(provider, refused(status, kind, message))
    assert (type(error), error.status) == (ours, status)


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        ("overloaded_error", Overloaded),
        ("api_error", Overloaded),
        ("rate_limit_error", RateLimited),
        ("invalid_request_error", BadRequest),
    ],
)
def test_an_error_inside_the_stream_has_no_status(
    provider: AnthropicProvider, kind: str, ours: type[ProviderError]
):
    # The SDK gives it the status of the response that had begun well.
    error = failure(provider, refused(200, kind, "busy"), start(), text("Hel"))
    assert (type(error), error.status) == (ours, None)


@pytest.mark.parametrize(
    ("error", "kind", "begun"),
    [
        (anthropic.APIConnectionError(request=SENT), ConnectionFailed, StreamInterrupted),
        (anthropic.APITimeoutError(request=SENT), TimedOut, TimedOut),
        (httpx2.ReadTimeout("slow"), TimedOut, TimedOut),
        (httpx2.RemoteProtocolError("cut"), ConnectionFailed, StreamInterrupted),
        (ConnectionResetError("reset"), ConnectionFailed, StreamInterrupted),
        (anthropic.AnthropicError("odd"), BadRequest, BadRequest),
        (anthropic.RetryableError("odd"), BadRequest, BadRequest),
        (
            anthropic.APIResponseValidationError(httpx2.Response(200, request=SENT), None),
            BadAnswer,
            StreamInterrupted,
        ),
        (ValueError("no JSON"), BadAnswer, StreamInterrupted),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_an_error_of_the_line_becomes_ours(
    provider: AnthropicProvider,
    error: Exception,
    kind: type[ProviderError],
    begun: type[ProviderError],
):
    assert type(failure(provider, error)) is kind
    assert type(failure(provider, error, start(), text("Hel"))) is begun


def test_tokens_of_a_call_that_broke_off_are_counted(provider: AnthropicProvider):
    stream = FakeStream([start(), text("Hel")], httpx2.ReadError("reset"))
    fake: Any = SimpleNamespace(messages=SimpleNamespace(create=creating(stream)))
    provider._client_made = fake
    answer = provider.stream(HELLO)
    assert next(answer) == UsageReport(Usage(prompt_tokens=5))


def test_windows_come_from_anthropic_or_from_what_is_known_of_the_model(
    tmp_path: Path, loopback: LoopbackServer, requests_allowed: None
):
    loopback.scenario.models["anthropic"].append("claude-future-9")
    environ = loopback.environment("anthropic")
    settings = settings_of(tmp_path, **environ)
    known = AnthropicProvider("claude-haiku-4-5", settings)
    future = AnthropicProvider("claude-future-9", settings)
    missing = AnthropicProvider("claude-gone", settings)
    assert known.context_window() == 200_000
    assert future.context_window() == 123_456
    assert missing.context_window() is None
    windows = {model.name: model.context_window for model in future.list_models()}
    assert windows["claude-future-9"] == 123_456
    for each in (known, future, missing):
        each.close()


def test_text_that_stands_in_the_start_of_a_block_is_part_of_the_answer(
    provider: AnthropicProvider,
):
    # Gateways put the first words there, or all of them; they used to be lost.
    begun = event(
        "content_block_start",
        index=0,
        content_block={"type": "text", "text": "4", "citations": None},
    )
    found = events(provider, start(), begun, text("2"), *stop("end_turn", output_tokens=3))
    assert [each for each in found if isinstance(each, TextDelta)] == [
        TextDelta("4"),
        TextDelta("2"),
    ]


def test_a_later_count_of_the_fresh_tokens_alone_leaves_the_cached_ones_in(
    provider: AnthropicProvider,
):
    begun = start(input_tokens=10, cache_read_input_tokens=5000)
    found = events(provider, begun, text("4"), *stop("end_turn", output_tokens=3, input_tokens=10))
    usages = [each.usage for each in found if isinstance(each, UsageReport)]
    assert usages[-1] == Usage(prompt_tokens=5010, completion_tokens=3, cached_tokens=5000)
