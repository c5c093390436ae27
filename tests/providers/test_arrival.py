"""Values as servers send them, made into values that the lab can reckon with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmflowlab.providers.arrival import (
    field,
    name,
    pieces,
    storable,
    the_answer,
    token_chances,
    tokens,
    usage,
    vectors,
)
from llmflowlab.providers.base import ReasoningDelta, TextDelta, Usage


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0),
        (7, 7),
        (7.0, 7),
        (10**9, 10**9),
        (10**9 + 1, None),
        (10**30, None),
        (1e30, None),
        (-1, None),
        (7.5, None),
        (float("nan"), None),
        (float("inf"), None),
        ("7", None),
        (True, None),
        (None, None),
        ([7], None),
        ({}, None),
    ],
)
def test_a_count_is_a_count_or_unknown(value: object, count: int | None):
    found = tokens(value)
    assert found == count
    assert type(found) is type(count)


def test_a_part_larger_than_its_whole_makes_both_unknown():
    assert usage(10, 5, 11, 5) == Usage(completion_tokens=5, reasoning_tokens=5)
    assert usage(10, 5, 10, 6) == Usage(prompt_tokens=10, cached_tokens=10)
    assert usage(None, None, 3, 4) == Usage(cached_tokens=3, reasoning_tokens=4)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("plain", "plain"),
        ("na\u00efve \U0001f600", "na\u00efve \U0001f600"),
        ("\ud83d\ude00", "\U0001f600"),
        ("a\ud83db", "a\ufffdb"),
        ("a\ude00", "a\ufffd"),
        ("a\0b", "a\ufffdb"),
    ],
)
def test_a_text_becomes_one_that_can_be_stored(sent: str, text: str):
    assert storable(sent) == text


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_every_text_can_be_stored_afterwards(sent: str):
    text = storable(sent)
    assert "\0" not in text
    assert json.loads(json.dumps(text)) == text
    text.encode("utf-8")
    assert storable(text) == text


def test_names_are_short_and_on_one_line():
    assert name(" gpt\n4 ") == "gpt 4"
    assert len(name("m" * 10**6) or "") == 200
    assert [name(value) for value in (None, 5, "", " ", ["m"])] == [None] * 5


@pytest.mark.parametrize(
    ("content", "text", "thinking"),
    [
        ("4", "4", ""),
        ([{"type": "text", "text": "4"}, {"type": "text", "text": "2"}], "42", ""),
        (["4", "2"], "42", ""),
        ([{"text": "4"}], "4", ""),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "4"}],
            "4",
            "hm",
        ),
        (
            [{"type": "reasoning.text", "text": "hm"}, {"type": "output_text", "text": "4"}],
            "4",
            "hm",
        ),
        ([{"type": "reasoning.encrypted", "data": "x"}, "4"], "4", ""),
        ([{"type": "thinking", "thinking": 5}, "4"], "4", ""),
        ([{"type": "image_url", "image_url": {"url": "x"}}, "4"], "4", ""),
        ([{"type": "text", "text": None}, None, "4"], "4", ""),
        (None, "", ""),
        ([], "", ""),
        ({"type": "text", "text": "4"}, "4", ""),
    ],
)
def test_content_in_parts_is_joined_and_thinking_left_apart(
    content: object, text: str, thinking: str
):
    found = list(pieces(content))
    assert "".join(p.text for p in found if isinstance(p, TextDelta)) == text
    assert "".join(p.text for p in found if isinstance(p, ReasoningDelta)) == thinking


@pytest.mark.parametrize("content", [5, 5.5, True, ["4", 5], {"type": "text", "text": 5}])
def test_a_piece_of_an_answer_that_is_no_text_is_not_passed_over(content: object):
    with pytest.raises(ValueError, match="no text"):
        list(pieces(content))
    assert list(pieces(content, thinking=True)) in ([], [ReasoningDelta("4")])


def test_content_nested_without_end_is_refused():
    content: Any = "4"
    for _ in range(10_000):
        content = [content]
    with pytest.raises(ValueError, match="no text"):
        list(pieces(content))


def test_a_path_may_lead_nowhere():
    assert field({"a": {"b": 1}}, "a", "b") == 1
    values: tuple[Any, ...] = (None, 5, "x", [], {})
    assert [field(value, "real", "b") for value in values] == [None] * 5


def test_vectors_are_finite_and_of_one_length():
    assert vectors([[1, 2.5], (3.0, 4)], 2) == ((1.0, 2.5), (3.0, 4.0))
    for wrong in ([[1, 2], [3]], [[1, float("nan")], [1, 2]], [[1], []], ["ab", "cd"], [[1, 2]]):
        with pytest.raises((ValueError, TypeError)):
            vectors(wrong, 2)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ([{"index": 1, "text": "b"}, {"index": 0, "text": "a"}], "a"),
        ([{"index": 1, "text": "b"}, {"text": "a"}], "a"),
        ([{"index": None, "text": "a"}], "a"),
        ([{"index": 1, "text": "b"}], None),
        ([], None),
        (None, None),
        ("text", None),
    ],
)
def test_the_answer_is_the_choice_with_the_index_zero(choices: Any, expected: str | None):
    assert field(the_answer(choices), "text") == expected


def test_chances_of_first_tokens_are_chances_or_none():
    told = [
        {
            "token": "Yes",
            "top_logprobs": [
                {"token": "Yes", "logprob": -0.2231435513142097},
                {"token": " no", "logprob": -1.6094379124341003},
                {"token": 7, "logprob": -1},
                {"token": "x", "logprob": None},
                {"token": "y", "logprob": 0.5},
                {"token": "z", "logprob": float("nan")},
            ],
        },
        {"token": "!", "top_logprobs": [{"token": "!", "logprob": 0}]},
    ]
    assert dict(token_chances(told)) == pytest.approx({"Yes": 0.8, " no": 0.2})
    nothing: list[object] = [None, [], "no", [None], [{}], [{"top_logprobs": "x"}], {"a": 1}]
    assert [token_chances(each) for each in nothing] == [()] * len(nothing)
    # What adds up to more than 1 is something else than chances.
    twice = [{"top_logprobs": [{"token": t, "logprob": -0.1} for t in "ab"]}]
    assert token_chances(twice) == ()
