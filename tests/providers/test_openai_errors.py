"""What becomes of refusals, of a line that breaks and of the OpenAI SDK's errors."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import openai.lib.azure
import pytest

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    RefusedBySafety,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.providers.openai.chat_line import Refused, refusal_from
from llmflowlab.providers.openai.provider import OpenAIProvider
from tests.providers.openai_fakes import (
    HELLO,
    KEY,
    SENT,
    FakeStream,
    answering,
    chunk,
    events,
    failure,
    refused,
    settings_of,
)


@pytest.fixture
def provider(tmp_path: Path, requests_allowed: None) -> OpenAIProvider:
    return OpenAIProvider("gpt-4.1-mini", settings_of(tmp_path, OPENAI_API_KEY=KEY))


MAPPED_ERRORS = {
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "InternalServerError",
    "NotFoundError",
    "OAuthError",
    "OpenAIError",
    "PermissionDeniedError",
    "RateLimitError",
    "UnprocessableEntityError",
    # Of parts of the SDK that the provider does not use; they would be a `BadRequest` or `BadAnswer`.
    "ContentFilterFinishReasonError",
    "InvalidWebhookSignatureError",
    "LengthFinishReasonError",
    "MutuallyExclusiveAuthError",
    "SubjectTokenProviderError",
    "WebSocketConnectionClosedError",
    "WebSocketQueueFullError",
}


def test_every_exception_class_of_the_sdk_is_accounted_for():
    # By their own modules, since `openai` itself loads names when they are looked at.
    found = {
        name
        for module in (openai._exceptions, sys.modules["openai.lib.azure"])
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert found == MAPPED_ERRORS


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "no", "param": "top_p"}}, BadRequest),
        (422, {"detail": "unprocessable"}, BadRequest),
        (401, {"error": {"message": "no", "code": "invalid_api_key"}}, AuthenticationFailed),
        (403, {"error": {"message": "no"}}, AuthenticationFailed),
        (404, {"error": {"message": "no", "code": "model_not_found"}}, UnknownModel),
        (404, {"error": {"message": "The model `x` does not exist."}}, UnknownModel),
        (404, {"detail": "Not Found"}, BadAnswer),
        (408, {"error": {"message": "slow"}}, Overloaded),
        (409, {"error": {"message": "busy"}}, Overloaded),
        (413, {"error": {"message": "large"}}, ContextTooLong),
        (429, {"error": {"message": "slow down"}}, RateLimited),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}, BadRequest),
        (500, {"error": {"message": "oops"}}, Overloaded),
        (502, "<html>Bad gateway</html>", Overloaded),
        (529, {"error": {"message": "busy"}}, Overloaded),
        (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, ContextTooLong),
        (
            400,
            {"error": {"message": "the request exceeds the available context size"}},
            ContextTooLong,
        ),
        (400, {"error": {"message": "x", "code": "content_filter"}}, RefusedBySafety),
        (
            400,
            {"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            RefusedBySafety,
        ),
        (304, {"error": {"message": "not modified"}}, BadAnswer),
    ],
)
def test_an_http_error_becomes_ours(
    provider: OpenAIProvider, status: int, body: Any, kind: type[ProviderError]
):
    error = failure(provider, refused(status, body))
    assert (type(error), error.status) == (kind, status)
    assert "<html>" not in error.message
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    ("param", "text", "word"),
    [
        ("max_completion_tokens", "too large", "max_tokens"),
        ("response_format.json_schema", "bad", "the response schema"),
        (None, "Unsupported parameter: 'seed' is not supported", "seed"),
    ],
)
def test_a_parameter_that_is_refused_is_named_in_our_words(
    provider: OpenAIProvider, param: str | None, text: str, word: str
):
    error = failure(provider, refused(400, {"error": {"message": text, "param": param}}))
    assert isinstance(error, BadRequest)
    assert f"OpenAI refused {word} as it is set (HTTP 400)" in error.message


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "9", "retry_after_ms": "1250"}, 1.25),
        ({"retry_after_ms": "soon"}, None),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_the_wait_is_read_from_the_headers(
    provider: OpenAIProvider, headers: dict[str, str], wait: float | None
):
    error = failure(provider, refused(429, {"error": {"message": "slow down"}}, **headers))
    assert error.retry_after == wait


def test_a_wait_is_not_told_where_waiting_does_not_help(provider: OpenAIProvider):
    body = {"error": {"message": "no", "code": "insufficient_quota"}}
    error = failure(provider, refused(429, body, retry_after="7"))
    assert (error.retry_after, error.retryable) == (None, False)


@pytest.mark.parametrize(
    ("error", "kind", "begun"),
    [
        (httpx2.ConnectTimeout("slow"), TimedOut, TimedOut),
        (httpx2.ReadTimeout("slow"), TimedOut, TimedOut),
        (httpx2.ConnectError("refused"), ConnectionFailed, StreamInterrupted),
        (httpx2.ReadError("reset"), ConnectionFailed, StreamInterrupted),
        (httpx2.RemoteProtocolError("cut"), ConnectionFailed, StreamInterrupted),
        (ConnectionResetError("reset"), ConnectionFailed, StreamInterrupted),
        (ValueError("no JSON"), BadAnswer, StreamInterrupted),
        (AttributeError("no such part"), BadAnswer, StreamInterrupted),
        (Refused(refusal_from({"type": "server_error", "message": "busy"})), Overloaded, None),
        (Refused(refusal_from({"code": "content_filter", "message": "x"})), RefusedBySafety, None),
        (Refused(refusal_from({"code": 429, "message": "x"})), RateLimited, None),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_an_error_of_the_line_or_inside_the_stream_becomes_ours(
    provider: OpenAIProvider,
    error: Exception,
    kind: type[ProviderError],
    begun: type[ProviderError] | None,
):
    assert type(failure(provider, error)) is kind
    assert type(failure(provider, error, chunk("Hel"))) is (begun or kind)


def test_a_bug_of_ours_is_not_taken_for_the_vendors(provider: OpenAIProvider):
    with pytest.raises(AssertionError):
        events(provider, error=AssertionError("ours"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (openai.APIConnectionError(request=SENT), ConnectionFailed),
        (openai.APITimeoutError(request=SENT), TimedOut),
        (openai.OpenAIError("odd"), BadRequest),
        (openai.APIResponseValidationError(httpx2.Response(200, request=SENT), None), BadAnswer),
        (openai.APIError("busy", SENT, body={"type": "server_error", "message": "x"}), Overloaded),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_an_error_of_the_sdk_becomes_ours(
    provider: OpenAIProvider, error: Exception, kind: type[ProviderError]
):
    async def create(**sent: Any) -> None:
        raise error

    fake: Any = SimpleNamespace(embeddings=SimpleNamespace(create=create))
    provider._sdk_client = fake
    with pytest.raises(ProviderError) as caught:
        provider.embed(["hello"])
    assert type(caught.value) is kind


def test_the_stream_is_closed_when_it_is_given_up(provider: OpenAIProvider):
    stream = FakeStream([chunk("Hel"), chunk("lo")])
    provider._client_made = answering(stream)
    answer = provider.stream(HELLO)
    next(answer)
    answer.close()  # type: ignore[attr-defined]  # a generator, as every provider's stream is
    assert stream.closed


def test_a_key_that_a_server_echoes_is_not_repeated(provider: OpenAIProvider):
    error = failure(provider, refused(400, {"error": {"message": f"bad header: {KEY} refused"}}))
    assert KEY not in error.message
    assert "refused" in error.message
