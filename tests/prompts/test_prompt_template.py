"""Templates: how they are written, what they include, and what a model is given of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmflowlab.errors import InputError
from llmflowlab.messages import Message
from llmflowlab.prompts.prompt_template import PromptTemplate

CHAT = "[system]\nYou are {{style}}.\n\n[user]\n{{question}}"


def template(text: str) -> PromptTemplate:
    return PromptTemplate.from_text(text)


@pytest.mark.parametrize("text", ["Hi {{name}}", CHAT], ids=["text", "chat"])
def test_what_is_written_goes_to_mlflow_and_comes_back(text):
    read = template(text)
    assert PromptTemplate.of(read.to_mlflow(), "p@1") == read
    assert read.to_text() == text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["system", "user", "assistant"]),
            st.text(st.sampled_from("{}[]sy \nxé"), min_size=1).filter(
                lambda text: text.strip() == text and "[sy" not in text
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_chat_comes_back_as_it_was_written(parts):
    chat = PromptTemplate(tuple(parts))
    assert PromptTemplate.from_text(chat.to_text()) == chat


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("[system]\n\n[user]\nx", "is empty"),
        ("Hello\n[user]\nx", "before the first"),
    ],
)
def test_what_is_no_template_is_refused(text, told):
    with pytest.raises(InputError, match=told):
        template(text)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{% if x %}a{% endif %}", "Jinja"),
        ([{"role": "tool", "content": "x"}], "role 'tool'"),
        ([{"role": "user", "content": [{"type": "image"}]}], "other than text"),
        (3, "other than text"),
    ],
)
def test_what_mlflow_holds_beyond_texts_is_refused(value, told):
    with pytest.raises(InputError, match=told):
        PromptTemplate.of(value, "p@1")


def test_rendering_names_every_missing_and_every_unknown_variable():
    both = template("{{a}} {{b}} {{c}}")
    with pytest.raises(InputError, match=r"no value for \{\{a\}\}, \{\{c\}\}"):
        both.rendered({"b": "1"})
    with pytest.raises(InputError, match=r"no variable \{\{x\}\}, \{\{y\}\}; there are \{\{a\}\}"):
        template("{{a}}").rendered({"a": "1", "x": "2", "y": "3"})
    assert both.rendered({"a": "{{b}}", "b": "2", "c": "3"}).to_text() == "{{b}} 2 3"


def shelf(**texts: str):
    def load(reference: str) -> tuple[str, PromptTemplate]:
        name = reference.partition("@")[0]
        return f"{name}@1", template(texts[name])

    return load


def test_an_included_prompt_stands_in_its_place_with_its_variables():
    load = shelf(policy="Be {{tone}}.\n{{> rules@live}}", rules="No \\1 refunds.")
    whole, used = template("A\n{{> policy}}\nB {{> rules}}").included(load, ("own@1",))
    assert whole.to_text() == "A\nBe {{tone}}.\nNo \\1 refunds.\nB No \\1 refunds."
    assert used == ("policy@1", "rules@1")
    assert whole.variables == ("tone",)


def test_a_circle_is_an_error_that_shows_the_way():
    load = shelf(a="{{> b}}", b="{{> a@2}}")
    with pytest.raises(InputError, match="circle: a@1 → b@1 → a@1"):
        template("{{> b}}").included(load, ("a@1",))


def test_including_too_deep_is_an_error():
    load = shelf(**{f"p{n}": f"{{{{> p{n + 1}}}}}" for n in range(20)})
    with pytest.raises(InputError, match="more than 8 deep"):
        template("{{> p0}}").included(load, ("own@1",))


def test_a_chat_cannot_be_included():
    with pytest.raises(InputError, match="chat of several messages"):
        template("{{> b}}").included(shelf(b=CHAT), ("a@1",))


def test_a_text_with_the_question_is_the_users_and_any_other_the_system_prompt():
    asks = template("Answer: {{customer_query}}")
    assert asks.framed(()) == (None, (Message("user", "Answer: {{customer_query}}"),))
    assert template("You help {{shop}}.").framed({"shop"}) == ("You help {{shop}}.", ())
    # An agent learns its variables from each request.
    assert template("You help {{shop}}.").framed((), lone=False) == ("You help {{shop}}.", ())


def test_a_chat_is_a_system_prompt_and_messages():
    system, messages = template(CHAT).framed(())
    assert system == "You are {{style}}."
    assert messages == (Message("user", "{{question}}"),)
