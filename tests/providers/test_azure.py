"""What the Azure provider reads from the settings and sends; its failures are in the wire tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmflowlab.asking.calling import CallPolicy, call
from llmflowlab.errors import InputError, NotConfigured
from llmflowlab.messages import Message, Request
from llmflowlab.providers.factory import build
from llmflowlab.providers.openai.azure import AzureProvider
from llmflowlab.settings import Settings, load_settings
from tests.loopback import LoopbackServer

KEY = "not-a-real-key-1234567890"
ENDPOINT = "https://name.openai.azure.com"
SET_UP = {"AZURE_OPENAI_ENDPOINT": ENDPOINT, "AZURE_OPENAI_API_KEY": KEY}
HELLO = Request(messages=(Message("user", "Say hello"),))


def settings_of(tmp_path: Path, **environ: str) -> Settings:
    return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)


@pytest.mark.parametrize(
    ("environ", "ready", "text"),
    [
        ({}, False, "set AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY"),
        ({"AZURE_OPENAI_ENDPOINT": ENDPOINT}, False, "set AZURE_OPENAI_API_KEY"),
        ({"AZURE_OPENAI_API_KEY": KEY}, False, "set AZURE_OPENAI_ENDPOINT"),
        (SET_UP, True, f"AZURE_OPENAI_API_KEY is set, {ENDPOINT}"),
        (
            {**SET_UP, "AZURE_OPENAI_ENDPOINT": "name"},
            False,
            "AZURE_OPENAI_ENDPOINT is no address; write it as in https://host or http://host:port.",
        ),
    ],
)
def test_readiness_says_what_is_there_or_what_to_set(
    tmp_path: Path, environ: dict[str, str], ready: bool, text: str
):
    found = AzureProvider.readiness(settings_of(tmp_path, **environ), 1.0)
    assert (found.ready, found.text) == (ready, text)


def test_what_is_missing_is_named_when_it_is_built(tmp_path: Path):
    with pytest.raises(NotConfigured, match="set AZURE_OPENAI_API_KEY"):
        AzureProvider("d", settings_of(tmp_path, AZURE_OPENAI_ENDPOINT=ENDPOINT))


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..?x", "größe"])
def test_a_name_that_no_deployment_can_have_is_refused(tmp_path: Path, name: str):
    with pytest.raises(InputError, match="no name of an Azure deployment"):
        AzureProvider(name, settings_of(tmp_path, **SET_UP))


@pytest.mark.parametrize(
    ("environ", "model"),
    [
        ({"AZURE_OPENAI_DEPLOYMENT": "mine"}, "mine"),
        ({"AZURE_OPENAI_DEPLOYMENT": "mine", "LLMFLOWLAB_AZURE_MODEL": "ours"}, "ours"),
    ],
)
def test_a_bare_azure_means_the_deployment_that_the_settings_name(
    tmp_path: Path, environ: dict[str, str], model: str
):
    assert build("azure", settings_of(tmp_path, **SET_UP, **environ)).model == model


def test_a_bare_azure_without_one_is_refused(tmp_path: Path):
    with pytest.raises(NotConfigured, match="azure:MODEL"):
        build("azure", settings_of(tmp_path, **SET_UP))


@pytest.mark.parametrize(
    ("version", "limit"),
    [
        (None, "max_completion_tokens"),
        ("2024-10-21", "max_tokens"),
        ("2024-08-01-preview", "max_tokens"),
        ("2024-12-01-preview", "max_completion_tokens"),
        ("2025-03-01-preview", "max_completion_tokens"),
    ],
)
def test_the_limit_on_tokens_has_the_name_that_the_version_knows(
    tmp_path: Path, version: str | None, limit: str
):
    environ = SET_UP | ({"OPENAI_API_VERSION": version} if version else {})
    assert AzureProvider("d", settings_of(tmp_path, **environ))._token_limit == limit


@pytest.mark.parametrize(
    "endpoint", ["", "/", "/openai", "/openai/", "/openai/v1/", "/openai/deployments/d"]
)
def test_the_portals_longer_addresses_work_too(
    tmp_path: Path, loopback: LoopbackServer, requests_allowed: None, endpoint: str
):
    environ = loopback.environment("azure")
    environ["AZURE_OPENAI_ENDPOINT"] += endpoint
    provider = AzureProvider("gpt-4.1-mini", settings_of(tmp_path, **environ))
    assert call(provider, HELLO, policy=CallPolicy(max_tries=1)).text == "You said: Say hello"
    provider.close()
    sent = loopback.last
    assert sent.path == "/openai/deployments/gpt-4.1-mini/chat/completions"
    assert sent.query == {"api-version": "2025-04-01-preview"}
    assert sent.headers["api-key"] == loopback.scenario.keys["azure"]


def test_openais_base_url_and_organisation_do_not_touch_azure(
    tmp_path: Path,
    loopback: LoopbackServer,
    requests_allowed: None,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "not-a-real-token")
    environ = loopback.environment("azure") | {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    provider = AzureProvider("gpt-4.1-mini", settings_of(tmp_path, **environ))
    assert call(provider, HELLO, policy=CallPolicy(max_tries=1)).state == "complete"
    provider.close()
    assert "authorization" not in loopback.last.headers


def test_only_the_deployment_that_is_named_is_listed(tmp_path: Path):
    settings = settings_of(tmp_path, **SET_UP, AZURE_OPENAI_DEPLOYMENT="gpt-4.1-mini")
    listed = AzureProvider("any", settings).list_models()
    assert [(model.name, model.context_window) for model in listed] == [("gpt-4.1-mini", 1_000_000)]
    assert AzureProvider("any", settings_of(tmp_path, **SET_UP)).list_models() == []


def test_the_window_is_known_where_the_deployment_is_named_after_its_model(tmp_path: Path):
    settings = settings_of(tmp_path, **SET_UP)
    assert AzureProvider("gpt-4.1-mini", settings).context_window() == 1_000_000
    assert AzureProvider("prod", settings).context_window() is None
