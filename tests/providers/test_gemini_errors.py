"""Every failure of Gemini's SDK, its API and its line becomes one of our errors."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import httpx2
import pydantic
import pytest
from google.genai import errors as vendor

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.messages import Message, Request
from llmflowlab.providers.gemini.provider import GeminiProvider
from llmflowlab.settings import load_settings

KEY = "AIza-not-a-real-key-1234567890"
HELLO = Request(messages=(Message("user", "Say hello"),))

MAPPED_VENDOR_ERRORS = {
    "APIError",
    "ClientError",
    "ServerError",
    "UnknownApiResponseError",
    "UnknownFunctionCallArgumentError",
    "UnsupportedFunctionError",
    "FunctionInvocationError",
    # Raised by `interactions` only, which the provider does not use.
    "ContinuationInterruptedError",
}


@pytest.fixture
def provider(tmp_path: Path, requests_allowed: None) -> GeminiProvider:
    environ = {"GEMINI_API_KEY": KEY}
    settings = load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)
    return GeminiProvider("gemini-2.5-flash", settings)


def raised(provider: GeminiProvider, error: Exception, *, after: str = "") -> ProviderError:
    """Return what becomes of an error raised by the SDK, after a piece of text if given."""
    from google.genai import types

    async def chunks() -> AsyncIterator[types.GenerateContentResponse]:
        if after:
            part = {"text": after}
            yield types.GenerateContentResponse.model_validate(
                {"candidates": [{"content": {"parts": [part]}}]}
            )
        raise error

    async def stream(**sent: Any) -> AsyncIterator[types.GenerateContentResponse]:
        return chunks()

    models = SimpleNamespace(generate_content_stream=stream)
    provider._client_made = cast("Any", SimpleNamespace(models=models))
    with pytest.raises(ProviderError) as caught:
        list(provider.stream(HELLO))
    assert (caught.value.provider, caught.value.model) == ("gemini", "gemini-2.5-flash")
    assert caught.value.__cause__ is error
    return caught.value


def api_error(code: int, body: Any, headers: dict[str, str] | None = None) -> vendor.APIError:
    response = SimpleNamespace(headers=httpx2.Headers(headers or {}))
    kind = vendor.ClientError if code < 500 else vendor.ServerError
    return kind(code, body, response)


def body(code: int, status: str, message: str = "words of Google", *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": [*details]}}


def retry_info(delay: str) -> dict[str, str]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def test_every_error_class_of_the_sdk_is_known():
    found = {
        name
        for name, cls in inspect.getmembers(vendor, inspect.isclass)
        if issubclass(cls, BaseException) and cls.__module__ == vendor.__name__
    }
    assert found <= MAPPED_VENDOR_ERRORS, "map the new class in gemini.py"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        pytest.param(
            api_error(400, body(400, "INVALID_ARGUMENT", "bad temperature")),
            BadRequest,
            "Gemini refused the request (HTTP 400): bad temperature.",
            id="400",
        ),
        pytest.param(
            api_error(
                400,
                body(400, "INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"}),
            ),
            AuthenticationFailed,
            "Gemini refused the key: API key not valid.",
            id="400 with a wrong key",
        ),
        pytest.param(
            api_error(
                400,
                body(
                    400,
                    "INVALID_ARGUMENT",
                    "The input token count (1200000) exceeds the maximum number of tokens allowed.",
                ),
            ),
            ContextTooLong,
            "too long for gemini-2.5-flash",
            id="400 with too much context",
        ),
        pytest.param(
            api_error(401, body(401, "UNAUTHENTICATED")), AuthenticationFailed, "key", id="401"
        ),
        pytest.param(
            api_error(403, body(403, "PERMISSION_DENIED")), AuthenticationFailed, "key", id="403"
        ),
        pytest.param(
            api_error(404, body(404, "NOT_FOUND")),
            UnknownModel,
            "Gemini has no model 'gemini-2.5-flash' for this key",
            id="404",
        ),
        pytest.param(
            api_error(404, {"message": "<html>no</html>", "status": "Not Found"}),
            BadAnswer,
            "Check GOOGLE_GEMINI_BASE_URL",
            id="404 of something else",
        ),
        pytest.param(api_error(408, body(408, "TIMEOUT")), TimedOut, "HTTP 408", id="408"),
        pytest.param(api_error(413, body(413, "")), ContextTooLong, "too long", id="413"),
        pytest.param(
            api_error(429, body(429, "RESOURCE_EXHAUSTED")),
            RateLimited,
            "its limit is reached (HTTP 429): words of Google.",
            id="429",
        ),
        pytest.param(
            api_error(
                429,
                body(
                    429,
                    "RESOURCE_EXHAUSTED",
                    "quota",
                    {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]},
                ),
            ),
            BadRequest,
            "the day's quota is used up",
            id="429 of the day",
        ),
        pytest.param(api_error(500, body(500, "INTERNAL")), Overloaded, "HTTP 500", id="500"),
        pytest.param(
            api_error(502, {"message": "<html><h1>Bad gateway</h1>", "status": "Bad Gateway"}),
            Overloaded,
            "for the moment (HTTP 502).",
            id="502 with a page",
        ),
        pytest.param(api_error(503, body(503, "UNAVAILABLE")), Overloaded, "HTTP 503", id="503"),
        pytest.param(
            api_error(504, body(504, "DEADLINE_EXCEEDED")), Overloaded, "HTTP 504", id="504"
        ),
        pytest.param(
            vendor.APIError(302, {"message": "moved"}), BadAnswer, "cannot be read", id="302"
        ),
        pytest.param(
            vendor.APIError(0, {"error": {"code": "odd", "message": None}}),
            BadAnswer,
            "cannot be read.",
            id="no code",
        ),
        pytest.param(
            vendor.APIError(429, [{"error": {"details": ["text", {}]}}, {}]),
            RateLimited,
            "HTTP 429",
            id="a list of errors",
        ),
    ],
)
def test_errors_of_the_api_are_mapped(
    error: vendor.APIError, kind: type[ProviderError], words: str, provider: GeminiProvider
):
    found = raised(provider, error)
    assert type(found) is kind
    assert words in found.message
    assert found.status in {error.code, None}


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        pytest.param(
            api_error(429, body(429, "RESOURCE_EXHAUSTED", "x", retry_info("34.074824224s"))),
            34.074824224,
            id="RetryInfo",
        ),
        pytest.param(
            api_error(429, body(429, "RESOURCE_EXHAUSTED", "x", retry_info("86400s"))),
            86400.0,
            id="a whole day",
        ),
        pytest.param(
            api_error(503, body(503, "UNAVAILABLE"), {"Retry-After": "7"}), 7.0, id="Retry-After"
        ),
        pytest.param(
            api_error(
                429, body(429, "RESOURCE_EXHAUSTED", "x", retry_info("3s")), {"Retry-After": "7"}
            ),
            3.0,
            id="RetryInfo before Retry-After",
        ),
        pytest.param(
            api_error(429, body(429, "RESOURCE_EXHAUSTED", "x", retry_info("soon"))),
            None,
            id="nonsense",
        ),
        pytest.param(api_error(429, body(429, "RESOURCE_EXHAUSTED")), None, id="nothing said"),
        pytest.param(
            api_error(400, body(400, "INVALID_ARGUMENT", "x", retry_info("3s"))),
            None,
            id="of no use",
        ),
    ],
)
def test_the_wait_asked_for_is_kept(
    error: vendor.APIError, seconds: float | None, provider: GeminiProvider
):
    assert raised(provider, error).retry_after == seconds


HTTP_ERRORS: dict[str, tuple[type[ProviderError], type[ProviderError]]] = {
    # Class: what it is before anything of an answer came, and after.
    "ConnectTimeout": (TimedOut, TimedOut),
    "PoolTimeout": (TimedOut, TimedOut),
    "ReadTimeout": (TimedOut, TimedOut),
    "WriteTimeout": (TimedOut, TimedOut),
    "TimeoutException": (TimedOut, TimedOut),
    "ConnectError": (ConnectionFailed, StreamInterrupted),
    "ProxyError": (ConnectionFailed, StreamInterrupted),
    "ReadError": (ConnectionFailed, StreamInterrupted),
    "WriteError": (ConnectionFailed, StreamInterrupted),
    "CloseError": (ConnectionFailed, StreamInterrupted),
    "NetworkError": (ConnectionFailed, StreamInterrupted),
    "ProtocolError": (ConnectionFailed, StreamInterrupted),
    "RemoteProtocolError": (ConnectionFailed, StreamInterrupted),
    "TransportError": (ConnectionFailed, StreamInterrupted),
    "LocalProtocolError": (BadRequest, BadRequest),
    "UnsupportedProtocol": (BadRequest, BadRequest),
    "InvalidURL": (BadRequest, BadRequest),
    "DecodingError": (BadAnswer, StreamInterrupted),
    "TooManyRedirects": (BadAnswer, StreamInterrupted),
    "RequestError": (BadAnswer, StreamInterrupted),
    "HTTPError": (BadAnswer, StreamInterrupted),
    "HTTPStatusError": (BadAnswer, StreamInterrupted),
    "SSEError": (BadAnswer, StreamInterrupted),
    "StreamError": (BadAnswer, StreamInterrupted),
    "StreamConsumed": (BadAnswer, StreamInterrupted),
    "StreamClosed": (BadAnswer, StreamInterrupted),
    "ResponseNotRead": (BadAnswer, StreamInterrupted),
    "RequestNotRead": (BadAnswer, StreamInterrupted),
    "CookieConflict": (BadAnswer, StreamInterrupted),
}


def http_classes(package: Any) -> list[type[Exception]]:
    return [
        cls
        for _, cls in inspect.getmembers(package, inspect.isclass)
        if issubclass(cls, Exception) and not issubclass(cls, Warning)
    ]


def make(cls: type[Exception]) -> Exception:
    error = cls.__new__(cls)
    Exception.__init__(error, "words of the transport")
    return error


@pytest.mark.parametrize(
    "cls",
    [*http_classes(httpx), *http_classes(httpx2)],
    ids=lambda cls: f"{cls.__module__}.{cls.__name__}",
)
def test_every_error_of_both_http_packages_is_mapped(
    cls: type[Exception], provider: GeminiProvider
):
    before, after = HTTP_ERRORS[cls.__name__]
    assert type(raised(provider, make(cls))) is before
    assert type(raised(provider, make(cls), after="Hel")) is after


@pytest.mark.parametrize(
    ("cls", "after", "stage"),
    [
        (httpx2.ConnectTimeout, "", "connect"),
        (httpx2.ReadTimeout, "", "first_token"),
        (httpx2.ReadTimeout, "Hel", "between_tokens"),
    ],
)
def test_a_timeout_says_what_was_waited_for(
    cls: type[Exception], after: str, stage: str, provider: GeminiProvider
):
    error = raised(provider, make(cls), after=after)
    assert isinstance(error, TimedOut)
    assert error.stage == stage


def test_an_address_at_which_nothing_answers_is_named(provider: GeminiProvider):
    error = raised(provider, make(httpx2.ConnectError))
    assert "https://generativelanguage.googleapis.com" in error.message


def test_a_certificate_that_is_not_trusted_is_told_from_a_dead_line(provider: GeminiProvider):
    import ssl

    error = make(httpx2.ConnectError)
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    assert "SSL_CERT_FILE" in raised(provider, error).message


def invalid() -> pydantic.ValidationError:
    try:
        pydantic.TypeAdapter(int).validate_python("x")
    except pydantic.ValidationError as exc:
        return exc
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(vendor.UnknownApiResponseError("Failed to parse"), id="not JSON"),
        pytest.param(invalid(), id="JSON of another shape"),
        pytest.param(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), id="not UTF-8"),
        pytest.param(TypeError("'<=' not supported"), id="an error without a code"),
        pytest.param(AttributeError("'list' object has no attribute 'get'"), id="a list"),
        pytest.param(KeyError("candidates"), id="a missing key"),
    ],
)
def test_what_the_sdk_cannot_read_is_a_bad_answer(error: Exception, provider: GeminiProvider):
    found = raised(provider, error)
    assert type(found) is BadAnswer
    assert type(error).__name__ in found.message
    assert type(raised(provider, error, after="Hel")) is StreamInterrupted


@pytest.mark.parametrize("error", [OSError("broken"), ConnectionResetError("reset")])
def test_errors_of_the_operating_system_are_a_broken_line(error: OSError, provider: GeminiProvider):
    assert type(raised(provider, error)) is ConnectionFailed
    assert type(raised(provider, error, after="Hel")) is StreamInterrupted


def test_words_of_the_vendor_are_shortened_and_never_show_the_key(provider: GeminiProvider):
    message = f"no such key: {KEY}\n" + "and so on " * 100
    error = raised(provider, api_error(403, body(403, "PERMISSION_DENIED", message)))
    assert KEY not in error.message
    assert "\n" not in error.message
    assert len(error.message) < 400
