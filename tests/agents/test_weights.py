"""An agent answers with the file that it was registered with, and with no other of its name."""

from __future__ import annotations

from typing import Any

import pytest

from llmflowlab.agents.config import read_agent_config
from llmflowlab.agents.core import AgentCore
from llmflowlab.errors import InputError, NotConfigured
from llmflowlab.providers.scripted import ScriptedProvider
from tests.agents.helpers import scripted

WEIGHTS = {"file": "small.gguf", "sha256": "ab" * 32}
CONFIG: dict[str, Any] = {"provider": "local", "model": "small", "weights": WEIGHTS}


@pytest.mark.parametrize(("there", "right"), [(WEIGHTS, True), ({**WEIGHTS, "sha256": "c"}, False)])
def test_another_file_under_the_name_is_not_served(
    monkeypatch: pytest.MonkeyPatch, there: dict[str, str], right: bool
) -> None:
    monkeypatch.setattr(ScriptedProvider, "weights", there)
    scripted(monkeypatch, local="yes")
    config = read_agent_config(CONFIG)
    assert config.weights == WEIGHTS
    if right:
        AgentCore(config)
        return
    with pytest.raises(
        NotConfigured, match=r"made of small\.gguf with the SHA-256 abab.*put the r"
    ):
        AgentCore(config)


@pytest.mark.parametrize("weights", ["small.gguf", {"file": "small.gguf"}, []])
def test_weights_that_say_too_little_are_refused(weights: Any) -> None:
    with pytest.raises(InputError, match="weights must be an object with a file and its sha256"):
        read_agent_config({**CONFIG, "weights": weights})
