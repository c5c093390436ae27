"""The Gemini provider against the SDK's own types: what is sent, what is read, what is reported."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
from google.genai import types

from llmflowlab.errors import (
    BadAnswer,
    ConfigurationError,
    InputError,
    NotConfigured,
    RefusedBySafety,
    StreamInterrupted,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import (
    Finished,
    ModelInfo,
    Readiness,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.event_loop import blocking
from llmflowlab.providers.factory import build
from llmflowlab.providers.gemini.provider import GeminiProvider
from llmflowlab.providers.gemini.replies import FINISH_REASONS
from llmflowlab.settings import Settings, load_settings

KEY = "AIza-not-a-real-key-1234567890"
HELLO = Request(messages=(Message("user", "Say hello"),))

T = TypeVar("T")
SettingsFrom = Callable[..., Settings]


@pytest.fixture
def settings_from(tmp_path: Path) -> SettingsFrom:
    def make(**environ: str) -> Settings:
        return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)

    return make


class FakeModels:
    """The part of the SDK's client that the provider uses, answering with the SDK's own types."""

    def __init__(self, *chunks: types.GenerateContentResponse) -> None:
        self.chunks = chunks
        self.sent: dict[str, Any] = {}
        self.listed: list[types.Model] = []
        self.asked = 0

    async def generate_content_stream(
        self, **sent: Any
    ) -> AsyncIterator[types.GenerateContentResponse]:
        self.sent = sent
        return each(self.chunks)

    async def list(self, *, config: types.ListModelsConfig) -> AsyncIterator[types.Model]:
        return each(self.listed)

    async def get(self, *, model: str, config: types.GetModelConfig) -> types.Model:
        self.asked += 1
        return self.listed[0]


async def each(values: Iterable[T]) -> AsyncIterator[T]:
    for value in values:
        yield value


@pytest.fixture
def provider(settings_from: SettingsFrom, requests_allowed: None) -> GeminiProvider:
    return GeminiProvider("gemini-2.5-flash", settings_from(GEMINI_API_KEY=KEY))


def fake(provider: GeminiProvider, *chunks: dict[str, Any]) -> FakeModels:
    models = FakeModels(*(types.GenerateContentResponse.model_validate(c) for c in chunks))
    provider._client_made = cast("Any", SimpleNamespace(models=models))
    return models


def chunk(
    *parts: dict[str, Any],
    finish: str | None = None,
    usage: dict[str, int] | None = None,
    **more: Any,
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    made: dict[str, Any] = {"candidates": [candidate], "modelVersion": "gemini-2.5-flash-001"}
    if usage is not None:
        made["usageMetadata"] = usage
    return made | more


def text(value: str) -> dict[str, Any]:
    return {"text": value}


def events_of(provider: GeminiProvider, *chunks: dict[str, Any]) -> list[StreamEvent]:
    fake(provider, *chunks)
    return list(provider.stream(HELLO))


def test_text_thoughts_usage_and_version_are_read(provider: GeminiProvider):
    found = events_of(
        provider,
        chunk({"text": "Let me think", "thought": True}, usage={"promptTokenCount": 8}),
        chunk(text("Hel")),
        chunk(
            text("lo"),
            finish="STOP",
            usage={
                "promptTokenCount": 8,
                "candidatesTokenCount": 2,
                "thoughtsTokenCount": 30,
                "cachedContentTokenCount": 4,
                "totalTokenCount": 40,
            },
        ),
    )
    assert found == [
        ReasoningDelta("Let me think"),
        UsageReport(Usage(prompt_tokens=8)),
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(
            Usage(prompt_tokens=8, completion_tokens=32, cached_tokens=4, reasoning_tokens=30)
        ),
        Finished("stop", "gemini-2.5-flash-001"),
    ]


def test_a_count_that_a_later_chunk_leaves_out_is_kept(provider: GeminiProvider):
    found = events_of(
        provider,
        chunk(text("a"), usage={"promptTokenCount": 8}),
        chunk(text("b"), finish="STOP", usage={"candidatesTokenCount": 2}),
    )
    assert UsageReport(Usage(prompt_tokens=8, completion_tokens=2)) in found


@pytest.mark.parametrize("before", [{"candidatesTokenCount": 2}, {"thoughtsTokenCount": 2}, {}])
@pytest.mark.parametrize("last", [{"thoughtsTokenCount": 2}, {}])
def test_text_after_the_last_count_leaves_the_answer_without_one(
    before: dict[str, int], last: dict[str, int], provider: GeminiProvider
):
    found = events_of(
        provider,
        chunk(text("a"), usage={"promptTokenCount": 8} | before),
        chunk(text("b"), finish="STOP", usage={"promptTokenCount": 8} | last),
    )
    counted = [event.usage for event in found if isinstance(event, UsageReport)]
    assert (counted[-1].prompt_tokens, counted[-1].completion_tokens) == (8, None)


def test_thoughts_that_use_up_the_limit_end_in_an_empty_answer_not_a_crash(
    provider: GeminiProvider,
):
    usage = {"promptTokenCount": 8, "thoughtsTokenCount": 64}
    empty = {"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": usage}
    assert events_of(provider, empty) == [
        UsageReport(Usage(prompt_tokens=8, completion_tokens=64, reasoning_tokens=64)),
        Finished("length"),
    ]


def test_every_finish_reason_of_the_sdk_is_known():
    known = {
        reason.name for reason in types.FinishReason if not reason.name.endswith("UNSPECIFIED")
    }
    # Our table may know reasons of a newer SDK than the oldest supported one, never fewer.
    assert known <= set(FINISH_REASONS)


@pytest.mark.parametrize("name", sorted(FINISH_REASONS))
def test_a_finish_reason_after_text_ends_the_answer(name: str, provider: GeminiProvider):
    # The oldest supported SDK warns of reasons that only the newest knows.
    warnings.simplefilter("ignore", UserWarning)
    found = events_of(provider, chunk(text("Hello"), finish=name))
    assert found[-1] == Finished(FINISH_REASONS[name], "gemini-2.5-flash-001")


@pytest.mark.parametrize(
    "name", sorted(name for name, reason in FINISH_REASONS.items() if reason == "safety")
)
def test_a_filter_that_stopped_the_answer_before_any_text_is_a_refusal(
    name: str, provider: GeminiProvider
):
    warnings.simplefilter("ignore", UserWarning)
    with pytest.raises(RefusedBySafety, match=name) as caught:
        events_of(provider, chunk(finish=name))
    assert (caught.value.provider, caught.value.model) == ("gemini", "gemini-2.5-flash")


def test_a_malformed_answer_without_text_is_a_bad_answer(provider: GeminiProvider):
    with pytest.raises(BadAnswer, match="MALFORMED_FUNCTION_CALL"):
        events_of(provider, chunk(finish="MALFORMED_FUNCTION_CALL"))


def test_a_finish_reason_newer_than_the_sdk_counts_as_other(
    settings_from: SettingsFrom, requests_allowed: None
):
    provider = GeminiProvider("gemini-2.5-flash", settings_from(GEMINI_API_KEY=KEY))
    # Making the client sets the filter that keeps the SDK's warning off the screen.
    provider.prepare()
    provider.close()
    found = events_of(provider, chunk(text("Hello"), finish="BORED"))
    assert found[-1] == Finished("other", "gemini-2.5-flash-001")


def test_a_blocked_prompt_is_a_refusal_and_its_tokens_are_reported(provider: GeminiProvider):
    fake(
        provider,
        {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
        },
    )
    stream = provider.stream(HELLO)
    assert next(stream) == UsageReport(Usage(prompt_tokens=8))
    with pytest.raises(RefusedBySafety, match="PROHIBITED_CONTENT"):
        next(stream)


def test_a_block_in_the_middle_ends_the_answer_as_a_safety_stop(provider: GeminiProvider):
    found = events_of(provider, chunk(text("Hel")), {"promptFeedback": {"blockReason": "SAFETY"}})
    assert found[-1] == Finished("safety", "gemini-2.5-flash-001")


@pytest.mark.parametrize(
    ("chunks", "error"),
    [
        pytest.param([], BadAnswer, id="nothing"),
        pytest.param([{}], BadAnswer, id="an empty chunk"),
        pytest.param([chunk(finish="FINISH_REASON_UNSPECIFIED")], BadAnswer, id="unspecified"),
        pytest.param([chunk(text("Hel"))], StreamInterrupted, id="half an answer"),
    ],
)
def test_an_answer_without_an_end_is_an_error(
    chunks: list[dict[str, Any]], error: type[Exception], provider: GeminiProvider
):
    with pytest.raises(error, match="without saying that it was finished"):
        events_of(provider, *chunks)


def test_parts_that_are_not_text_are_passed_over(provider: GeminiProvider):
    call = {"functionCall": {"name": "search", "args": {}}}
    found = events_of(provider, chunk(call, text("Hello"), finish="STOP"))
    assert [event for event in found if isinstance(event, TextDelta)] == [TextDelta("Hello")]


def test_the_whole_request_is_sent(provider: GeminiProvider):
    schema = {"type": "object", "properties": {"result": {"type": "string"}}}
    models = fake(provider, chunk(text("x"), finish="STOP"))
    request = Request(
        messages=(Message("user", "a"), Message("assistant", "b"), Message("user", "c")),
        system="Be brief",
        parameters=Parameters(temperature=0.0, top_p=0.5, max_tokens=64, seed=7),
        response_schema=schema,
    )
    list(provider.stream(request))
    assert models.sent["model"] == "gemini-2.5-flash"
    assert [(c.role, c.parts[0].text) for c in models.sent["contents"]] == [
        ("user", "a"),
        ("model", "b"),
        ("user", "c"),
    ]
    config: types.GenerateContentConfig = models.sent["config"]
    assert config.system_instruction == "Be brief"
    assert (config.temperature, config.top_p) == (0.0, 0.5)
    assert (config.max_output_tokens, config.seed) == (64, 7)
    assert (config.response_mime_type, config.response_json_schema) == ("application/json", schema)


def test_what_is_not_set_is_left_to_the_model(provider: GeminiProvider):
    models = fake(provider, chunk(text("x"), finish="STOP"))
    list(provider.stream(HELLO))
    sent = models.sent["config"].model_dump(exclude_none=True)
    assert set(sent) == {"automatic_function_calling"}


def test_only_models_that_chat_are_listed_the_default_first(provider: GeminiProvider):
    def model(name: str, *actions: str, window: int | None = None) -> types.Model:
        return types.Model(
            name=f"models/{name}",
            display_name=name.title(),
            input_token_limit=window,
            supported_actions=list(actions),
        )

    fake(provider).listed = [
        model("gemma-3", "generateContent", window=32768),
        model("text-embedding-004", "embedContent"),
        model("gemini-2.5-pro", "generateContent", "countTokens", window=1048576),
        model("gemini-2.5-flash", "generateContent"),
    ]
    assert provider.list_models() == [
        ModelInfo("gemini-2.5-flash", None, "Gemini-2.5-Flash"),
        ModelInfo("gemini-2.5-pro", 1048576, "Gemini-2.5-Pro"),
        ModelInfo("gemma-3", 32768, "Gemma-3"),
    ]


def test_the_window_is_asked_for_once(provider: GeminiProvider):
    models = fake(provider)
    models.listed = [types.Model(name="models/gemini-2.5-flash", input_token_limit=1048576)]
    assert (provider.context_window(), provider.context_window()) == (1048576, 1048576)
    assert models.asked == 1


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda p: list(p.stream(HELLO)), id="stream"),
        pytest.param(lambda p: p.list_models(), id="list_models"),
        pytest.param(lambda p: p.context_window(), id="context_window"),
    ],
)
def test_nothing_is_sent_where_requests_are_switched_off(
    use: Callable[[GeminiProvider], object], settings_from: SettingsFrom
):
    provider = GeminiProvider("gemini-2.5-flash", settings_from(GEMINI_API_KEY=KEY))
    with pytest.raises(ConfigurationError, match="switched off"):
        use(provider)


# -- configuration ---------------------------------------------------------------------------------


def client_of(settings: Settings) -> Any:
    provider = GeminiProvider("gemini-2.5-flash", settings)
    provider.prepare()
    client = provider._client()
    provider.close()
    return client.models._api_client


def test_the_client_is_made_of_the_settings_alone(
    settings_from: SettingsFrom, monkeypatch: pytest.MonkeyPatch
):
    # The SDK reads all of these by itself unless it is told otherwise.
    for name, value in {
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_GENAI_USE_ENTERPRISE": "true",
        "GOOGLE_CLOUD_PROJECT": "elsewhere",
        "GOOGLE_CLOUD_LOCATION": "europe-west1",
        "GOOGLE_GEMINI_BASE_URL": "https://elsewhere.example",
        "GOOGLE_VERTEX_BASE_URL": "https://elsewhere.example",
        "GOOGLE_GENAI_API_VERSION": "v9",
        "GOOGLE_API_KEY": "AIza-from-the-environment",
    }.items():
        monkeypatch.setenv(name, value)
    api = client_of(settings_from(GEMINI_API_KEY=KEY))
    assert (api.vertexai, api.api_key) == (False, KEY)
    assert api._http_options.base_url == "https://generativelanguage.googleapis.com"
    assert api._http_options.api_version == "v1beta"


@pytest.mark.parametrize(
    ("given", "used"), [("v1", "v1"), ("v1alpha", "v1alpha"), ("beta", "v1beta")]
)
def test_address_and_api_version_can_be_set(given: str, used: str, settings_from: SettingsFrom):
    settings = settings_from(
        GEMINI_API_KEY=KEY,
        GOOGLE_GEMINI_BASE_URL="http://localhost:8080/gemini",
        GOOGLE_GENAI_API_VERSION=given,
    )
    options = client_of(settings)._http_options
    assert (options.base_url, options.api_version) == ("http://localhost:8080/gemini", used)


def test_google_api_key_wins_as_in_the_sdk(settings_from: SettingsFrom):
    settings = settings_from(GEMINI_API_KEY="AIza-gemini", GOOGLE_API_KEY=f" {KEY} ")
    assert client_of(settings).api_key == KEY
    assert GeminiProvider.readiness(settings, 1.0) == Readiness(True, "GOOGLE_API_KEY is set")


def test_two_keys_in_the_environment_make_the_sdk_write_nothing(
    settings_from: SettingsFrom, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    with caplog.at_level(logging.DEBUG, logger="root"):
        client_of(settings_from(**os.environ))
    assert [r for r in caplog.records if r.name.startswith("google") and r.levelno > 20] == []


def test_deadlines_of_every_kind_reach_the_request(settings_from: SettingsFrom):
    settings = settings_from(
        GEMINI_API_KEY=KEY,
        LLMFLOWLAB_CONNECT_TIMEOUT="3",
        LLMFLOWLAB_FIRST_TOKEN_TIMEOUT="20",
        LLMFLOWLAB_TOKEN_TIMEOUT="30",
    )
    (deadlines,) = client_of(settings)._async_httpx_client.event_hooks["request"][-1:]
    none = dict.fromkeys(("connect", "read", "write", "pool"))
    request = SimpleNamespace(extensions={"timeout": none, "trace": "kept"})
    blocking(deadlines(request))
    assert request.extensions == {
        "timeout": {"connect": 3.0, "read": 35.0, "write": 35.0, "pool": None},
        "trace": "kept",
    }
    short = SimpleNamespace(extensions={"timeout": dict.fromkeys(none, 9.0)})
    blocking(deadlines(short))
    assert short.extensions["timeout"]["read"] == 9.0


def test_the_key_stays_out_of_what_python_shows(settings_from: SettingsFrom):
    provider = GeminiProvider("gemini-2.5-flash", settings_from(GEMINI_API_KEY=KEY))
    assert KEY not in repr(provider) + repr(provider.settings)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, Readiness(False, "set GEMINI_API_KEY"), id="no key"),
        pytest.param({"GEMINI_API_KEY": KEY}, Readiness(True, "GEMINI_API_KEY is set"), id="key"),
        pytest.param(
            {
                "GEMINI_API_KEY": KEY,
                "GOOGLE_GEMINI_BASE_URL": "http://name:secret@localhost:8080/x?key=1",
            },
            Readiness(True, "GEMINI_API_KEY is set, http://localhost:8080/x"),
            id="other address",
        ),
        pytest.param(
            {"GEMINI_API_KEY": "AIza with a blank"},
            Readiness(
                False, "GEMINI_API_KEY holds characters that no key has; copy the key again."
            ),
            id="broken key",
        ),
        pytest.param(
            {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": "localhost:8080"},
            Readiness(
                False,
                "GOOGLE_GEMINI_BASE_URL is no address; "
                "write it as in https://host or http://host:port.",
            ),
            id="broken address",
        ),
    ],
)
def test_readiness_says_what_is_there_or_missing(
    environ: dict[str, str], expected: Readiness, settings_from: SettingsFrom
):
    assert GeminiProvider.readiness(settings_from(**environ), 1.0) == expected


def test_without_a_key_nothing_is_built_and_the_error_names_the_variable(settings: Settings):
    with pytest.raises(NotConfigured, match="set GEMINI_API_KEY") as caught:
        GeminiProvider("gemini-2.5-flash", settings)
    assert caught.value.provider == "gemini"


@pytest.mark.parametrize("key", ["schlüssel", "two words", "line\nbreak"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str, settings_from: SettingsFrom):
    with pytest.raises(NotConfigured) as caught:
        GeminiProvider("gemini-2.5-flash", settings_from(GEMINI_API_KEY=key))
    assert key not in str(caught.value)


@pytest.mark.parametrize("address", ["localhost:1", "ftp://host", "http://", "http://host:99999"])
def test_an_unusable_address_is_refused(address: str, settings_from: SettingsFrom):
    settings = settings_from(GEMINI_API_KEY=KEY, GOOGLE_GEMINI_BASE_URL=address)
    with pytest.raises(NotConfigured, match="GOOGLE_GEMINI_BASE_URL"):
        GeminiProvider("gemini-2.5-flash", settings)


@pytest.mark.parametrize("model", ["", "a b", "../secrets", "x?key=1", "x&y", "modèle"])
def test_a_name_that_does_not_fit_into_a_url_is_refused(model: str, settings_from: SettingsFrom):
    with pytest.raises(InputError, match="no name of a Gemini model"):
        GeminiProvider(model, settings_from(GEMINI_API_KEY=KEY))


def test_the_sdks_form_of_a_name_means_the_same_model(settings_from: SettingsFrom):
    provider = GeminiProvider("models/gemini-2.5-pro", settings_from(GEMINI_API_KEY=KEY))
    assert (provider.model, provider.reference) == ("gemini-2.5-pro", "gemini:gemini-2.5-pro")


def test_a_bare_name_means_the_default_model(settings_from: SettingsFrom):
    assert build("gemini", settings_from(GEMINI_API_KEY=KEY)).model == "gemini-2.5-flash"
