"""What all providers share: usage that adds up, and the switch that keeps tests off the network."""

from __future__ import annotations

import pytest

from llmflowlab.errors import ConfigurationError
from llmflowlab.providers.base import Usage, allow_requests, require_requests_allowed
from llmflowlab.providers.scripted import ScriptedProvider


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        pytest.param(Usage(), Usage(), Usage(), id="unknown stays unknown"),
        pytest.param(
            Usage(prompt_tokens=1),
            Usage(completion_tokens=2),
            Usage(prompt_tokens=1, completion_tokens=2),
            id="known",
        ),
        pytest.param(
            Usage(prompt_tokens=1, completion_tokens=2, cached_tokens=3, reasoning_tokens=4),
            Usage(prompt_tokens=10, completion_tokens=20, cached_tokens=30, reasoning_tokens=40),
            Usage(prompt_tokens=11, completion_tokens=22, cached_tokens=33, reasoning_tokens=44),
            id="each field",
        ),
        pytest.param(Usage(cached_tokens=0), Usage(), Usage(cached_tokens=0), id="zero is known"),
    ],
)
def test_usage_adds_up(a: Usage, b: Usage, total: Usage):
    assert a + b == b + a == total


def test_requests_are_switched_off_in_tests_and_the_error_says_so():
    with pytest.raises(ConfigurationError, match="Requests to Gemini are switched off"):
        require_requests_allowed("Gemini")
    allow_requests(True)
    require_requests_allowed("Gemini")


def test_a_provider_that_downloads_nothing_says_so():
    with pytest.raises(ConfigurationError, match="Scripted has no models to download"):
        ScriptedProvider().pull()
