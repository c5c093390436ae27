"""Variables of prompts, and what is put in their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmflowlab.errors import InputError
from llmflowlab.messages import Message
from llmflowlab.template import (
    filled,
    question_variable,
    refuse_unfilled,
    spoken,
    variables_of,
)

TEXT = st.text(st.sampled_from("{} abx>_\n\\"), max_size=20)


@given(st.dictionaries(st.sampled_from(["a", "b", "x"]), TEXT))
def test_a_value_is_never_expanded(values):
    text = "1 {{a}} 2 {{ b }} 3 {{x}} 4"
    parts = [values.get(name, shown) for name, shown in _SHOWN.items()]
    assert filled(text, values) == "1 {} 2 {} 3 {} 4".format(*parts)


_SHOWN = {"a": "{{a}}", "b": "{{ b }}", "x": "{{x}}"}


@given(TEXT, TEXT)
def test_a_question_is_never_expanded(question, company):
    frame = (Message("user", "{{company}} asks: {{question}}"),)
    (said,) = spoken(frame, [Message("user", question)], {"company": company})
    assert said.content == f"{company} asks: {question}"


def test_what_is_no_text_is_written_as_json():
    assert filled("{{n}} {{who}}", {"n": 3, "who": ["ü"]}) == '3 ["ü"]'


def test_variables_come_in_their_order_and_once():
    assert variables_of("{{b}} {{ a }}", None, "{{b}} {c} {{}}") == ("b", "a")


@pytest.mark.parametrize(
    ("variables", "known", "taken"),
    [
        pytest.param(("city",), (), "city", id="the only one"),
        pytest.param(("city",), ("city",), None, id="none is left"),
        pytest.param(("city", "question"), (), "question", id="a usual name"),
        pytest.param(("city", "topic"), ("city",), "topic", id="the only one left"),
        pytest.param(("city", "topic"), (), None, id="nobody knows which"),
        pytest.param(("query", "question"), (), None, id="two usual names"),
    ],
)
def test_which_variable_takes_the_question(variables, known, taken):
    assert question_variable(variables, known) == taken


def test_examples_come_first_and_each_turn_in_the_place_of_the_question():
    frame = (Message("user", "Q: 1"), Message("assistant", "A"), Message("user", "Q: {{question}}"))
    turns = [Message("user", "2"), Message("assistant", "B"), Message("user", "3")]
    assert [m.content for m in spoken(frame, turns, {})] == ["Q: 1", "A", "Q: 2", "B", "Q: 3"]


def test_without_a_place_the_question_is_a_message_of_its_own():
    frame = (Message("user", "1"), Message("assistant", "{{x}}"))
    said = spoken(frame, [Message("user", "2")], {"x": "A"})
    assert [m.content for m in said] == ["1", "A", "2"]


@pytest.mark.parametrize(
    ("system", "messages", "known", "told"),
    [
        pytest.param(
            "{{a}} {{b}}", [], "", r"no value for \{\{a\}\}, \{\{b\}\}; do", id="all named"
        ),
        pytest.param(
            "{{q}}", [("user", "{{q}}")], "", r"no value for \{\{q\}\}", id="in the system"
        ),
        pytest.param(
            None, [("user", "{{a}} {{b}}")], "", r"\{\{a\}\}, \{\{b\}\}", id="nobody knows"
        ),
        pytest.param(None, [("user", "Hi")], "", "no variable takes the question", id="no place"),
        pytest.param(
            None,
            [("user", "{{q}}"), ("assistant", "So"), ("user", "And")],
            "",
            "belongs in the last",
            id="not at the end",
        ),
        pytest.param(None, [("assistant", "{{q}}")], "", "belongs to the user", id="its own words"),
    ],
)
def test_a_template_that_cannot_be_sent_is_refused(system, messages, known, told):
    frame = [Message(role, text) for role, text in messages]
    with pytest.raises(InputError, match=told):
        refuse_unfilled(system, frame, known, what="P", remedy="do")


def test_a_template_with_all_its_values_is_sent():
    frame = [Message("user", "{{q}} in {{city}}")]
    refuse_unfilled("For {{city}}", frame, {"city"}, what="P", remedy="do")
