"""The Ollama provider against the SDK's own types: its address, its windows, every failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest

from llmflowlab.errors import (
    BadAnswer,
    InputError,
    NotConfigured,
    ProviderError,
    StreamInterrupted,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import (
    Finished,
    FinishReason,
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
from tests.providers.ollama_fakes import HELLO, SettingsFrom, done, fake, part


@pytest.fixture
def settings_from(tmp_path: Path) -> SettingsFrom:
    def make(**environ: str) -> Settings:
        return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)

    return make


@pytest.fixture
def provider(settings_from: SettingsFrom, requests_allowed: None) -> OllamaProvider:
    return OllamaProvider("llama3.2", settings_from())


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


def test_a_bare_name_means_the_default_model_or_the_one_that_is_set(settings_from: SettingsFrom):
    assert build("ollama", settings_from()).model == "llama3.2"
    assert build("ollama", settings_from(LLMFLOWLAB_OLLAMA_MODEL="qwen3:4b")).model == "qwen3:4b"
    assert OllamaProvider.free
