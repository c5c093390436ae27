"""Models that only embed are not offered for chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmflowlab.providers.embedding_names import named_for_embedding
from llmflowlab.providers.factory import build
from llmflowlab.settings import load_settings
from tests.loopback import LoopbackServer

EMBED = [
    *(
        "nomic-embed-text:latest",
        "mxbai-embed-large",
        "bge-m3:567m",
        "all-minilm",
        "embeddinggemma",
    ),
    *("qwen3-embedding:0.6b", "granite-embedding", "snowflake-arctic-embed2", "intfloat/e5-large"),
    *("thenlper/gte-base", "BAAI/bge-reranker-v2-m3", "text-embedding-3-small"),
]
CHAT = [
    *("llama3.2", "qwen3:4b", "gemma3n:e4b", "gpt-4.1-mini", "mistral", "phi4-mini", "bridge5"),
    *("deepseek-r1:8b", "gpt-oss:20b", "command-r", "smollm2:135m", "exaone3.5"),
]


@pytest.mark.parametrize("model", EMBED)
def test_names_of_models_that_embed(model: str):
    assert named_for_embedding(model)


@pytest.mark.parametrize("model", CHAT)
def test_names_of_models_that_chat(model: str):
    assert not named_for_embedding(model)


@pytest.mark.parametrize("wire", ["ollama", "openai"])
def test_lists_offer_those_that_chat(
    wire: str, loopback: LoopbackServer, tmp_path: Path, requests_allowed: None
):
    # Ollama tells the family, which an embedding model may share with one that chats.
    loopback.scenario.models[wire] = [*EMBED, *CHAT]  # type: ignore[index]  # both are wires
    settings = load_settings(loopback.environment(), cwd=tmp_path)
    provider = build(f"{wire}:any", settings)
    assert {model.name for model in provider.list_models()} == {*CHAT}
    provider.close()
