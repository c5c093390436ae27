"""Rows that hold a whole conversation and parameters of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, load_dataset
from llmflowlab.errors import DatasetError, InputError
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, request_for
from llmflowlab.evaluation.run.stored_dataset import dataset_from_text, dataset_text
from llmflowlab.messages import Message, Parameters
from llmflowlab.text.digests import digest_of

SPEC = Candidate(
    model="gemini:x",
    display_name="Gemini",
    supplier="Google",
    system="For {{client_type}}.",
    parameters=Parameters(temperature=0.2, max_tokens=50),
)
SAID = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": "Capital of France?"},
]


def load(folder: Path, *rows: dict[str, Any], **mapping: str) -> Dataset:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_dataset(file, mapping=mapping)


def plan(dataset: Dataset, spec: Candidate = SPEC) -> EvaluationPlan:
    return EvaluationPlan(
        evaluation_id="e", dataset=dataset, candidates=(spec,), scorers=(), judge=None
    )


@pytest.mark.parametrize("as_text", [True, False], ids=["json-text", "json"])
def test_a_row_sends_its_conversation_with_its_own_parameters(
    tmp_path: Path, as_text: bool
) -> None:
    params = {"temperature": 0, "custom_inputs": {"client_type": "schools"}}
    row = {
        "messages": json.dumps(SAID) if as_text else SAID,
        "params": json.dumps(params) if as_text else params,
        "target": "Paris",
    }
    (read,) = load(tmp_path, row).rows
    assert (read.question, read.expected) == ("Capital of France?", "Paris")
    request = request_for(SPEC, read)
    assert request.messages == (
        Message("user", "Hello"),
        Message("assistant", "Hi"),
        Message("user", "Capital of France?"),
    )
    assert request.system == "For schools."
    assert request.parameters == Parameters(temperature=0.0, max_tokens=50)
    assert request.custom_inputs == {"client_type": "schools"}


def test_a_system_message_of_the_row_goes_before_the_candidates(tmp_path: Path) -> None:
    said = [{"role": "system", "content": "Be long."}, *SAID]
    (row,) = load(tmp_path, {"messages": said, "target": "Paris"}).rows
    assert request_for(SPEC, row).system == "Be long."


def test_conversations_come_from_csv_too(tmp_path: Path) -> None:
    cell = json.dumps(SAID).replace('"', '""')
    file = tmp_path / "rows.csv"
    file.write_text(f'messages,params,target\n"{cell}",,Paris\n', encoding="utf-8")
    (row,) = load_dataset(file).rows
    assert row.conversation is not None
    assert len(row.conversation.messages) == 3


def test_a_question_column_keeps_its_meaning_beside_one_of_messages(tmp_path: Path) -> None:
    row = {"question": "Why?", "messages": SAID, "answer": "So."}
    assert load(tmp_path, row).rows[0].conversation is None
    (asked,) = load(tmp_path, row, messages="messages").rows
    assert asked.question == "Capital of France?"


def test_a_dataset_survives_json_and_its_keys_with_it(tmp_path: Path) -> None:
    row = {"messages": SAID, "params": {"seed": 3, "custom_inputs": {"a": "b"}}, "target": "Paris"}
    dataset = load(tmp_path, row)
    again = dataset_from_text(dataset_text(dataset, json.dumps))
    assert again == dataset
    cell = Cell(0, 0)
    assert plan(again).answer_key(cell) == plan(dataset).answer_key(cell)


def test_what_is_sent_decides_the_key_of_an_answer_and_the_digest(tmp_path: Path) -> None:
    last = SAID[-1:]
    asked: list[dict[str, Any]] = [
        {"messages": SAID},
        {"messages": last},
        {"messages": last, "params": {"temperature": 1}},
        {"messages": last, "params": {"custom_inputs": {"client_type": "b"}}},
    ]
    datasets = [load(tmp_path, row) for row in asked]
    assert len({plan(dataset).answer_key(Cell(0, 0)) for dataset in datasets}) == 4
    assert len({dataset.digest for dataset in datasets}) == 4


def test_the_key_of_a_plain_question_is_what_it_always_was(tmp_path: Path) -> None:
    dataset = load(tmp_path, {"question": "Why?", "answer": "So."})
    assert plan(dataset).answer_key(Cell(0, 0)) == digest_of([["Why?", None], SPEC.digest, 0])


def test_the_same_conversation_twice_is_two_answers(tmp_path: Path) -> None:
    other = [{"role": "user", "content": "Bonjour"}, *SAID[1:]]
    dataset = load(tmp_path, {"messages": SAID}, {"messages": other}, {"messages": SAID})
    keys = [plan(dataset).answer_key(Cell(0, row)) for row in range(3)]
    assert len(set(keys)) == 3
    # The second differs in what was said before, and is no repetition.
    alone = replace(dataset, rows=(replace(dataset.rows[1], index=0),))
    assert plan(alone).answer_key(Cell(0, 0)) == keys[1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param({"messages": "hello"}, "no JSON", id="no-json"),
        pytest.param({"messages": [{"role": "user"}, SAID[0]]}, "Message 1", id="no-content"),
        pytest.param(
            {"messages": SAID[:2], "answer": "Hi"}, "last message must be the user's", id="answered"
        ),
        pytest.param(
            {"messages": SAID, "params": {"temprature": 1}}, "temprature", id="unknown-parameter"
        ),
        pytest.param({"messages": SAID, "params": "warm"}, "params are no JSON", id="params-text"),
    ],
)
def test_a_row_that_cannot_be_sent_is_refused_with_its_line(
    tmp_path: Path, row: dict[str, Any], words: str
) -> None:
    good = {"messages": SAID, "params": None}
    with pytest.raises(DatasetError, match=words) as raised:
        load(tmp_path, good, row)
    assert raised.value.line == 2


def test_params_without_messages_are_refused(tmp_path: Path) -> None:
    row = {"question": "Why?", "settings": "{}"}
    with pytest.raises(InputError, match="belongs to one of messages"):
        load(tmp_path, row, params="settings")
