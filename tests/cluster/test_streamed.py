from __future__ import annotations

import json
from dataclasses import asdict

import pandas as pd
import pytest

from llmflowlab.data.dataset import load_dataset
from llmflowlab.data.streamed import load_streamed
from llmflowlab.errors import DatasetError, InputError

ROWS = [
    {
        "id": f"q{n}",
        "question": f"Question {n}?",
        "answer": f"Answer {n}",
        "topic": "a" if n % 2 else "b",
    }
    for n in range(2_500)
]


@pytest.fixture(params=["jsonl", "parquet"])
def file(request, tmp_path):
    place = tmp_path / f"rows.{request.param}"
    if request.param == "jsonl":
        place.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n", encoding="utf-8")
    else:
        pd.DataFrame(ROWS).to_parquet(place)
    return place


def test_a_file_read_in_pieces_is_the_same_as_read_whole(file):
    pieces, whole = load_streamed(file), load_dataset(file)
    assert pieces.digest == whole.digest
    assert list(map(asdict, pieces.rows)) == list(map(asdict, whole.rows))
    assert (pieces.name, pieces.columns, pieces.reading) == (
        whole.name,
        whole.columns,
        whole.reading,
    )


def lines(tmp_path, *texts):
    place = tmp_path / "rows.jsonl"
    place.write_text("\n".join(texts), encoding="utf-8")
    return place


def test_a_row_that_cannot_be_used_is_named_or_left_out(tmp_path):
    good = json.dumps({"question": "A?", "answer": "B"})
    place = lines(
        tmp_path, good, "{nonsense", json.dumps({"question": "", "answer": "C"}), "[1]", good
    )
    with pytest.raises(DatasetError, match=r"rows\.jsonl, line 2: .*--skip-bad"):
        load_streamed(place)
    found = load_streamed(place, skip_bad=True)
    assert [row.index for row in found.rows] == [0, 1]
    assert "3 rows that cannot be used are left out: line 2, line 4, line 3." in found.warnings


def test_ids_must_differ_here_too(tmp_path):
    row = json.dumps({"id": "x", "question": "A?", "answer": "B"})
    with pytest.raises(DatasetError, match="the id 'x' stands in several rows"):
        load_streamed(lines(tmp_path, row, row))


def test_a_column_can_be_named(tmp_path):
    place = lines(tmp_path, json.dumps({"Frage": "A?", "answer": "B"}))
    assert load_streamed(place, mapping={"question": "Frage"}).rows[0].question == "A?"


@pytest.mark.parametrize(
    ("name", "words"),
    [("rows.csv", "cannot be read in pieces"), ("none.jsonl", "cannot be read")],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, words):
    with pytest.raises(InputError, match=words):
        load_streamed(tmp_path / name)


def test_an_empty_file_and_one_that_is_no_parquet_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="has no rows"):
        load_streamed(lines(tmp_path, ""))
    broken = tmp_path / "rows.parquet"
    broken.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DatasetError, match="no Parquet file"):
        load_streamed(broken)
