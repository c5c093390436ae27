"""The Ollama provider against the SDK's own types: its address, its windows, every failure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

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
    InputError,
    NotConfigured,
    Overloaded,
    ProviderError,
    RateLimited,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import (
    Finished,
    FinishReason,
    ModelInfo,
    PullProgress,
    ReasoningDelta,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.factory import build
from llmflowlab.providers.ollama.address import read_address
from llmflowlab.providers.ollama.provider import OllamaProvider
from llmflowlab.providers.ollama.wire import reduced
from llmflowlab.settings import Settings, load_settings

HELLO = Request(messages=(Message("user", "Say hello"),))

SettingsFrom = Callable[..., Settings]


@pytest.fixture
def settings_from(tmp_path: Path) -> SettingsFrom:
    def make(**environ: str) -> Settings:
        return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)

    return make


@pytest.fixture
def provider(settings_from: SettingsFrom, requests_allowed: None) -> OllamaProvider:
    return OllamaProvider("llama3.2", settings_from())


def fake(provider: OllamaProvider, **methods: Any) -> SimpleNamespace:
    client = SimpleNamespace(close=lambda: None, **methods)
    provider._client_made = cast("ollama.Client", client)
    return client


def part(content: str = "", *, thinking: str | None = None, **more: Any) -> ollama.ChatResponse:
    message = {"role": "assistant", "content": content, "thinking": thinking}
    return ollama.ChatResponse.model_validate(
        {"model": "llama3.2", "message": message, "done": False} | more
    )


def done(**more: Any) -> ollama.ChatResponse:
    return part(**{"done": True, "done_reason": "stop", **more})


# -- address ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "1.2.3.4",
        ":56789",
        "1.2.3.4:56789",
        "http://1.2.3.4",
        "https://1.2.3.4",
        "https://1.2.3.4:56789",
        "example.com",
        "example.com:56789",
        "http://example.com",
        "https://example.com",
        "example.com/",
        "example.com:56789/path",
        "example.com/path/",
        "https://example.com:56789/path",
        "[0001:002:003:0004::1]",
        "[0001:002:003:0004::1]:56789",
        "http://[0001:002:003:0004::1]",
        "https://[0001:002:003:0004::1]:56789/path",
        "",
    ],
)
def test_every_form_of_the_address_is_read_as_the_sdk_reads_it(
    host: str, settings_from: SettingsFrom
):
    from ollama._client import _parse_host

    assert read_address(settings_from(OLLAMA_HOST=host)).url == _parse_host(host)


@pytest.mark.parametrize(
    ("host", "url", "shown"),
    [
        ("", "http://127.0.0.1:11434", "http://localhost:11434"),
        # Set for the server, which then listens everywhere; clients find it at home.
        ("0.0.0.0", "http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::]:8000", "http://[::1]:8000", "http://[::1]:8000"),
        (' "example.com:1" ', "http://example.com:1", "http://example.com:1"),
        ("http://me:secret@example.com", "http://example.com:80", "http://example.com:80"),
    ],
)
def test_other_addresses_lead_where_a_client_can_go(
    host: str, url: str, shown: str, settings_from: SettingsFrom
):
    address = read_address(settings_from(OLLAMA_HOST=host))
    assert (address.url, address.shown) == (url, shown)


@pytest.mark.parametrize("host", ["ftp://host", "host:port", "host:99999", "a b", "http://[::1"])
def test_an_unusable_address_is_refused(host: str, settings_from: SettingsFrom):
    with pytest.raises(NotConfigured, match="OLLAMA_HOST is no address"):
        OllamaProvider("llama3.2", settings_from(OLLAMA_HOST=host))


def test_the_client_is_made_of_the_settings_alone(
    settings_from: SettingsFrom, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OLLAMA_HOST", "http://elsewhere.example")
    monkeypatch.setenv("OLLAMA_API_KEY", "from-the-environment")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")
    settings = settings_from(OLLAMA_API_KEY="our-own", LLMFLOWLAB_CONNECT_TIMEOUT="3")
    provider = OllamaProvider("llama3.2", settings)
    client = provider._client()._client
    assert client.base_url == "http://127.0.0.1:11434"
    assert client.headers["authorization"] == "Bearer our-own"
    assert client.timeout == httpx.Timeout(125, connect=3, pool=None)
    # No proxy of the outside world stands between this machine and itself.
    assert client._mounts == {}
    provider.close()


# -- answers ---------------------------------------------------------------------------------------


def test_text_thinking_usage_and_end_are_read(provider: OllamaProvider):
    chunks = [
        part(thinking="hm"),
        part("Hel"),
        part("lo"),
        done(prompt_eval_count=11, eval_count=7),
    ]
    fake(provider, chat=lambda *args, **sent: iter(chunks))
    assert list(provider.stream(HELLO)) == [
        ReasoningDelta("hm"),
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Usage(prompt_tokens=11, completion_tokens=7)),
        Finished("stop", "llama3.2"),
    ]


@pytest.mark.parametrize("count", [None, 0])
def test_a_prompt_that_was_still_in_memory_has_no_count_not_zero(
    count: int | None, provider: OllamaProvider
):
    chunks = [part("a"), done(prompt_eval_count=count, eval_count=1)]
    fake(provider, chat=lambda *args, **sent: iter(chunks))
    usage = [e for e in provider.stream(HELLO) if isinstance(e, UsageReport)]
    assert usage == [UsageReport(Usage(prompt_tokens=None, completion_tokens=1))]


@pytest.mark.parametrize(
    ("given", "reason"),
    [("stop", "stop"), ("length", "length"), ("load", "other"), ("new", "other"), (None, "stop")],
)
def test_why_an_answer_ended_is_told(
    given: str | None, reason: FinishReason, provider: OllamaProvider
):
    fake(provider, chat=lambda *args, **sent: iter([part("a"), done(done_reason=given)]))
    assert list(provider.stream(HELLO))[-1] == Finished(reason, "llama3.2")


@pytest.mark.parametrize(("chunks", "kind"), [([], BadAnswer), ([part("Hel")], StreamInterrupted)])
def test_an_answer_without_an_end_is_an_error(
    chunks: list[ollama.ChatResponse], kind: type[ProviderError], provider: OllamaProvider
):
    fake(provider, chat=lambda *args, **sent: iter(chunks))
    with pytest.raises(kind, match="without saying that it was finished"):
        list(provider.stream(HELLO))


def test_a_call_of_a_tool_ends_an_answer_as_one_though_the_server_says_stop(
    provider: OllamaProvider,
):
    call = {"function": {"name": "look", "arguments": {"at": "it"}}}
    line = reduced({"model": "m", "message": {"content": "", "tool_calls": [call]}})
    chunks = [ollama.ChatResponse.model_validate(line), done()]
    fake(provider, chat=lambda *args, **sent: iter(chunks))
    last = list(provider.stream(HELLO))[-1]
    assert isinstance(last, Finished)
    assert last.reason == "tool_calls"


def test_the_seconds_of_loading_the_model_are_told(provider: OllamaProvider):
    chunks = [part("4"), done(load_duration=2_500_000_000)]
    fake(provider, chat=lambda *args, **sent: iter(chunks))
    last = list(provider.stream(HELLO))[-1]
    assert isinstance(last, Finished)
    assert last.load_seconds == 2.5


def sent_by(provider: OllamaProvider, request: Request) -> dict[str, Any]:
    sent: dict[str, Any] = {}

    def chat(model: str, messages: Any, **more: Any) -> Iterator[ollama.ChatResponse]:
        sent.update(more, model=model, messages=messages)
        return iter([done()])

    fake(provider, chat=chat)
    list(provider.stream(request))
    return sent


def test_the_whole_request_is_sent(settings_from: SettingsFrom, requests_allowed: None):
    schema = {"type": "object"}
    provider = OllamaProvider("llama3.2", settings_from(LLMFLOWLAB_OLLAMA_NUM_CTX="8192"))
    request = Request(
        messages=(Message("user", "a"), Message("assistant", "b"), Message("user", "c")),
        system="Be brief",
        parameters=Parameters(temperature=0.0, top_p=0.5, max_tokens=64, seed=0),
        response_schema=schema,
    )
    assert sent_by(provider, request) == {
        "model": "llama3.2",
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
        "stream": True,
        "options": {
            "temperature": 0.0,
            "top_p": 0.5,
            "num_predict": 64,
            "seed": 0,
            "num_ctx": 8192,
        },
        "format": schema,
    }


def test_what_is_not_set_is_left_to_the_server(provider: OllamaProvider):
    sent = sent_by(provider, HELLO)
    assert (sent["options"], sent["format"]) == (None, None)
    assert sent["messages"] == [{"role": "user", "content": "Say hello"}]


@pytest.mark.parametrize("value", ["0", "-1", "4k", "1.5", "٤"])
def test_an_unusable_context_size_is_refused(value: str, settings_from: SettingsFrom):
    with pytest.raises(InputError, match="LLMFLOWLAB_OLLAMA_NUM_CTX"):
        OllamaProvider("llama3.2", settings_from(LLMFLOWLAB_OLLAMA_NUM_CTX=value))


# -- models and windows ----------------------------------------------------------------------------


def card(name: str, family: str = "llama", size: int | None = 2019393189) -> dict[str, Any]:
    details = {"family": family, "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
    return {"model": name, "size": size, "details": details}


def test_models_are_listed_with_what_they_are_and_without_embedding_ones(
    provider: OllamaProvider,
):
    cards = [
        card("llama3.2:latest"),
        card("qwen3:4b", family="qwen3", size=None),
        card("nomic-embed-text:latest", family="nomic-bert"),
        {"model": "bare"},
    ]
    listed = ollama.ListResponse.model_validate({"models": cards})
    fake(provider, list=lambda: listed)
    assert provider.list_models() == [
        ModelInfo("llama3.2", None, "3.2B llama Q4_K_M, 2.0 GB"),
        ModelInfo("qwen3:4b", None, "3.2B qwen3 Q4_K_M"),
        ModelInfo("bare"),
    ]


@pytest.mark.parametrize(
    ("num_ctx", "parameters", "loaded", "made_for", "window"),
    [
        pytest.param(None, None, None, 131072, 4096, id="Ollama's default, not the model's most"),
        pytest.param(None, None, None, 2048, 2048, id="a model made for less"),
        pytest.param(None, None, 32768, 131072, 32768, id="as the server loaded it"),
        pytest.param(None, "stop x\nnum_ctx    8192\n", 32768, 131072, 8192, id="model's own"),
        pytest.param("16384", "num_ctx 8192", None, 131072, 16384, id="ours"),
        pytest.param("999999", None, None, 131072, 131072, id="ours, beyond the model"),
        pytest.param("16384", None, None, None, 16384, id="ours, the model's unknown"),
        pytest.param(None, None, None, None, 4096, id="nothing known"),
    ],
)
def test_the_window_is_the_one_in_effect(
    num_ctx: str | None,
    parameters: str | None,
    loaded: int | None,
    made_for: int | None,
    window: int,
    settings_from: SettingsFrom,
    requests_allowed: None,
):
    environ = {} if num_ctx is None else {"LLMFLOWLAB_OLLAMA_NUM_CTX": num_ctx}
    provider = OllamaProvider("llama3.2", settings_from(**environ))
    info = {"general.architecture": "llama"}
    shown = ollama.ShowResponse.model_validate(
        {
            "parameters": parameters,
            "model_info": info if made_for is None else {**info, "llama.context_length": made_for},
        }
    )
    models = [{"model": "other:latest", "context_length": 1}]
    if loaded is not None:
        models.append({"model": "llama3.2:latest", "context_length": loaded})
    running = ollama.ProcessResponse.model_validate({"models": models})
    fake(provider, show=lambda model: shown, ps=lambda: running)
    assert provider.context_window() == window


def test_a_known_window_is_not_asked_for_again(settings_from: SettingsFrom, requests_allowed: None):
    provider = OllamaProvider("llama3.2", settings_from(LLMFLOWLAB_OLLAMA_NUM_CTX="8192"))
    asked: list[str] = []

    def show(model: str) -> ollama.ShowResponse:
        asked.append(model)
        return ollama.ShowResponse.model_validate({"model_info": {}})

    fake(provider, show=show)
    assert (provider.context_window(), provider.context_window()) == (8192, 8192)
    assert asked == ["llama3.2"]


def test_no_window_is_known_where_the_server_does_not_say(provider: OllamaProvider):
    def show(model: str) -> ollama.ShowResponse:
        raise ollama.ResponseError("model 'llama3.2' not found", 404)

    fake(provider, show=show)
    assert provider.context_window() is None


# -- pull ------------------------------------------------------------------------------------------


def pull_with(
    provider: OllamaProvider, monkeypatch: pytest.MonkeyPatch, *lines: dict[str, Any] | Exception
) -> list[PullProgress]:
    def pull(model: str, *, stream: bool) -> Iterator[ollama.ProgressResponse]:
        for line in lines:
            if isinstance(line, Exception):
                raise line
            yield ollama.ProgressResponse.model_validate(line)

    client = SimpleNamespace(pull=pull, close=lambda: None)
    monkeypatch.setattr(provider, "_make_client", lambda seconds: client)
    return list(provider.pull())


def test_a_download_tells_its_progress(provider: OllamaProvider, monkeypatch: pytest.MonkeyPatch):
    found = pull_with(
        provider,
        monkeypatch,
        {"status": "pulling manifest"},
        {"status": "pulling 0123", "total": 100, "completed": 40},
        {"status": "success"},
    )
    assert found == [
        PullProgress("pulling manifest"),
        PullProgress("pulling 0123", 40, 100),
        PullProgress("success"),
    ]


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        pytest.param([{"status": "pulling manifest"}], ConnectionFailed, id="ends early"),
        pytest.param([], ConnectionFailed, id="nothing"),
        pytest.param(
            [ollama.ResponseError("pull model manifest: file does not exist")],
            UnknownModel,
            id="not in the library",
        ),
        pytest.param([httpx.ReadError("gone")], ConnectionFailed, id="broken line"),
    ],
)
def test_a_download_that_fails_says_so(
    lines: list[Any],
    kind: type[ProviderError],
    provider: OllamaProvider,
    monkeypatch: pytest.MonkeyPatch,
):
    with pytest.raises(kind):
        pull_with(provider, monkeypatch, *lines)


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


def test_a_bare_name_means_the_default_model_or_the_one_that_is_set(settings_from: SettingsFrom):
    assert build("ollama", settings_from()).model == "llama3.2"
    assert build("ollama", settings_from(LLMFLOWLAB_OLLAMA_MODEL="qwen3:4b")).model == "qwen3:4b"
    assert OllamaProvider.free
