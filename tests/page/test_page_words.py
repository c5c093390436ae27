"""What the page says below answers, and instead of them."""

from __future__ import annotations

from typing import Any

import pytest

from llmflowlab.page.page_words import figures, refusal_words
from llmflowlab.page.service_calls import CallRefused
from llmflowlab.service.http_refusals import CODES


def answer(**more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1200, "completion_tokens": 34, "estimated": False}
    found = {"state": "complete", "finish_reason": "stop", "model": "a:1", "blocked": None}
    return {**found, "usage": usage, "cost_usd": "0.0042", **more}


@pytest.mark.parametrize(
    ("more", "line", "state"),
    [
        ({}, "1,200 + 34 tokens · $0.0042 · 1.5 s · a:1", "complete"),
        ({"cost_usd": None}, "1,200 + 34 tokens · cost unknown · 1.5 s · a:1", "complete"),
        (
            {"finish_reason": "length"},
            "Cut at its greatest length · 1,200 + 34 tokens · $0.0042 · 1.5 s · a:1",
            "cut",
        ),
        (
            {"state": "interrupted"},
            "Stopped · 1,200 + 34 tokens · $0.0042 · 1.5 s · a:1",
            "interrupted",
        ),
        (
            {"state": "blocked", "blocked": "out"},
            "Blocked by the guardrails: the model's answer is withheld · 1,200 + 34 tokens · "
            "$0.0042 · 1.5 s · a:1",
            "blocked",
        ),
        (
            {
                "state": "blocked",
                "blocked": "in",
                "usage": {"prompt_tokens": None, "completion_tokens": None, "estimated": False},
            },
            "Blocked by the guardrails: what you wrote was not sent to the model · a:1",
            "blocked",
        ),
    ],
)
def test_the_line_below_an_answer_says_what_became_of_it_and_what_it_took(
    more: dict[str, Any], line: str, state: str
) -> None:
    assert figures(answer(**more), inference_time=1.5) == {"line": line, "state": state}


@pytest.mark.parametrize("code", [*CODES, "unreachable"])
def test_every_refusal_has_words(code: str) -> None:
    said = refusal_words(CallRefused(code, "The sentence of the service.", 90.0))
    assert said.endswith(".")
    assert "{" not in said
    assert "KEY" not in said


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1.0, "a second"), (30.0, "30 seconds"), (150.0, "2 minutes"), (86_000.0, "24 hours")],
)
def test_when_to_come_again_is_said_in_fitting_units(seconds: float, words: str) -> None:
    said = refusal_words(CallRefused("budget_exhausted", "The day's money is spent.", seconds))
    assert said == f"The day's money is spent. A later try makes sense in {words}."
