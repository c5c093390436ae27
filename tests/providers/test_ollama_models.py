"""What Ollama says of its models: lists, windows, downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest

from llmflowlab.errors import (
    ConnectionFailed,
    ProviderError,
    UnknownModel,
)
from llmflowlab.providers.base import (
    ModelInfo,
    PullProgress,
)
from llmflowlab.providers.ollama.provider import OllamaProvider
from llmflowlab.settings import Settings, load_settings
from tests.providers.ollama_fakes import SettingsFrom, fake


@pytest.fixture
def settings_from(tmp_path: Path) -> SettingsFrom:
    def make(**environ: str) -> Settings:
        return load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)

    return make


@pytest.fixture
def provider(settings_from: SettingsFrom, requests_allowed: None) -> OllamaProvider:
    return OllamaProvider("llama3.2", settings_from())


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

    fake(provider, pull=pull)
    monkeypatch.setattr(provider, "_make_client", lambda seconds: nullcontext(provider._client()))
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
