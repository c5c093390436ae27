"""A rubric says in one sentence what is wrong with it."""

from pathlib import Path

import pytest

from llmflowlab.errors import InputError
from llmflowlab.people.rubric import DEFAULT, read_rubric

GOOD = """\
- name: helpful
  ask: Does it help?
- name: tone
  ask: How does it sound?
  scale: [friendly, neutral, rude]
- {name: depth, scale: 1-5}
"""


def test_a_rubric_is_read_from_yaml_and_json(tmp_path: Path) -> None:
    file = tmp_path / "rubric.yaml"
    file.write_text(GOOD, encoding="utf-8")
    rubric = read_rubric(file)
    assert rubric.names == ("helpful", "tone", "depth")
    helpful, tone, depth = rubric.questions
    assert (helpful.scale, tone.options, depth.ask) == (
        "yes_no",
        ("friendly", "neutral", "rude"),
        "depth?",
    )
    file.write_text('{"questions": [{"name": "kind", "scale": "yes/no"}]}', encoding="utf-8")
    assert read_rubric(file).names == ("kind",)


def test_what_people_write_is_understood() -> None:
    correct, quality = DEFAULT.questions
    assert [correct.read(text) for text in ("Yes", " no ", "ja", "3", "perhaps")] == [
        *("yes", "no", "yes"),
        *(None, None),
    ]
    assert [quality.read(text) for text in ("4", "2,0", "6", "yes")] == ["4", "2", None, None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it holds no questions"),
        ("- just a text", "question 1 has no keys"),
        ("- {name: Is it kind}", "the name of question 1"),
        ("- {name: comment}", "'comment' is taken"),
        ("- {name: discarded}", "'discarded' is taken"),
        ("- {name: kind, scael: 1-5}", "a key 'scael'"),
        ("- {name: kind, scale: 1-7}", "the scale of kind is '1-7'"),
        ("- {name: kind, scale: [one]}", "kind has 1 labels; give 2 to 9"),
        ("- {name: kind, scale: [good, Good]}", "kind has a label twice"),
        ("- {name: kind, scale: [yes, maybe]}", "the label 'yes'; use the scale"),
        ("- {name: kind, scale: [[], maybe]}", "a label that is no text"),
        ("- {name: kind, ask: ''}", "kind asks nothing"),
        ("- {name: kind}\n- {name: kind}", "'kind' stands there twice"),
        ("- {name: [", "neither YAML nor JSON in line"),
        ("\n".join(f"- {{name: q{n}}}" for n in range(10)), "it asks 10 questions"),
    ],
)
def test_a_fault_is_named_in_one_sentence(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "rubric.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_rubric(file)
    assert why in caught.value.message
    assert caught.value.message.startswith(str(file))
    with pytest.raises(InputError, match="cannot be read"):
        read_rubric(tmp_path / "none.yaml")
