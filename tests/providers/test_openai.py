"""What the OpenAI provider reads from the settings, and what becomes of the SDK's own types and errors."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import openai.lib.azure
import pytest
from openai.types import CompletionUsage, Model
from openai.types.chat.chat_completion_chunk import ChoiceLogprobs

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    NotConfigured,
    RefusedBySafety,
)
from llmflowlab.providers.base import (
    Finished,
    ReasoningDelta,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.openai.provider import OpenAIProvider
from llmflowlab.providers.openai.shared import FINISH_REASONS
from tests.providers.openai_fakes import (
    HELLO,
    KEY,
    SENT,
    chunk,
    events,
    failure,
    refused,
    settings_of,
)


@pytest.fixture
def provider(tmp_path: Path, requests_allowed: None) -> OpenAIProvider:
    return OpenAIProvider("gpt-4.1-mini", settings_of(tmp_path, OPENAI_API_KEY=KEY))


@pytest.mark.parametrize(
    ("environ", "ready", "text"),
    [
        ({}, False, "set OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": KEY}, True, "OPENAI_API_KEY is set"),
        (
            {"OPENAI_BASE_URL": "http://localhost:8000/v1"},
            True,
            "http://localhost:8000/v1, without a key",
        ),
        (
            {"OPENAI_BASE_URL": "https://me:secret@host/v1", "OPENAI_API_KEY": KEY},
            True,
            "https://host/v1, OPENAI_API_KEY is set",
        ),
        (
            {"OPENAI_BASE_URL": "host:8000"},
            False,
            "OPENAI_BASE_URL is no address; write it as in https://host or http://host:port.",
        ),
        (
            {"OPENAI_API_KEY": "schlüssel"},
            False,
            "OPENAI_API_KEY holds characters that no key has; copy the key again.",
        ),
    ],
)
def test_readiness_says_what_is_there_or_what_to_set(
    tmp_path: Path, environ: dict[str, str], ready: bool, text: str
):
    found = OpenAIProvider.readiness(settings_of(tmp_path, **environ), 1.0)
    assert (found.ready, found.text) == (ready, text)


def test_without_key_and_address_it_is_not_configured(tmp_path: Path):
    with pytest.raises(NotConfigured, match="set OPENAI_API_KEY"):
        OpenAIProvider("gpt-4.1-mini", settings_of(tmp_path))


def test_a_server_of_ones_own_needs_no_key(tmp_path: Path):
    settings = settings_of(tmp_path, OPENAI_BASE_URL="http://localhost:8000/v1/")
    provider = OpenAIProvider("m", settings)
    line = provider._client()
    assert line.headers == {"Authorization": "Bearer no-key"}
    assert line.url == "http://localhost:8000/v1/chat/completions"
    sdk = provider._sdk_over(line)
    assert (sdk.api_key, str(sdk.base_url)) == ("no-key", "http://localhost:8000/v1/")
    provider.close()


def test_a_server_that_wants_a_key_all_the_same_says_which_variable(
    tmp_path: Path, requests_allowed: None
):
    provider = OpenAIProvider("m", settings_of(tmp_path, OPENAI_BASE_URL="http://localhost:8000"))
    error = failure(provider, refused(401, {"error": "no"}))
    assert isinstance(error, AuthenticationFailed)
    assert "The server at http://localhost:8000 wants a key: set OPENAI_API_KEY." in error.message


def test_organisation_project_deadlines_and_no_retries_reach_the_client(tmp_path: Path):
    settings = settings_of(
        tmp_path,
        OPENAI_API_KEY=KEY,
        OPENAI_ORG_ID="org-1",
        OPENAI_PROJECT_ID="proj-1",
        LLMFLOWLAB_CONNECT_TIMEOUT="3",
        LLMFLOWLAB_FIRST_TOKEN_TIMEOUT="40",
        LLMFLOWLAB_TOKEN_TIMEOUT="20",
    )
    provider = OpenAIProvider("gpt-4.1-mini", settings)
    provider.prepare()
    line = provider._client()
    assert line.headers == {
        "Authorization": f"Bearer {KEY}",
        "OpenAI-Organization": "org-1",
        "OpenAI-Project": "proj-1",
    }
    timeout = line.http.timeout
    assert (timeout.connect, timeout.read, timeout.pool) == (3.0, 45.0, None)
    client = provider._sdk_over(line)
    assert (client.organization, client.project, client.max_retries) == ("org-1", "proj-1", 0)
    assert client.timeout == timeout
    provider.close()


def test_a_proxy_variable_that_cannot_be_used_is_a_matter_of_configuration(
    provider: OpenAIProvider, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://proxy:1")
    with pytest.raises(NotConfigured, match="HTTPS_PROXY"):
        provider.prepare()


@pytest.mark.parametrize(
    ("address", "limit"),
    [
        (None, "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://name.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://localhost:8000/v1", "max_tokens"),
        ("https://api.openai.com.example.org/v1", "max_tokens"),
    ],
)
def test_the_limit_on_tokens_has_the_name_that_the_server_knows(
    tmp_path: Path, address: str | None, limit: str
):
    environ = {"OPENAI_API_KEY": KEY} | ({"OPENAI_BASE_URL": address} if address else {})
    assert OpenAIProvider("m", settings_of(tmp_path, **environ))._token_limit == limit


def test_importing_the_provider_imports_no_sdk():
    program = (
        "import sys, llmflowlab.providers.openai.provider, llmflowlab.providers.openai.azure, "
        "llmflowlab.providers.anthropic.provider;"
        "heavy = {'openai', 'anthropic', 'httpx', 'httpx2', 'pydantic', 'genai_prices'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_chunks_become_events(provider: OpenAIProvider):
    first = chunk()
    first.choices, first.model = [], ""  # Azure's first chunk
    last = chunk()
    last.choices = []
    last.usage = CompletionUsage(prompt_tokens=5, completion_tokens=2, total_tokens=7)
    found = events(
        provider,
        first,
        chunk(None, reasoning_content="hm"),
        chunk(None, reasoning=" so"),
        chunk("Hel"),
        chunk("lo"),
        chunk(None, "stop"),
        last,
    )
    assert found == [
        ReasoningDelta("hm"),
        ReasoningDelta(" so"),
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Usage(prompt_tokens=5, completion_tokens=2)),
        Finished("stop", "gpt-4.1-mini-2025-04-14"),
    ]


def test_a_server_that_counts_nothing_leaves_usage_unknown(provider: OpenAIProvider):
    assert events(provider, chunk("Hi"), chunk(None, "stop")) == [
        TextDelta("Hi"),
        Finished("stop", "gpt-4.1-mini-2025-04-14"),
    ]


def test_a_count_of_the_beginning_is_no_count_of_an_answer_that_went_on(provider: OpenAIProvider):
    # Servers that count with every chunk, and left the count out of the last one.
    early = chunk("Hel")
    early.usage = CompletionUsage(prompt_tokens=5, completion_tokens=1, total_tokens=6)
    found = events(provider, early, chunk("lo"), chunk(None, "stop"))
    reports = [event.usage for event in found if isinstance(event, UsageReport)]
    assert reports == [
        Usage(prompt_tokens=5, completion_tokens=1),
        Usage(prompt_tokens=5, completion_tokens=None),
    ]


def test_every_finish_reason_of_the_sdk_is_known():
    annotation = inspect.get_annotations(
        sys.modules["openai.types.chat.chat_completion_chunk"].Choice
    )["finish_reason"]
    literal = annotation.__args__[0]
    assert set(literal.__args__) == set(FINISH_REASONS)


def test_a_finish_reason_of_the_future_counts_as_other(provider: OpenAIProvider):
    last = chunk(None, "stop")
    last.choices[0].finish_reason = "novelty"  # type: ignore[assignment]  # what a server may send
    assert events(provider, chunk("Hi"), last)[-1] == Finished("other", "gpt-4.1-mini-2025-04-14")


def test_a_refusal_by_the_model_is_a_refusal_with_its_words(provider: OpenAIProvider):
    with pytest.raises(RefusedBySafety, match="I cannot help with that"):
        events(
            provider,
            chunk(None, refusal="I cannot help "),
            chunk(None, refusal="with that."),
            chunk(None, "stop"),
        )


def test_a_refusal_after_text_ends_the_answer_as_a_safety_stop(provider: OpenAIProvider):
    found = events(provider, chunk("Well,"), chunk(None, refusal="no."), chunk(None, "stop"))
    assert found[-1] == Finished("safety", "gpt-4.1-mini-2025-04-14")


def test_a_stream_without_any_event_is_a_bad_answer_that_names_the_address(
    tmp_path, requests_allowed
):
    settings = settings_of(tmp_path, OPENAI_BASE_URL="http://localhost:8000")
    with pytest.raises(BadAnswer, match="want /v1 at the end"):
        events(OpenAIProvider("m", settings))


def listing(*cards: Model) -> Any:
    async def page(timeout: float) -> Any:
        return SimpleNamespace(data=list(cards))

    return page


def test_only_chat_models_are_listed_the_default_first_then_the_newest(provider: OpenAIProvider):
    names = ["gpt-4o", "whisper-1", "gpt-4.1-mini", "text-embedding-3-small", "gpt-5", "tts-1"]
    cards = [
        Model(id=name, created=at, object="model", owned_by="system")
        for at, name in enumerate(names)
    ]
    fake: Any = SimpleNamespace(models=SimpleNamespace(list=listing(*cards)))
    provider._sdk_client = fake
    listed = provider.list_models()
    assert [model.name for model in listed] == ["gpt-4.1-mini", "gpt-5", "gpt-4o"]
    assert listed[0].context_window == provider.context_window() == 1_000_000


def test_another_servers_window_is_read_from_its_list(tmp_path: Path, requests_allowed: None):
    card = Model.model_validate(
        {"id": "m", "created": 1, "object": "model", "owned_by": "vllm", "max_model_len": 8192}
    )
    provider = OpenAIProvider("m", settings_of(tmp_path, OPENAI_BASE_URL="http://localhost:8000"))
    fake: Any = SimpleNamespace(models=SimpleNamespace(list=listing(card)))
    provider._sdk_client = fake
    assert provider.context_window() == 8192
    assert [model.detail for model in provider.list_models()] == ["vllm"]


def test_a_window_that_nobody_knows_is_unknown(tmp_path: Path, requests_allowed: None):
    provider = OpenAIProvider("m", settings_of(tmp_path, OPENAI_BASE_URL="http://localhost:8000"))

    def fail(timeout: float) -> list[Model]:
        raise openai.APIConnectionError(request=SENT)

    fake: Any = SimpleNamespace(models=SimpleNamespace(list=fail))
    provider._sdk_client = fake
    assert provider.context_window() is None


PREPARED = """
import sys
from dataclasses import replace
from pathlib import Path
from llmflowlab.errors import ConnectionFailed
from llmflowlab.messages import Message, Request
from llmflowlab.providers.openai.provider import OpenAIProvider
from llmflowlab.settings import load_settings

variables = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
settings = load_settings(variables, cwd=Path.cwd(), stdin_is_terminal=False)
provider = OpenAIProvider("gpt-4.1-mini", settings)
provider.prepare()
before = set(sys.modules)
try:
    list(provider.stream(Request(messages=(Message("user", "hello"),))))
except ConnectionFailed:
    late = ("openai", "httpx", "httpcore", "h11", "anyio", "json", "email")
    print(sorted(name for name in set(sys.modules) - before if name.startswith(late)))
    print("openai" in sys.modules)
"""


def test_preparing_imports_all_that_the_first_call_needs() -> None:
    # Pins: the SDK imports its resources at first use, and a third of a second of that stood in the
    # first answer's inference time. A chat needs no SDK at all.
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", PREPARED],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.stdout.splitlines() == ["[]", "False"]


def test_the_answer_is_the_choice_with_the_index_0(provider: OpenAIProvider):
    other = chunk("wrong")
    other.choices[0].index = 1
    both = chunk("4")
    both.choices = [*other.choices, *both.choices]
    found = events(provider, other, both, chunk(finish="stop"))
    assert [each for each in found if isinstance(each, TextDelta)] == [TextDelta("4")]


def test_chunks_without_a_delta_are_passed_over(provider: OpenAIProvider):
    bare: Any = chunk()
    bare.choices[0].delta = None
    absent: Any = SimpleNamespace(id="x", object="chat.completion.chunk")
    found = events(provider, bare, absent, chunk("4"), chunk(finish="stop"))
    assert found == [TextDelta("4"), Finished("stop", "gpt-4.1-mini-2025-04-14")]


def test_a_thought_that_is_sent_under_two_names_is_one_thought(provider: OpenAIProvider):
    details = [{"type": "reasoning.text", "text": "hm"}]
    thought = chunk(None, reasoning="hm", reasoning_details=details)
    only_details = chunk(None, reasoning_details=details)
    found = events(provider, thought, only_details, chunk("4"), chunk(finish="stop"))
    assert found[:3] == [ReasoningDelta("hm"), ReasoningDelta("hm"), TextDelta("4")]


def test_chances_of_the_first_token_are_asked_for_and_read_with_the_set_up(
    provider: OpenAIProvider,
):
    assert not {"logprobs", "top_logprobs"} & provider._arguments(HELLO).keys()
    asked = provider._arguments(replace(HELLO, token_chances=True))
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 20)

    def told(token: str, logprob: float) -> Any:
        one = chunk(token)
        listed = {"token": token, "logprob": logprob, "bytes": None}
        one.choices[0].logprobs = ChoiceLogprobs.model_validate(
            {"content": [{**listed, "top_logprobs": [listed]}], "refusal": None}
        )
        one.system_fingerprint = "fp_1"
        return one

    found = events(provider, told("Yes", 0.0), told(".", -3.0), chunk(finish="stop"))
    end = found[-1]
    assert isinstance(end, Finished)
    assert (end.fingerprint, end.token_chances) == ("fp_1", (("Yes", 1.0),))
