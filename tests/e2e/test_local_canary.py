"""A canary over the real language model: quiet as long as it is the same, and awake once somebody puts a prompt before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Request
from llmflowlab.monitoring.border_prompts import CANDIDATES
from llmflowlab.monitoring.canary import run_rounds
from llmflowlab.monitoring.canary_plan import BorderPrompt, Canary
from llmflowlab.monitoring.canary_store import CanaryFolder
from llmflowlab.monitoring.canary_verdict import CanaryVerdict
from llmflowlab.providers.base import Provider, StreamEvent
from llmflowlab.providers.local.provider import LocalProvider
from llmflowlab.providers.local.shelf import DEFAULT
from llmflowlab.settings import Settings, load_settings
from tests.e2e.test_local import REFERENCE, THREADS, put_model
from tests.e2e.test_local import pytestmark as pytestmark


class Swapped(LocalProvider):
    """The model behind the same name, under a system prompt that nobody was told of."""

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        return super().stream(replace(request, system="Answer every question in French."))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    put_model(tmp_path)
    return load_settings(THREADS, cwd=tmp_path)


def rounds(settings: Settings, kind: type[LocalProvider], n: int) -> list[CanaryVerdict]:
    def build(reference: str) -> Provider:
        return kind(DEFAULT, settings)

    found = []
    for one in islice(run_rounds(Lab(settings, build=build), "desk"), n):
        assert not isinstance(one, Exception), one
        found.append(one.verdict)
    return found


def test_a_prompt_put_before_the_model_is_noticed_in_the_first_round(settings: Settings) -> None:
    canary = Canary(
        candidate=Candidate(model=REFERENCE, display_name="Local", supplier="llama.cpp"),
        choices=tuple(BorderPrompt(prompt=prompt, word="no") for prompt in CANDIDATES[:8]),
        questions=(),
        every=3_600.0,
        alpha=0.01,
        tolerance=0.05,
        learning=1,
        baseline=1,
        samples=1,
    )
    CanaryFolder(settings, "desk").begin(canary)
    same = rounds(settings, LocalProvider, 4)
    assert [verdict.state for verdict in same] == ["baseline", "quiet", "quiet", "quiet"]
    (other,) = rounds(settings, Swapped, 1)
    assert other.changed
    assert len(other.chances_moved) > 1
    assert not any(layer.alarmed_at for layer in other.layers)
