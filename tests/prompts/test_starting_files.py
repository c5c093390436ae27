"""The prompts that ship with the lab: what each is made of, and that they differ in style alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmflowlab.data.dataset import load_dataset
from llmflowlab.data.near import near_pairs
from llmflowlab.data.question_keys import same_text
from llmflowlab.providers.thinking import without_thinking
from tests.prompts.starting_files import FILES, POLICY, front_matter, messages

PART = "{{> support_policy}}"
ASKED = sorted(FILES.keys() - {"support_policy"})
STYLES = {
    *("bad", "better", "best", "zero-shot", "one-shot", "few-shot"),
    *("chain-of-thought", "safety-aware"),
}


def test_every_style_is_there_once() -> None:
    assert {front_matter(name)["tags"]["style"] for name in ASKED} == STYLES
    assert len(ASKED) == len(STYLES)


@pytest.mark.parametrize("name", FILES)
def test_each_says_what_it_is_and_demonstrates(name: str) -> None:
    matter = front_matter(name)
    assert list(matter) == ["name", "description", "demonstrates", "tags", "commit_message"]
    assert matter["name"] == name
    assert all(matter[key] and isinstance(matter[key], str) for key in matter if key != "tags")
    assert all(isinstance(value, str) for value in matter["tags"].values())
    if name != "support_policy":
        assert matter["demonstrates"].startswith(matter["tags"]["style"])


@pytest.mark.parametrize("name", ASKED)
def test_each_renders_to_messages_that_end_with_the_question(name: str) -> None:
    roles = [role for role, _ in messages(name)]
    worked = roles[1:-1] if roles[0] == "system" else roles[:-1]
    assert worked == ["user", "assistant"] * (len(worked) // 2)
    assert roles[-1] == "user"
    *before, (_, last) = messages(name)
    assert last.count("{{customer_query}}") == 1
    assert all("{{customer_query}}" not in text for _, text in before)
    whole = "\n".join(text for _, text in messages(name))
    rendered = whole.replace(PART, POLICY).replace("{{customer_query}}", "Where is my parcel?")
    assert "{{" not in rendered
    assert "}}" not in rendered


@pytest.mark.parametrize("name", ASKED)
def test_all_but_the_bad_one_know_the_policy(name: str) -> None:
    whole = "\n".join(text for _, text in messages(name))
    assert whole.count(PART) == (name != "support_bad")
    # It stands on a line of its own, and nowhere is it copied.
    assert all(line == PART for line in whole.splitlines() if "{{>" in line)
    copied = {line for line in POLICY.splitlines() if line} & set(whole.splitlines())
    assert copied == set()


def worked_examples(name: str) -> list[tuple[str, str]]:
    said = [text for role, text in messages(name)[:-1] if role != "system"]
    return list(zip(said[::2], said[1::2], strict=True))


def test_shots_are_as_many_as_the_name_says() -> None:
    assert worked_examples("support_zero_shot") == []
    assert len(worked_examples("support_one_shot")) == 1
    few = worked_examples("support_few_shot")
    assert 3 <= len(few) <= 8
    assert worked_examples("support_one_shot")[0] in few
    # They differ in the shots alone.
    assert messages("support_zero_shot")[0] == messages("support_one_shot")[0]
    assert messages("support_zero_shot")[0] == messages("support_few_shot")[0]


def test_reasoning_that_is_shown_is_kept_out_of_the_answer() -> None:
    ((_, answer),) = worked_examples("support_chain_of_thought")
    assert answer.startswith("<think>")
    assert without_thinking(answer).strip() == worked_examples("support_one_shot")[0][1]


def test_what_examples_state_stands_in_the_policy() -> None:
    for name in ASKED:
        for _, answer in worked_examples(name):
            figures = re.findall(r"\d+|\S+@\S+\w|fernhollow\.example/\w+", answer)
            assert all(figure in POLICY for figure in figures), answer


def test_no_worked_example_is_a_question_of_the_dataset() -> None:
    rows = load_dataset(Path("support_desk")).rows
    examples = {asked for name in ASKED for asked, _ in worked_examples(name)}
    assert len(examples) >= 6
    questions = [row.question for row in rows]
    assert examples.isdisjoint(questions)
    assert near_pairs([*map(same_text, [*questions, *examples])]) == []
