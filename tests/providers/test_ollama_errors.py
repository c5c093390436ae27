"""What becomes of the Ollama SDK's errors and of a line that breaks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import ollama
import pydantic
import pytest

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ConfigurationError,
    ConnectionFailed,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.providers.ollama.provider import OllamaProvider
from llmflowlab.settings import Settings, load_settings
from tests.providers.ollama_fakes import HELLO, SettingsFrom, fake, part


@pytest.fixture
def settings_from(tmp_path: Path) -> SettingsFrom:
    def make(**environ: str) -> Settings:
        return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)

    return make


@pytest.fixture
def provider(settings_from: SettingsFrom, requests_allowed: None) -> OllamaProvider:
    return OllamaProvider("llama3.2", settings_from())


# -- failures --------------------------------------------------------------------------------------


def raised(provider: OllamaProvider, error: Exception, *, after: str = "") -> ProviderError:
    def chat(*args: Any, **sent: Any) -> Iterator[ollama.ChatResponse]:
        if after:
            yield part(after)
        raise error

    fake(provider, chat=chat)
    with pytest.raises(ProviderError) as caught:
        list(provider.stream(HELLO))
    assert (caught.value.provider, caught.value.model) == ("ollama", "llama3.2")
    assert caught.value.__cause__ is error
    return caught.value


def test_every_error_class_of_the_sdk_is_known():
    found = {
        name
        for module in (ollama, ollama._client, ollama._types)
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, BaseException) and cls.__module__.startswith("ollama")
    }
    assert found == {"RequestError", "ResponseError"}, "map the new class in ollama.py"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        pytest.param(
            ollama.ResponseError("model 'llama3.2' not found", 404),
            UnknownModel,
            "Ollama has no model 'llama3.2'; run `ollama pull llama3.2`.",
            id="404",
        ),
        pytest.param(
            ollama.ResponseError("404 page not found", 404), BadAnswer, "OLLAMA_HOST", id="not it"
        ),
        pytest.param(
            ollama.ResponseError('{"error": "unauthorized"}', 401),
            AuthenticationFailed,
            "Ollama refused the key: unauthorized. Set OLLAMA_API_KEY.",
            id="401",
        ),
        pytest.param(ollama.ResponseError("no", 403), AuthenticationFailed, "key", id="403"),
        pytest.param(
            ollama.ResponseError('"x" does not support chat', 400),
            BadRequest,
            'Ollama refused the request: "x" does not support chat.',
            id="400",
        ),
        pytest.param(
            ollama.ResponseError("the input length exceeds the context length", 400),
            ContextTooLong,
            "too long for llama3.2",
            id="too long",
        ),
        pytest.param(ollama.ResponseError("limit", 429), RateLimited, "HTTP 429", id="429"),
        pytest.param(
            ollama.ResponseError(
                "model requires more system memory (8 GiB) than is available", 500
            ),
            BadRequest,
            "more system memory",
            id="too big for this machine",
        ),
        pytest.param(
            ollama.ResponseError("llama runner process has terminated", 500),
            Overloaded,
            "runner process has terminated",
            id="500",
        ),
        pytest.param(
            ollama.ResponseError("<html>Bad gateway</html>", 502),
            Overloaded,
            "for the moment.",
            id="502 with a page",
        ),
        pytest.param(ollama.ResponseError("CUDA error"), Overloaded, "CUDA error.", id="in stream"),
        pytest.param(
            ollama.RequestError("must provide a model"), BadRequest, "provide a model", id="SDK"
        ),
    ],
)
def test_errors_of_the_server_are_mapped(
    error: Exception, kind: type[ProviderError], words: str, provider: OllamaProvider
):
    found = raised(provider, error)
    assert type(found) is kind
    assert words in found.message
    assert found.status != -1


def test_a_refused_connection_names_the_address_in_plain_calls_and_in_streams(
    provider: OllamaProvider,
):
    expected = (
        "Nothing answers at http://localhost:11434; start Ollama (`ollama serve`), "
        "install it or set OLLAMA_HOST."
    )
    for error in (ConnectionError("Failed to connect to Ollama."), httpx.ConnectError("refused")):
        found = raised(provider, error)
        assert (type(found), found.message) == (ConnectionFailed, expected)


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        pytest.param(httpx.ReadTimeout("x"), TimedOut, TimedOut, id="silence"),
        pytest.param(httpx.ReadError("x"), ConnectionFailed, StreamInterrupted, id="reset"),
        pytest.param(
            httpx.RemoteProtocolError("x"), ConnectionFailed, StreamInterrupted, id="drop"
        ),
        pytest.param(ValueError("not JSON"), BadAnswer, StreamInterrupted, id="not JSON"),
        pytest.param(AttributeError("get"), BadAnswer, StreamInterrupted, id="a list"),
        pytest.param(TypeError("not str"), BadAnswer, StreamInterrupted, id="an odd error"),
        pytest.param(
            pydantic.ValidationError.from_exception_data("ChatResponse", []),
            BadAnswer,
            StreamInterrupted,
            id="another shape",
        ),
    ],
)
def test_a_line_that_breaks_is_told_apart_before_and_in_the_answer(
    error: Exception,
    before: type[ProviderError],
    after: type[ProviderError],
    provider: OllamaProvider,
):
    assert type(raised(provider, error)) is before
    assert type(raised(provider, error, after="Hel")) is after


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda p: list(p.stream(HELLO)), id="stream"),
        pytest.param(lambda p: p.list_models(), id="list_models"),
        pytest.param(lambda p: p.context_window(), id="context_window"),
        pytest.param(lambda p: list(p.pull()), id="pull"),
    ],
)
def test_nothing_is_sent_where_requests_are_switched_off(
    use: Callable[[OllamaProvider], object], settings: Settings
):
    with pytest.raises(ConfigurationError, match="switched off"):
        use(OllamaProvider("llama3.2", settings))
