"""Thinking that a server left in the text: found wherever pieces are cut, and only where it is thinking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmflowlab.providers.base import ReasoningDelta, Rethought, TextDelta
from llmflowlab.providers.thinking import ThinkingFilter


def read(*texts: str) -> tuple[str, str]:
    """Return answer and thinking, put together as a call does it."""
    answer, thinking = "", ""
    found = ThinkingFilter()
    for event in (*(e for text in texts for e in found.feed(text)), *found.end()):
        match event:
            case TextDelta(text):
                answer += text
            case ReasoningDelta(text):
                thinking += text
            case Rethought():
                answer, thinking = "", thinking + answer
    return answer, thinking


CASES = [
    pytest.param("<think>\n5? No, 4.\n</think>\n\n4", "4", "5? No, 4.\n", id="think"),
    pytest.param("<thinking>hm</thinking>4", "4", "hm", id="thinking"),
    pytest.param("<reasoning>hm</reasoning>\n4", "4", "hm", id="reasoning"),
    pytest.param("[THINK]hm[/THINK]4", "4", "hm", id="square brackets"),
    pytest.param("◁think▷hm◁/think▷4", "4", "hm", id="triangles"),
    pytest.param("<|START_THINKING|>hm<|END_THINKING|>4", "4", "hm", id="bars"),
    pytest.param(
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>4",
        "4",
        "hm<|end|><|start|>assistant",
        id="channels",
    ),
    pytest.param(
        "  \n<THINK>hm</Think> 4", "4", "hm", id="white space before, letters of any case"
    ),
    pytest.param("<think>\n\n</think>\n\n4", "4", "", id="no thought"),
    pytest.param("<think>a</think>\n<think>b</think>4", "4", "ab", id="two thoughts"),
    pytest.param("2+2... so 4.\n</think>\n\n4", "4", "2+2... so 4.\n", id="opening tag missing"),
    pytest.param("so 4</think>4", "4", "so 4", id="opening tag missing, in one line"),
    pytest.param(
        'it is "4"</think>4', "4", 'it is "4"', id="a quotation before a lone closing tag"
    ),
    pytest.param("</think>\n4", "4", "", id="a closing tag first of all"),
    pytest.param("<think>a</think>b</think>4", "4", "ab", id="a second closing tag"),
    pytest.param("<think>write `</think>` last</think>4", "4", "write `</think>` last", id="named"),
    pytest.param("<think>never closed", "", "never closed", id="an unclosed thought"),
    pytest.param("<think>", "", "", id="an opening tag alone"),
    pytest.param("4", "4", "", id="none"),
    pytest.param("", "", "", id="nothing"),
    pytest.param(" \n", " \n", "", id="white space"),
    pytest.param("a < b and </thi", "a < b and </thi", "", id="the beginning of a tag at the end"),
    pytest.param("<thin ice", "<thin ice", "", id="a word that begins like a tag"),
    pytest.param("Use `</think>` to end it.", "Use `</think>` to end it.", "", id="backticks"),
    pytest.param('It writes "</think>" then.', 'It writes "</think>" then.', "", id="quoted"),
    pytest.param(
        "<b>x</b> <think>y</think> z",
        "<b>x</b> <think>y</think> z",
        "",
        id="a pair inside the text",
    ),
    pytest.param(
        "See:\n```xml\n<think>\n```\nand\n```\n</think>\n```\n.",
        "See:\n```xml\n<think>\n```\nand\n```\n</think>\n```\n.",
        "",
        id="in blocks of code",
    ),
    pytest.param(
        "The code:\n```\nx\n```\nhm</think>4", "4", "The code:\n```\nx\n```\nhm", id="after code"
    ),
]


@pytest.mark.parametrize(("text", "answer", "thinking"), CASES)
def test_thinking_is_apart_from_the_answer(text: str, answer: str, thinking: str):
    assert read(text) == (answer, thinking)


@pytest.mark.parametrize(("text", "answer", "thinking"), CASES)
def test_it_is_the_same_where_every_character_comes_alone(text: str, answer: str, thinking: str):
    assert read(*text) == (answer, thinking)


@given(st.data())
def test_it_is_the_same_wherever_a_text_is_cut(data: st.DataObject):
    pieces = [
        "<think>",
        "</think>",
        "<",
        "</",
        "`",
        "```",
        '"',
        "\n",
        " ",
        "a",
        "[think]",
        "think>",
    ]
    text = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=12)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(*parts) == read(text)


@given(st.text())
def test_a_text_without_a_tag_comes_through_whole(text: str):
    if "think" not in text.lower():
        assert read(text) == (text, "")


def test_an_answer_without_tags_is_not_held_back():
    found = ThinkingFilter()
    assert [*found.feed("Hel")] == [TextDelta("Hel")]
    assert [*found.feed("lo < 5")] == [TextDelta("lo < 5")]
    assert [*found.feed(" <")] == [TextDelta(" ")]
    assert [*found.feed("5")] == [TextDelta("<5")]


def test_thinking_streams_on_while_it_comes():
    found = ThinkingFilter()
    assert [*found.feed("<thi")] == []
    assert [*found.feed("nk>let me")] == [ReasoningDelta("let me")]
    assert [*found.feed(" see</th")] == [ReasoningDelta(" see")]
    assert [*found.feed("ink>4")] == [TextDelta("4")]


def test_thinking_that_was_passed_on_as_text_is_taken_back():
    found = ThinkingFilter()
    assert [*found.feed("so 4\n")] == [TextDelta("so 4\n")]
    assert [*found.feed("</think>\n\n4")] == [Rethought("</think>"), TextDelta("4")]
