"""Questions from MLflow's evaluation datasets: the lab's own come back as they were, others are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from llmflowlab.cli import main
from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.settings import Settings
from llmflowlab.tracking.dataset_files import question_file
from llmflowlab.tracking.datasets import register_dataset
from llmflowlab.tracking.store import open_store

ROWS: list[dict[str, Any]] = [
    {"id": "z", "question": "Capital of Peru?", "answer": "Lima", "category": "towns"},
    {"id": "a", "question": "Capital of Peru?", "answer": ["Lima", "Lima, Peru"]},
    {"id": "m", "question": "Who wrote it?", "answer": "A", "context": "A wrote it."},
    {"id": "f", "question": "Facts?", "expected_facts": ["one", "two"], "language": "en"},
    {"id": "g", "question": "Be kind?", "answer": "Yes", "guidelines": ["Be kind."]},
]
CONVERSATIONS: list[dict[str, Any]] = [
    {
        "id": "c",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "What is 1 + 1?"},
        ],
        "params": '{"temperature": 0.5, "custom_inputs": {"client": "Ann"}}',
        "answer": "2",
    },
]


def fetched(settings: Settings, name: str) -> Path:
    return question_file(settings, Path(f"mlflow:{name}"))


@pytest.mark.parametrize("rows", [ROWS, CONVERSATIONS], ids=["questions", "conversations"])
def test_what_was_registered_comes_back_the_same_and_in_its_order(
    settings: Settings, mlflow_home: Path, rows: list[dict[str, Any]]
) -> None:
    file = mlflow_home / "q.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    before = load_dataset(file)
    register_dataset(settings, before, name="desk")
    after = load_dataset(fetched(settings, "desk"))
    # Only the columns are called as MLflow calls them.
    bare = [
        [replace(row, source={}, withheld=(), line=0) for row in each.rows]
        for each in (before, after)
    ]
    assert bare[0] == bare[1]
    assert (after.digest, after.name) == (before.digest, "desk@1")
    file.write_text(json.dumps({**rows[0], "answer": "other"}) + "\n", encoding="utf-8")
    register_dataset(settings, load_dataset(file), name="desk")
    assert len(load_dataset(fetched(settings, "desk")).rows) == 1
    assert load_dataset(fetched(settings, "desk@1")).digest == before.digest


@pytest.mark.parametrize(
    "inputs",
    [
        {"question": "What is a run?"},
        {"query": "What is a run?", "user": "u1"},
        {"messages": [{"role": "user", "content": "What is a run?"}]},
    ],
)
def test_a_dataset_that_others_made_is_evaluated(
    settings: Settings,
    mlflow_home: Path,
    inputs: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    open_store(settings)
    made = mlflow.genai.datasets.create_dataset(name="theirs", experiment_id="0")
    made.merge_records([{"inputs": inputs, "expectations": {"expected_response": "record"}}])
    asked = ["--scorer", "contains", "--data", "mlflow:theirs", "--json"]
    assert main(["evaluate", "--model", "guide", *asked]) == ExitCode.DONE
    result = json.loads(capsys.readouterr().out)
    assert result["dataset"]["rows"] == 1
    assert result["dataset"]["name"] == "theirs"
    assert result["candidates"][0]["answered"] == 1
    # One that grows is read anew.
    more = json.loads(json.dumps(inputs).replace("a run", "a trace"))
    made.merge_records([{"inputs": more, "expectations": {"expected_response": "spans"}}])
    assert len(load_dataset(fetched(settings, "theirs")).rows) == 2


def test_a_dataset_that_there_is_none_of_or_that_holds_nothing_is_refused_in_a_sentence(
    settings: Settings, mlflow_home: Path
) -> None:
    open_store(settings)
    with pytest.raises(InputError, match="no dataset 'desk'; there are: none yet"):
        fetched(settings, "desk")
    mlflow.genai.datasets.create_dataset(name="empty", experiment_id="0")
    with pytest.raises(InputError, match="holds nothing yet"):
        fetched(settings, "empty")
    with pytest.raises(InputError, match="there are: empty"):
        fetched(settings, "desk")


def test_a_file_that_is_called_so_is_a_file(settings: Settings, tmp_path: Path) -> None:
    file = Path("mlflow:desk")
    file.write_text("question,answer\nA?,B\n", encoding="utf-8")
    assert question_file(settings, file) == file
