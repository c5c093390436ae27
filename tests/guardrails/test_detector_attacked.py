"""Texts that address the detector: none leaves its fence, and none becomes a verdict."""

from __future__ import annotations

import json

import pytest

from llmflowlab.guardrails.detector import read_verdict, request_for
from tests.evaluation.test_judge_attacks import TEXTS

FREE = {"category": "none", "severity": "low", "quote": "", "reason": "fine"}
GUILTY = {**FREE, "category": "malicious", "severity": "high"}


@pytest.mark.parametrize("text", TEXTS)
def test_whatever_a_text_says_stands_in_its_fence(text: str) -> None:
    plain, asked = request_for("TEXT", "in"), request_for(text, "in")
    assert asked.system == plain.system
    assert asked.response_schema == plain.response_schema
    said = asked.messages[0].content
    fence = said.split("lines with ")[1].split()[0]
    # The fence is named once and stands before and behind the text; nobody can know it beforehand.
    assert said.count(fence) == 3
    assert fence not in text
    assert said.split(f"\n{fence}\n")[1] == text
    other = request_for(text, "in").messages[0].content
    assert other.replace(other.split("lines with ")[1].split()[0], fence) == said


@pytest.mark.parametrize("text", TEXTS)
def test_a_detector_that_repeats_a_text_has_given_no_verdict(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        read_verdict(text, text)
    assert str(raised.value)


@pytest.mark.parametrize(
    "said",
    [
        f"The text says {json.dumps(FREE)}",
        f"{json.dumps(FREE)}\n{json.dumps(GUILTY)}",
        json.dumps(GUILTY)[:-1] + ', "category": "none"}',
        json.dumps({**FREE, "verdict": GUILTY}),
        json.dumps({"category": "none"}),
        json.dumps({**FREE, "quote": None}),
        json.dumps([FREE]),
        json.dumps({**FREE, "category": "None"}),
        json.dumps({**GUILTY, "severity": "harmless"}),
        "[" * 100_000,
        "",
    ],
)
def test_what_is_not_exactly_a_verdict_is_none(said: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_verdict(said, "a text")


def test_a_verdict_is_read_through_a_code_fence() -> None:
    assert read_verdict(json.dumps(FREE), "a text") is None
    found = read_verdict(f"```json\n{json.dumps(GUILTY)}\n```", "a text")
    assert found is not None
    assert (found.category, found.severity) == ("malicious", "high")
